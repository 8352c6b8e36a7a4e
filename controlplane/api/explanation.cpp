#include "controlplane/api/explanation.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "common/net/address_text.h"
#include "controlplane/api/status.h"
#include "controlplane/fail_open.h"
#include "controlplane/text.h"

namespace guideway::controlplane::api {
namespace {

using nlohmann::json;

std::string why_no_vip(const Flow& flow, const Explanation& e, std::uint64_t generation) {
  const std::string address = guideway::to_text(flow.destination, flow.family);
  if (e.verdict == Explanation::Verdict::drop_returned)
    return fmt::format("it is GUE from {}, which is one of our own addresses, and came back to us",
                       guideway::to_text(flow.source, flow.family));
  if (!e.own) return fmt::format("{} is no VIP's in generation {}", address, generation);
  return fmt::format("{} is one of our own addresses, a source of outer headers, in generation {}", address,
                     generation);
}

std::string why_unserved(const Flow& flow, const Explanation& e, std::uint64_t generation) {
  const IpPrefix prefix{e.vip->address, e.vip->prefix_bits};
  const std::string address = guideway::to_text(flow.destination, flow.family);
  return fmt::format("{} is a VIP's{}, but nothing serves {} port {} in generation {}{}", address,
                     prefix.is_host() ? "" : " (" + guideway::to_text(prefix) + ")",
                     controlplane::to_text(flow.protocol), flow.destination_port, generation,
                     e.verdict == Explanation::Verdict::drop_encapsulated ? ", and GUE is for backends" : "");
}

// "backend b1", "backends b1, b2 and b3".
std::string hops(const config::Pool& pool, const Explanation& e) {
  std::string text = e.previous.size() == 1 ? "backend " : "backends ";
  for (std::size_t i = 0; i < e.previous.size(); i++) {
    if (i > 0) text += i + 1 < e.previous.size() ? ", " : " and ";
    text += pool.backends[e.previous[i]].name;
  }
  return text;
}

// What else may become of a flow than that its slot's owner gets it.
std::string exceptions(const config::Pool& pool, const Explanation& e) {
  std::string text;
  if ((e.vip->flags & kVipQuic) != 0) text += "; a packet whose connection ID names a backend goes there instead";
  if (e.scheduler == Scheduler::round_robin || e.scheduler == Scheduler::least_connections)
    text += fmt::format("; scheduler {} gives new flows to whoever's turn it is, and they stay there",
                        e.scheduler == Scheduler::round_robin ? "round-robin" : "least-connections");
  if (e.vip->tracking == Tracking::none) return text;
  if (e.unsettled && e.has_oldest)
    text += fmt::format("; the slot has moved lately: flows that began before are at backend {}",
                        pool.backends[e.previous.front()].name);
  else if (e.unsettled && !e.previous.empty())
    text += "; second chance finds flows that " + hops(pool, e) + " still " + (e.previous.size() == 1 ? "has" : "have");
  return text;
}

std::string why_served(const ControlPlane& control_plane, const Explanation& e, std::uint64_t generation) {
  const config::Pool& pool = control_plane.config().pools[*e.pool];
  if (!e.backend)
    return fmt::format("pool {} has no usable backend in generation {}{}", pool.name, generation, exceptions(pool, e));
  return fmt::format("slot {} of {} of pool {} belongs to backend {} in generation {}{}{}", index(*e.slot),
                     e.slot_count, pool.name, pool.backends[*e.backend].name, generation,
                     fail_open_note(control_plane.desired().backends[*e.pool][*e.backend]), exceptions(pool, e));
}

std::string why(const ControlPlane& control_plane, const TablesView& view, const Flow& flow, const Explanation& e) {
  const std::uint64_t generation = number(view.generation);
  if (e.vip == nullptr) return why_no_vip(flow, e, generation);
  if (e.verdict == Explanation::Verdict::drop_bad_source)
    return fmt::format("no packet for a VIP may come from {}", guideway::to_text(flow.source, flow.family));
  return e.pool ? why_served(control_plane, e, generation) : why_unserved(flow, e, generation);
}

// With the bits that the encap stage takes from the flow.
IpAddress outer_source(const Egress& egress, const Explanation& e) {
  IpAddress source = egress.source;
  const std::uint32_t bits = entropy_of(e.hash) & e.outer->source_entropy.host();
  std::uint8_t* last = source.bytes.data() + source.bytes.size() - sizeof(Be32);
  store(last, Be32::from_host(load<Be32>(last).host() | bits));
  return source;
}

// REQUIRES: e.outer.
json outer_json(const ControlPlane& control_plane, const Explanation& e) {
  const Egress egress = egress_of(*e.record, *e.outer);
  const auto& ports = control_plane.config().dataplane.ports;
  json outer = {{"next_hop_mac", guideway::to_text(egress.next_hop_mac)},
                {"vlans", egress.vlans},
                {"port", egress.port < ports.size() ? ports[egress.port].name : ""},
                {"path_mtu_bytes", egress.path_mtu_bytes}};
  if (e.outer->encap != Encap::l2dsr) {
    outer["source"] = guideway::to_text(outer_source(egress, e));
    outer["destination"] = guideway::to_text(e.record->address);
  }
  if (e.outer->encap == Encap::gue0 || e.outer->encap == Encap::gue1) {
    outer["source_port"] = gue_source_port(entropy_of(e.hash));
    outer["destination_port"] = kGuePort;
  }
  return outer;
}

}  // namespace

json explanation_json(const ControlPlane& control_plane, const TablesView& view, const Flow& flow,
                      const Explanation& e) {
  json answer = {{"generation", number(view.generation)},
                 {"own", e.own},
                 {"vip", nullptr},
                 {"pool", nullptr},
                 {"hash", nullptr},
                 {"slot", nullptr},
                 {"slots", nullptr},
                 {"previous", json::array()},
                 {"backend", nullptr},
                 {"encapsulation", nullptr},
                 {"outer", nullptr},
                 {"verdict", controlplane::to_text(e.verdict)},
                 {"why", why(control_plane, view, flow, e)}};
  if (!e.pool) return answer;
  const config::Vip& vip = control_plane.config().vips[*e.vip_index];
  const config::Pool& pool = control_plane.config().pools[*e.pool];
  answer["vip"] = {{"name", vip.name},
                   {"address", guideway::to_text(vip.prefix)},
                   {"port", port_json(vip)},
                   {"protocol", protocol_of(vip)}};
  answer["pool"] = pool.name;
  answer["hash"] = "0x" + to_hex(e.hash);
  answer["slots"] = e.slot_count;
  for (const std::uint32_t previous : e.previous) answer["previous"].push_back(pool.backends[previous].name);
  if (!e.backend) return answer;
  answer["slot"] = index(*e.slot);
  answer["backend"] = {
      {"pool", pool.name}, {"name", pool.backends[*e.backend].name}, {"address", guideway::to_text(e.record->address)}};
  if (e.outer == nullptr) return answer;
  answer["encapsulation"] = guideway::to_text(e.outer->encap);
  answer["outer"] = outer_json(control_plane, e);
  return answer;
}

}  // namespace guideway::controlplane::api
