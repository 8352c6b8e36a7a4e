// Config → DesiredTables, given what is known of each backend now. The control plane calls it with what it knows
// (controlplane/desired_state.h); who has no network asks for the tables of a good day.
//
// Thread-safety: pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "common/config/config.h"
#include "common/tables/image.h"

namespace guideway {

// What is known of a backend besides its configuration.
struct BackendNow {
  std::uint32_t weight = 0;  // in force: 0 when drained, unreachable, or down and the pool does not fail open
  bool alive = true;         // may keep the connections it has
  std::uint32_t stats_index = 0;
  // By routes and neighbours; what the configuration says of its port and its path MTU is filled in by
  // tables_from_config().
  std::optional<Egress> egress;
  bool healthy = true;  // its checks say that it is up, whether the pool believes them or not
};

// `backends` by pool and backend, `vip_stats_indices` by VIP, as they stand in the configuration.
// REQUIRES: both have one element for each.
DesiredTables tables_from_config(const config::Config& config, const std::vector<std::vector<BackendNow>>& backends,
                                 const std::vector<std::uint32_t>& vip_stats_indices);

// The MAC address of every port in tables_offline().
inline constexpr MacAddress kOfflinePortMac{{0x02, 0, 0, 0, 0, 1}};

// As if every backend were healthy and everything left by the first port, with the next_hop_mac, source_addresses and
// mtu that the file gives it. Where it gives none: next hop 02:00:00:00:00:02, sources 192.0.0.8 (the dummy address of
// RFC 7600) and 100::1 (of the discard prefix, RFC 6666), 1500 bytes. The port's own MAC address is kOfflinePortMac.
// Stats indices count backends in the order of the file.
std::vector<std::vector<BackendNow>> backends_offline(const config::Config& config);

// What is known of backends is given. Stats indices count VIPs in the order of the file.
// REQUIRES: as of tables_from_config().
DesiredTables tables_offline(const config::Config& config, const std::vector<std::vector<BackendNow>>& backends);
inline DesiredTables tables_offline(const config::Config& config) {
  return tables_offline(config, backends_offline(config));
}

}  // namespace guideway
