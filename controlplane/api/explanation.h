// The answer to "explain" that docs/api.md describes. Thread-safety: the control plane's thread.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "controlplane/control_plane.h"
#include "controlplane/explain.h"

namespace guideway::controlplane::api {

// REQUIRES: the explanation is of the live view, which is of the running configuration.
nlohmann::json explanation_json(const ControlPlane& control_plane, const TablesView& view, const Flow& flow,
                                const Explanation& explanation);

}  // namespace guideway::controlplane::api
