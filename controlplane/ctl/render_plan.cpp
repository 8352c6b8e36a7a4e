#include <fmt/format.h>

#include "common/config/words.h"
#include "common/net/address_text.h"
#include "controlplane/ctl/figures.h"
#include "controlplane/ctl/render.h"

namespace guideway::ctl {
namespace {

std::string text_of(const Json& object, const char* key) {
  return object.at(key).get<std::string>();
}

Cell mark_of(const Json& object) {
  const std::string change = text_of(object, "change");
  if (change == "added") return {"+", Colour::good};
  return change == "removed" ? Cell("-", Colour::bad) : Cell("~", Colour::odd);
}

std::string keys_of(const Json& object) {
  std::string list;
  for (const Json& key : object.at("keys")) list += (list.empty() ? "" : ", ") + key.get<std::string>();
  return list;
}

std::string weights_of(const Json& backend) {
  const Json& before = backend.at("weight_before");
  const Json& after = backend.at("weight_after");
  if (before.is_null() || after.is_null() || before == after)
    return "weight " + (after.is_null() ? before : after).dump();
  return "weight " + before.dump() + " -> " + after.dump();
}

std::string flows_text(const Json& flows) {
  return flows.is_null() ? "" : fmt::format("{} known flows", flows.get<std::uint64_t>());
}

std::string render_vips(const Json& vips, const Style& style) {
  TextTable table("llll");
  for (const Json& vip : vips)
    table.add({mark_of(vip), "VIP " + text_of(vip, "name"),
               with_port(text_of(vip, "address"), port_text(vip.at("port"))) + " " + text_of(vip, "protocol"),
               keys_of(vip)});
  return table.text(style, "");
}

std::string render_backends(const Json& backends, const Style& style) {
  TextTable table("lllll");
  for (const Json& backend : backends)
    table.add({mark_of(backend), text_of(backend, "name"), text_of(backend, "address"), weights_of(backend),
               flows_text(backend.at("flows"))});
  return table.text(style, "    ");
}

std::string moves_of(const Json& pool) {
  const auto before = pool.at("slots_before").get<std::uint32_t>();
  const auto after = pool.at("slots_after").get<std::uint32_t>();
  if (before == 0) return fmt::format("comes, with {} slots", after);
  std::string moves = fmt::format("{} of {} slots move ({})", pool.at("moved_slots").get<std::uint32_t>(), before,
                                  percent(pool.at("moved_share").get<double>()));
  if (after == 0) return "goes, " + moves;
  if (const auto crowded = pool.at("crowded_slots").get<std::uint32_t>(); crowded > 0)
    moves += fmt::format(", {} crowded", crowded);
  if (const auto flows = pool.at("removed_flows").get<std::uint64_t>(); flows > 0)
    moves += fmt::format(", {} known flows on backends that go", flows);
  const std::string keys = keys_of(pool);
  return keys.empty() ? moves : moves + "; " + keys;
}

std::string render_pool(const Json& pool, const Style& style) {
  const Cell mark = mark_of(pool);
  const std::string line = "pool " + text_of(pool, "name") + ": " + moves_of(pool);
  return style.paint(mark.text, mark.colour) + "  " + config::printable(line) + "\n" +
         render_backends(pool.at("backends"), style);
}

std::string render_warnings(const Json& warnings, const Style& style) {
  TextTable table("ll");
  for (const Json& warning : warnings) table.add({Cell("Warning", Colour::odd), warning.get<std::string>()});
  return table.text(style, "");
}

}  // namespace

std::string render_plan(const std::string& file, const Json& plan, const Style& style) {
  const Json& vips = plan.at("vips");
  const Json& pools = plan.at("pools");
  const std::string name = config::printable(file);
  std::string out;
  if (vips.empty() && pools.empty()) out = name + ": a reload would change no VIP and move no slot\n";
  out += render_vips(vips, style);
  for (const Json& pool : pools) out += render_pool(pool, style);
  return out + render_warnings(plan.at("warnings"), style);
}

}  // namespace guideway::ctl
