#include <fmt/format.h>

#include "common/net/address_text.h"
#include "controlplane/ctl/render.h"

namespace guideway::ctl {
namespace {

std::string with_port(const Json& object, const char* address_key, const char* port_key) {
  auto text = object.at(address_key).get<std::string>();
  const auto address = parse_ip(text);
  if (!address || !object.contains(port_key) || object.at(port_key).is_null()) return text;
  return to_text_with_port(*address, object.at(port_key).get<std::uint16_t>());
}

std::string outer_line(const Json& outer) {
  return fmt::format("{} -> {}, by port {} to {}, path MTU {}", with_port(outer, "source", "source_port"),
                     with_port(outer, "destination", "destination_port"), outer.at("port").get<std::string>(),
                     outer.at("next_hop_mac").get<std::string>(), outer.at("path_mtu_bytes").get<std::uint32_t>());
}

}  // namespace

std::string render_explain(const Json& flow, const Json& answer, const Style& style) {
  TextTable table("ll");
  table.add({"Flow", fmt::format("{} {} -> {}", flow.at("protocol").get<std::string>(),
                                 with_port(flow, "source", "source_port"),
                                 with_port(flow, "destination", "destination_port"))});
  if (const Json& vip = answer.at("vip"); !vip.is_null())
    table.add({"VIP", fmt::format("{} {} {}", vip.at("name").get<std::string>(), with_port(vip, "address", "port"),
                                  vip.at("protocol").get<std::string>())});
  if (const Json& slot = answer.at("slot"); !slot.is_null())
    table.add({"Slot", fmt::format("{} of {} of pool {}, hash {}", slot.get<std::uint32_t>(),
                                   answer.at("slots").get<std::uint32_t>(), answer.at("pool").get<std::string>(),
                                   answer.at("hash").get<std::string>())});
  if (const Json& backend = answer.at("backend"); !backend.is_null())
    table.add(
        {"Backend", fmt::format("{}/{} {}", backend.at("pool").get<std::string>(),
                                backend.at("name").get<std::string>(), backend.at("address").get<std::string>())});
  if (const Json& outer = answer.at("outer"); !outer.is_null())
    table.add({"Outer", answer.at("encapsulation").get<std::string>() + " " + outer_line(outer)});
  const auto verdict = answer.at("verdict").get<std::string>();
  table.add({"Verdict", Cell(verdict, verdict.starts_with("drop") ? Colour::bad : Colour::good)});
  table.add({"Why", answer.at("why").get<std::string>()});
  return table.text(style, "");
}

}  // namespace guideway::ctl
