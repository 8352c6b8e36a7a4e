#include "common/tables/from_config.h"

#include <algorithm>
#include <set>

namespace guideway {
namespace {

// The one of this family, of which a port has at most one.
template <typename T, typename FamilyOf>
const T* of_family(const std::vector<T>& all, Family family, FamilyOf family_of) {
  const auto found = std::ranges::find(all, family, family_of);
  return found == all.end() ? nullptr : &*found;
}
Family family_of(const IpPrefix& prefix) {
  return prefix.address.family();
}

bool varies_source(Encap encap) {
  return encap == Encap::ipip || encap == Encap::gre;
}

std::optional<Egress> configured_egress(const config::Config& config, const config::Pool& pool,
                                        const config::Backend& backend, std::optional<Egress> egress) {
  if (!egress || egress->port >= config.dataplane.ports.size()) return egress;
  const config::Port& port = config.dataplane.ports[egress->port];
  egress->vlans = port.vlans;
  egress->source_prefix.reset();
  if (const auto* prefix = of_family(port.ipip_source_prefixes, backend.address.family(), family_of);
      prefix != nullptr && varies_source(pool.encap))
    egress->source_prefix = *prefix;
  if (backend.mtu_bytes != 0) egress->path_mtu_bytes = backend.mtu_bytes;
  return egress;
}

DesiredPool make_pool(const config::Config& config, const config::Pool& pool, const std::vector<BackendNow>& backends) {
  DesiredPool desired;
  desired.encap = pool.encap;
  desired.slot_count = pool.slots;
  desired.dscp = pool.dscp;
  desired.oversize = pool.oversize;
  desired.quic = pool.quic;
  desired.scheduler = pool.scheduler;
  desired.source_bits4 = pool.source_bits4;
  desired.source_bits6 = pool.source_bits6;
  desired.second_chance = pool.second_chance;
  for (std::size_t b = 0; b < pool.backends.size(); b++) {
    const BackendNow& now = backends[b];
    desired.backends.push_back({pool.backends[b].address, now.weight, now.stats_index, now.alive,
                                configured_egress(config, pool, pool.backends[b], now.egress),
                                pool.backends[b].server_ids});
  }
  return desired;
}

// Backends that only fail-open gives flows to speak for none: with another load balancer they may be healthy.
bool takes_flows(const BackendNow& backend) {
  return backend.egress && backend.weight > 0 && backend.healthy;
}
// A drained one, too: its connections come by the address, and to withdraw that would break them.
bool keeps_connections(const BackendNow& backend) {
  return backend.egress && backend.alive && backend.healthy;
}

// The prefixes with at least one service with such a backend: what is said about an address is said for all of its
// services.
std::set<IpPrefix> prefixes_with(bool (*is_one)(const BackendNow&), const config::Config& config,
                                 const std::vector<std::vector<BackendNow>>& backends) {
  std::vector<bool> pools;
  pools.reserve(backends.size());
  for (const auto& of_pool : backends) pools.push_back(std::ranges::any_of(of_pool, is_one));
  std::set<IpPrefix> prefixes;
  for (const config::Vip& vip : config.vips)
    if (pools[vip.pool]) prefixes.insert(vip.prefix);
  return prefixes;
}

bool announces(config::Announce announce, bool kept) {
  return announce == config::Announce::always || (announce == config::Announce::healthy && kept);
}

bool answers_echo(config::Echo echo, bool usable) {
  return echo == config::Echo::answer || (echo == config::Echo::healthy && usable);
}

// `usable`, `kept`: whether a backend takes flows to its prefix, or keeps connections.
DesiredVip make_vip(const config::Vip& vip, std::uint32_t stats_index, bool usable, bool kept) {
  DesiredVip desired;
  desired.prefix = vip.prefix;
  desired.port = vip.port;
  desired.protocol = vip.protocol;
  desired.pool = static_cast<std::uint32_t>(vip.pool);
  desired.stats_index = stats_index;
  desired.announce = announces(vip.announce, kept);
  desired.echo = answers_echo(vip.echo, usable);
  desired.quic = vip.quic;
  desired.unserved = vip.unserved;
  desired.no_backend = vip.no_backend;
  desired.tracking = vip.tracking;
  return desired;
}

// What the ports are told to use is ours even while nothing leaves with it.
std::vector<IpPrefix> own_prefixes(const config::Config& config, const std::vector<DesiredPool>& pools) {
  std::set<IpPrefix> own;
  for (const config::Port& port : config.dataplane.ports) {
    for (const IpAddress& source : port.source_addresses) own.insert(IpPrefix::of(source));
    own.insert(port.ipip_source_prefixes.begin(), port.ipip_source_prefixes.end());
  }
  for (const DesiredPool& pool : pools) {
    if (pool.encap == Encap::l2dsr) continue;
    for (const DesiredBackend& backend : pool.backends)
      if (backend.egress) own.insert(backend.egress->source_prefix.value_or(IpPrefix::of(backend.egress->source)));
  }
  return {own.begin(), own.end()};
}

// ---- offline -------------------------------------------------------------------------------------------------------

constexpr MacAddress kStandInNextHop{{0x02, 0, 0, 0, 0, 2}};
constexpr std::uint16_t kStandInMtu = 1500;
constexpr IpAddress kStandInSource4 = IpAddress::from_v4(Be32::from_host(0xc0000008));
constexpr IpAddress kStandInSource6{{0x01, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}};

Egress offline_egress(const config::Port& port, const IpAddress& backend) {
  Egress egress;
  egress.source_mac = kOfflinePortMac;
  egress.next_hop_mac = port.next_hop_mac.value_or(kStandInNextHop);
  const auto* source =
      of_family(port.source_addresses, backend.family(), [](const IpAddress& address) { return address.family(); });
  egress.source = source != nullptr ? *source : backend.is_v4() ? kStandInSource4 : kStandInSource6;
  egress.path_mtu_bytes = port.mtu_bytes != 0 ? port.mtu_bytes : kStandInMtu;
  return egress;
}

}  // namespace

DesiredTables tables_from_config(const config::Config& config, const std::vector<std::vector<BackendNow>>& backends,
                                 const std::vector<std::uint32_t>& vip_stats_indices) {
  DesiredTables tables;
  tables.hash_secret = config.flow_hash.secret;
  tables.config_digest = config.digest;
  for (std::size_t p = 0; p < config.pools.size(); p++)
    tables.pools.push_back(make_pool(config, config.pools[p], backends[p]));
  const std::set<IpPrefix> usable = prefixes_with(takes_flows, config, backends);
  const std::set<IpPrefix> kept = prefixes_with(keeps_connections, config, backends);
  for (std::size_t v = 0; v < config.vips.size(); v++) {
    const config::Vip& vip = config.vips[v];
    tables.vips.push_back(make_vip(vip, vip_stats_indices[v], usable.contains(vip.prefix), kept.contains(vip.prefix)));
  }
  tables.own = own_prefixes(config, tables.pools);
  return tables;
}

std::vector<std::vector<BackendNow>> backends_offline(const config::Config& config) {
  std::vector<std::vector<BackendNow>> backends;
  std::uint32_t stats_index = 0;
  for (const config::Pool& pool : config.pools) {
    auto& of_pool = backends.emplace_back();
    for (const config::Backend& backend : pool.backends)
      of_pool.push_back(
          {backend.weight, true, stats_index++, offline_egress(config.dataplane.ports.front(), backend.address)});
  }
  return backends;
}

DesiredTables tables_offline(const config::Config& config, const std::vector<std::vector<BackendNow>>& backends) {
  std::vector<std::uint32_t> vips(config.vips.size());
  std::ranges::generate(vips, [next = 0U]() mutable { return next++; });
  return tables_from_config(config, backends, vips);
}

}  // namespace guideway
