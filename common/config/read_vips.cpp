#include <algorithm>
#include <map>
#include <tuple>

#include "common/config/kinds.h"
#include "common/config/read_quic.h"
#include "common/config/sections.h"
#include "common/config/words.h"
#include "common/net/address_text.h"

namespace guideway::config {
namespace {

constexpr std::size_t kAddressesPerVipMax = 256;

struct Protocol {
  IpProto number;
  bool quic;
};
constexpr Protocol kTcp{IpProto::tcp, false};
constexpr Protocol kUdp{IpProto::udp, false};
constexpr Protocol kQuic{IpProto::udp, true};

std::string protocol_of(const Vip& vip) {
  return vip.protocol == IpProto::tcp ? "tcp" : vip.quic ? "quic" : "udp";
}

// What the VIPs so far have taken, and where.
class Services {
 public:
  void add(const Vip& vip, Place place, Review& review) {
    const auto [at, is_new] = services_.try_emplace({vip.prefix, vip.port, vip.protocol}, Holder{vip, place});
    if (is_new) return;
    const auto& [other, other_place] = at->second;
    review.error(place, "VIP " + in_quotes(other.name) + " (line " + std::to_string(other_place.line) + ") has " +
                            to_text_with_port(vip.prefix, vip.port) + " " + protocol_of(other) + " already" +
                            (other.quic != vip.quic ? "; quic is udp on the wire, so keep one" : ""));
  }

 private:
  struct Holder {
    Vip vip;
    Place place;
  };
  std::map<std::tuple<IpPrefix, std::uint16_t, IpProto>, Holder> services_;
};

// A port, or "any", which is 0.
std::optional<std::uint16_t> port_or_any(const Field& field) {
  const auto* word = std::get_if<std::string>(&field.value.data);
  if (word == nullptr) return integer<std::uint16_t>(1, 65535)(field);
  if (*word == "any") return std::uint16_t{0};
  return field.error("must be a number from 1 to 65535 or \"any\", not " + in_quotes(*word));
}

std::vector<Protocol> read_protocols(Section& section) {
  std::vector<Protocol> protocols{kTcp};
  const auto kind = choice<Protocol>({{"tcp", kTcp}, {"udp", kUdp}, {"quic", kQuic}});
  section.optional("protocol", protocols, one_or_list_of(kind, 2));
  const auto is_udp = [](bool quic) {
    return [=](const Protocol& p) { return p.number == IpProto::udp && p.quic == quic; };
  };
  if (std::ranges::any_of(protocols, is_udp(false)) && std::erase_if(protocols, is_udp(true)) > 0)
    section.review().error(section.place_of("protocol"), "protocol has both \"udp\" and \"quic\"; keep one");
  return protocols;
}

void read_policy(Section& section, Vip& vip) {
  section.optional(
      "announce", vip.announce,
      choice<Announce>({{"healthy", Announce::healthy}, {"always", Announce::always}, {"never", Announce::never}}));
  section.optional("echo", vip.echo,
                   choice<Echo>({{"answer", Echo::answer}, {"healthy", Echo::healthy}, {"drop", Echo::drop}}));
  section.optional(
      "unserved", vip.unserved,
      choice<Unserved>({{"drop", Unserved::drop}, {"kernel", Unserved::kernel}, {"reject", Unserved::reject}}));
  section.optional("no_backend", vip.no_backend,
                   choice<NoBackend>({{"drop", NoBackend::drop}, {"reject", NoBackend::reject}}));
}

// What plain UDP is tracked by: nothing in it tells a new flow from an old one.
Tracking tracking_of(const Protocol& protocol, std::optional<Tracking> wanted) {
  const bool plain_udp = protocol.number == IpProto::udp && !protocol.quic;
  return wanted.value_or(plain_udp ? Tracking::all : Tracking::moved);
}

std::optional<Tracking> read_tracking(Section& section, const std::vector<Protocol>& protocols, const Pool* pool) {
  std::optional<Tracking> tracking;
  section.optional(
      "tracking", tracking,
      choice<std::optional<Tracking>>({{"moved", Tracking::moved}, {"all", Tracking::all}, {"none", Tracking::none}}));
  const auto is_plain_udp = [](const Protocol& p) { return p.number == IpProto::udp && !p.quic; };
  if (tracking == Tracking::moved && std::ranges::any_of(protocols, is_plain_udp))
    section.review().error(section.place_of("tracking"),
                           "tracking = \"moved\" needs packets that tell a new flow from an old one, which plain udp "
                           "does not have; use \"all\" or \"none\", or a VIP of its own for udp");
  const bool needs_all =
      pool != nullptr && (pool->scheduler == Scheduler::round_robin || pool->scheduler == Scheduler::least_connections);
  if (needs_all && tracking && *tracking != Tracking::all)
    section.review().error(section.place_of("tracking"),
                           "pool " + in_quotes(pool->name) +
                               " has a scheduler that depends on what came before: its VIPs need tracking = \"all\"");
  return needs_all ? Tracking::all : tracking;
}

// The VIPs read so far, from every side.
struct Reading {
  Config& config;
  Services services;
  VipPrefixes prefixes;
};

void read_vip(Section& section, Names& pool_names, Vip vip, Reading& reading) {
  std::vector<Located<IpPrefix>> prefixes;
  std::optional<std::uint16_t> port;
  std::optional<std::size_t> pool;
  section.required("address", prefixes, one_or_list_of(located(unicast_prefix), kAddressesPerVipMax));
  section.required("port", port, port_or_any);
  const std::vector<Protocol> protocols = read_protocols(section);
  section.required("pool", pool, pool_names.reference());
  if (pool && std::ranges::any_of(protocols, &Protocol::quic)) require_quic(section, reading.config.pools[*pool]);
  read_policy(section, vip);
  const auto tracking = read_tracking(section, protocols, pool ? &reading.config.pools[*pool] : nullptr);
  vip.port = port.value_or(0);
  vip.pool = pool.value_or(0);
  for (const auto& [prefix, place] : prefixes) {
    vip.prefix = prefix;
    reading.prefixes.add(vip, place, section.review());
    for (const Protocol& protocol : protocols) {
      vip.protocol = protocol.number;
      vip.quic = protocol.quic;
      vip.tracking = tracking_of(protocol, tracking);
      if (port) reading.services.add(vip, place, section.review());
      reading.config.vips.push_back(vip);
    }
  }
}

}  // namespace

VipPrefixes read_vips(Section& root, Names& pool_names, Config& config) {
  Reading reading{config, {}, {}};
  Names names("VIP");
  root.each_named("vip", [&](const std::string& name, Section& section) {
    names.add(name, section);
    const bool fitted = config.vips.size() <= config.dataplane.vips_max;
    Vip vip;
    vip.name = name;
    read_vip(section, pool_names, std::move(vip), reading);
    if (fitted && config.vips.size() > config.dataplane.vips_max)
      section.review().error(section.place(), "here are more than " + std::to_string(config.dataplane.vips_max) +
                                                  " VIPs in all; raise dataplane.vips_max");
  });
  return std::move(reading.prefixes);
}

}  // namespace guideway::config
