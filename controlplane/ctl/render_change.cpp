#include <fmt/format.h>

#include <algorithm>

#include "common/config/words.h"
#include "controlplane/ctl/figures.h"
#include "controlplane/ctl/render.h"

namespace guideway::ctl {
namespace {

// The arguments that make a backend as it was.
std::string drain_arguments(const Json& before, const std::string& backend) {
  if (!before.at("drained").get<bool>()) return "undrain " + backend;
  if (before.at("remaining_s").is_null()) return "drain " + backend;
  return fmt::format("drain {} --deadline {}s", backend, std::max(before.at("remaining_s").get<std::int64_t>(), 1L));
}

std::string drain_text(const Json& after) {
  if (!after.at("drained").get<bool>()) return "no longer drained, takes new flows when healthy";
  if (after.at("deadline").is_null()) return "drained, takes no new flow";
  return fmt::format("drained, takes no new flow, and is removed in {} at {}",
                     age(after.at("remaining_s").get<std::int64_t>()), after.at("deadline").get<std::string>());
}

std::string weight_argument(const Json& override) {
  return override.is_null() ? "file" : std::to_string(override.get<std::uint32_t>());
}

}  // namespace

std::string render_change(const Json& before, const Json& after) {
  const std::string backend = after.at("pool").get<std::string>() + "/" + after.at("name").get<std::string>();
  const auto generation = after.at("generation").get<std::uint64_t>();
  std::string out;
  std::string undo;
  if (before.at("drained") != after.at("drained") || before.at("deadline") != after.at("deadline")) {
    out = drain_text(after);
    undo = drain_arguments(before, backend);
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
  const std::string waits = after.at("not_in_force").get<std::string>();
  return config::printable(fmt::format("{}: {} (generation {}, now {})", backend, out, generation,
                                       after.at("state").get<std::string>())) +
         (waits.empty() ? "" : "\nNot in force yet, and tried again: " + config::printable(waits)) +
         "\nUndo: guidewayctl " + config::printable(undo) + "\n";
}

}  // namespace guideway::ctl
