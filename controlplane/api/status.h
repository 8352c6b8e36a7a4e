// The answers' bodies that docs/api.md describes. Thread-safety: the control plane's thread.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "controlplane/control_plane.h"

namespace guideway::controlplane::api {

nlohmann::json status_of(ControlPlane& control_plane);

// One backend, as in the status.
nlohmann::json backend_status(ControlPlane& control_plane, std::size_t pool, std::size_t backend);

// A number, or "any".
nlohmann::json port_json(const config::Vip& vip);

}  // namespace guideway::controlplane::api
