// The control plane's answers (docs/api.md) as text for people.
//
// Thread-safety: pure functions. All throw nlohmann::json::exception on an answer without a key that docs/api.md names.
#pragma once

#include <ctime>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "controlplane/ctl/text_table.h"

namespace guideway::ctl {

using Json = nlohmann::json;

// Two levels, as ipvsadm shows them: VIPs with their pool, and its backends behind arrows.
std::string render_status(const Json& status, const Style& style, std::time_t now);

// What is not as it should be, a sentence each: the control plane's warnings and what the numbers say. Empty on a good
// day.
std::vector<std::string> problems_in(const Json& status);

// A port as the API says it: a number, or "any".
std::string port_text(const Json& port);

std::string render_explain(const Json& flow, const Json& answer, const Style& style);

// What a reload of `file` would change, pool by pool, or that it would change nothing.
std::string render_plan(const std::string& file, const Json& plan, const Style& style);

// What a drain, undrain or weight changed, and the command that undoes it.
// `before` is the backend in the status before, `after` the answer.
std::string render_change(const Json& before, const Json& after);

}  // namespace guideway::ctl
