// Which request does what: docs/api.md. Thread-safety: the control plane's thread.
#pragma once

#include "controlplane/api/http_server.h"
#include "controlplane/control_plane.h"

namespace guideway::controlplane::api {

Response handle(ControlPlane& control_plane, const Request& request);

}  // namespace guideway::controlplane::api
