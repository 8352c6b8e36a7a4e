// What of the pools an operator should know now.
// Thread-safety: pure function.
#pragma once

#include <string>
#include <vector>

#include "controlplane/desired_state.h"
#include "controlplane/publisher.h"

namespace guideway::controlplane {

// Nothing of pools that `desired` does not know yet.
void add_pool_warnings(const config::Config& config, const DesiredState& desired, const Publisher& publisher,
                       std::vector<std::string>& warnings);

}  // namespace guideway::controlplane
