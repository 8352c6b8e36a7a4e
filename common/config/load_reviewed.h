// load_config_text() with the Review in the caller's hands, which knows the keys that were asked for.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "common/config/config.h"
#include "common/config/review.h"

namespace guideway::config {

// Nothing if there is any error. `name` is the file's, for messages and for paths relative to it.
std::optional<Config> load_reviewed(std::string_view text, const std::string& name, Review& review);

}  // namespace guideway::config
