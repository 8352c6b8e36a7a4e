// The answer to "plan" that docs/api.md describes. Thread-safety: pure functions.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "controlplane/plan.h"

namespace guideway::controlplane::api {

nlohmann::json plan_json(const Plan& plan);

}  // namespace guideway::controlplane::api
