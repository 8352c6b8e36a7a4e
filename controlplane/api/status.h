// The answers' bodies that docs/api.md describes. Thread-safety: the control plane's thread.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "controlplane/control_plane.h"
#include "controlplane/explain.h"

namespace guideway::controlplane::api {

nlohmann::json status_of(ControlPlane& control_plane);

// One backend, as in the status.
nlohmann::json backend_status(ControlPlane& control_plane, std::size_t pool, std::size_t backend);

// REQUIRES: the explanation is of the live view, which is of the running configuration.
nlohmann::json explanation_json(const ControlPlane& control_plane, const TablesView& view, const Flow& flow,
                                const Explanation& explanation);

}  // namespace guideway::controlplane::api
