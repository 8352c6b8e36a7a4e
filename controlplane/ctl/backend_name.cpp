#include <vector>

#include "common/config/words.h"
#include "controlplane/ctl/commands.h"

namespace guideway::ctl {

BackendName find_backend(const nlohmann::json& status, const std::string& argument) {
  std::vector<BackendName> found;
  std::vector<std::string> names;  // all of them, for the hint
  const bool is_full = argument.find('/') != std::string::npos;
  for (const auto& pool : status.at("pools")) {
    for (const auto& backend : pool.at("backends")) {
      BackendName name{pool.at("name").get<std::string>(), backend.at("name").get<std::string>()};
      names.push_back(is_full ? name.pool + "/" + name.name : name.name);
      if (names.back() == argument) found.push_back(std::move(name));
    }
  }
  if (found.size() == 1) return found.front();
  if (found.size() > 1) {
    std::string choices;
    for (const auto& [pool, name] : found) choices += (choices.empty() ? "" : " or ") + pool + "/" + name;
    throw UsageError("more than one pool has a backend " + config::in_quotes(argument) + "; say " + choices);
  }
  const std::string* nearest = config::nearest(argument, names);
  throw UsageError("there is no backend " + config::in_quotes(argument) +
                   (nearest != nullptr ? "; did you mean " + config::in_quotes(*nearest) + "?"
                                       : "; guidewayctl status shows all of them"));
}

}  // namespace guideway::ctl
