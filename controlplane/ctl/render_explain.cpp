#include <fmt/format.h>

#include "common/net/address_text.h"
#include "controlplane/ctl/render.h"

namespace guideway::ctl {
namespace {

std::string end_of(const Json& object, const char* address_key, const char* port_key) {
  const auto address = object.at(address_key).get<std::string>();
  return object.contains(port_key) ? with_port(address, port_text(object.at(port_key))) : address;
}

std::string outer_line(const std::string& encapsulation, const Json& outer) {
  std::string line = encapsulation;
  if (outer.contains("source"))
    line += " " + end_of(outer, "source", "source_port") + " -> " + end_of(outer, "destination", "destination_port");
  line += fmt::format(", by port {} to {}", outer.at("port").get<std::string>(),
                      outer.at("next_hop_mac").get<std::string>());
  for (const Json& vlan : outer.at("vlans")) line += fmt::format(", VLAN {}", vlan.get<std::uint16_t>());
  return line + fmt::format(", path MTU {}", outer.at("path_mtu_bytes").get<std::uint32_t>());
}

}  // namespace

std::string render_explain(const Json& flow, const Json& answer, const Style& style) {
  TextTable table("ll");
  table.add(
      {"Flow", fmt::format("{} {} -> {}", flow.at("protocol").get<std::string>(), end_of(flow, "source", "source_port"),
                           end_of(flow, "destination", "destination_port"))});
  if (const Json& vip = answer.at("vip"); !vip.is_null())
    table.add({"VIP", fmt::format("{} {} {}", vip.at("name").get<std::string>(), end_of(vip, "address", "port"),
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
    table.add({"Outer", outer_line(answer.at("encapsulation").get<std::string>(), outer)});
  const auto verdict = answer.at("verdict").get<std::string>();
  const bool is_good = verdict == "forward" || verdict == "to_kernel";
  table.add({"Verdict", Cell(verdict, is_good ? Colour::good : Colour::bad)});
  table.add({"Why", answer.at("why").get<std::string>()});
  return table.text(style, "");
}

}  // namespace guideway::ctl
