// What the program needs of the host before anything is opened. Each throws StartError when it is not there.
#pragma once

#include "common/config/config.h"

namespace guideway {

// The baseline the program was compiled for: x86-64-v2 with AES-NI.
void require_cpu_features();
void require_root();
// Every configured core exists and is ours to use.
void require_cores(const config::Dataplane& config);

}  // namespace guideway
