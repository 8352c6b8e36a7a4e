#include <algorithm>

#include "common/config/kinds.h"
#include "common/config/sections.h"
#include "common/config/words.h"

namespace guideway::config {
namespace {

using namespace std::chrono_literals;

template <typename Kind>
auto of_family(Family family, Kind kind) {
  return [=](const Field& field) -> std::optional<IpAddress> {
    const std::optional<IpAddress> ip = kind(field);
    if (ip && ip->family() != family)
      return field.error(family == Family::ipv4 ? "must be an IPv4 address" : "must be an IPv6 address");
    return ip;
  };
}

// RFC 4271, section 4.2: in whole seconds, and at least 3.
std::optional<std::uint16_t> hold_time_s(const Field& field) {
  const auto time = duration_in(field, 3s, 65535s);
  if (!time) return std::nullopt;
  if (time->count() % 1000 != 0) return field.error("must be in whole seconds");
  return static_cast<std::uint16_t>(time->count() / 1000);
}

void require_next_hop(Section& section, const std::vector<Vip>& vips, Family family, const char* key, bool is_there) {
  const auto needs_it = [&](const Vip& vip) {
    return vip.announce != Announce::never && vip.prefix.address.family() == family;
  };
  const auto vip = std::find_if(vips.begin(), vips.end(), needs_it);
  if (is_there || vip == vips.end() || section.has(key)) return;
  section.review().error(section.place(), "missing key " + std::string(key) + " in bgp: VIP " + in_quotes(vip->name) +
                                              " is to be announced");
}

void judge_session(Section& section, const std::vector<Vip>& vips, const Bgp& bgp) {
  for (const char* key : {"peer", "source", "local_as", "router_id"})
    if (!section.has(key)) section.missing(key);
  require_next_hop(section, vips, Family::ipv4, "next_hop4", bgp.next_hop4.has_value());
  require_next_hop(section, vips, Family::ipv6, "next_hop6", bgp.next_hop6.has_value());
  if (!section.has("peer") || !section.has("source")) return;
  if (bgp.peer.family() != bgp.source.family())
    section.review().error(section.place_of("source"), "source and peer must be of one family");
  if (bgp.peer == bgp.source)
    section.review().error(section.place_of("source"),
                           "source must differ from peer; on one host use 127.0.0.1 and 127.0.0.2");
}

}  // namespace

void read_bgp(Section& root, const std::vector<Vip>& vips, Bgp& bgp) {
  root.in("bgp", [&](Section& section) {
    section.optional("enabled", bgp.enabled, boolean);
    section.optional("peer", bgp.peer, host_address);
    section.optional("peer_port", bgp.peer_port, integer<std::uint16_t>(1, 65535));
    section.optional("source", bgp.source, host_address);
    section.optional("local_as", bgp.local_as, integer(1U, 4294967294U));
    // RFC 4271, section 6.2: other speakers may refuse what is no host's.
    section.optional("router_id", bgp.router_id, of_family(Family::ipv4, host_address));
    section.optional("next_hop4", bgp.next_hop4, of_family(Family::ipv4, unicast_address));
    section.optional("next_hop6", bgp.next_hop6, of_family(Family::ipv6, unicast_address));
    section.optional("hold_time", bgp.hold_time_s, hold_time_s);
    section.optional("shutdown_linger", bgp.shutdown_linger, duration(0ms, 60s));
    if (bgp.enabled) judge_session(section, vips, bgp);
  });
}

}  // namespace guideway::config
