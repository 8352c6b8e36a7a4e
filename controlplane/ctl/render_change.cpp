#include <fmt/format.h>

#include "common/config/words.h"
#include "controlplane/ctl/render.h"

namespace guideway::ctl {
namespace {

std::string weight_argument(const Json& override) {
  return override.is_null() ? "file" : std::to_string(override.get<std::uint32_t>());
}

}  // namespace

std::string render_change(const Json& before, const Json& after) {
  const std::string backend = after.at("pool").get<std::string>() + "/" + after.at("name").get<std::string>();
  const bool was_drained = before.at("drained").get<bool>();
  const bool is_drained = after.at("drained").get<bool>();
  const auto generation = after.at("generation").get<std::uint64_t>();
  std::string out;
  std::string undo;
  if (was_drained != is_drained) {
    out = is_drained ? "drained, takes no new flow" : "no longer drained, takes new flows when healthy";
    undo = is_drained ? "undrain " + backend : "drain " + backend;
  } else if (before.at("weight_override") != after.at("weight_override")) {
    const auto weight_of = [](const Json& b) {
      return b.at("weight_override").is_null() ? b.at("weight") : b.at("weight_override");
    };
    out = fmt::format("weight {} instead of {}{}", weight_of(after).get<std::uint32_t>(),
                      weight_of(before).get<std::uint32_t>(),
                      after.at("weight_override").is_null() ? ", as the file says" : "");
    undo = "weight " + backend + " " + weight_argument(before.at("weight_override"));
  } else {
    return config::printable(backend + ": nothing to change, it was so already") + "\n";
  }
  return config::printable(fmt::format("{}: {} (generation {}, now {})", backend, out, generation,
                                       after.at("state").get<std::string>())) +
         "\nUndo: guidewayctl " + config::printable(undo) + "\n";
}

}  // namespace guideway::ctl
