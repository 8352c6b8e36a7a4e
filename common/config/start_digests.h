// What a data plane took from its file when it started, to be compared with what it would take now.
// Thread-safety: a pure function.
#pragma once

#include "common/config/config.h"
#include "guideway/stats.h"

namespace guideway::config {

// Equal sections give equal numbers, however the file writes them.
StartDigests start_digests_of(const Config& config);

}  // namespace guideway::config
