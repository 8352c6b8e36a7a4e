// Where configuration, health, next hops and operators' intents meet. Nothing else in the control plane decides which
// backend takes flows or which VIP is announced.
//
//   Config ─┐
//   health ─┼─► decide() ─► DesiredTables (what to publish) and, for each backend, the state behind it
//   egress ─┤
//   intents ┘
//
// Thread-safety: pure function of plain values.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "common/config/config.h"
#include "common/tables/image.h"
#include "controlplane/health/health_state.h"
#include "controlplane/intents.h"
#include "controlplane/stats_indices.h"

namespace guideway::controlplane {

// What is checked: pools that share a backend's address and a check share the verdict.
struct HealthTarget {
  IpAddress address;
  std::string check;  // its name
  friend auto operator<=>(const HealthTarget&, const HealthTarget&) = default;
};

struct ServiceKey {
  IpPrefix prefix;
  std::uint16_t port = 0;
  IpProto protocol = IpProto::tcp;
  friend auto operator<=>(const ServiceKey&, const ServiceKey&) = default;
};
inline ServiceKey key_of(const config::Vip& vip) {
  return {vip.prefix, vip.port, vip.protocol};
}

struct BackendKey {
  std::string pool;
  IpAddress address;
  friend auto operator<=>(const BackendKey&, const BackendKey&) = default;
};

struct Facts {
  const config::Config& config;
  const Intents& intents;
  const std::map<HealthTarget, Health>& health;  // absent: unknown
  const std::map<IpAddress, Egress>& egress;     // by backend address; absent: no next hop
  const std::set<IpAddress>& behind_gateway;     // of them, those that l2dsr cannot reach
  const std::set<std::string>& waiting;          // pools that take no flows before all their backends were checked
  const std::set<std::string>& held_open;        // pools that fail open for a while yet (fail_open.h)
  const StatsIndices<ServiceKey>& vip_indices;
  const StatsIndices<BackendKey>& backend_indices;
  Deadline now;  // drains with an earlier deadline are over
};

enum class BackendState { up, down, unknown, drained, removed, unreachable };
const char* to_text(BackendState state);

struct BackendDecision {
  BackendState state = BackendState::unknown;
  std::uint32_t weight = 0;  // in force: 0 unless up, or down in a pool that fails open
  bool usable() const { return weight > 0; }
  friend bool operator==(const BackendDecision&, const BackendDecision&) = default;
};

struct DesiredState {
  DesiredTables tables;                                // pools and VIPs in the order of the configuration
  std::vector<std::vector<BackendDecision>> backends;  // by pool, by backend
  std::vector<bool> fails_open;                        // by pool: its backends that are down take flows (fail_open.h)
};

DesiredState decide(const Facts& facts);

// The check that a pool's backends are subject to; nullptr if they count as healthy without one.
const config::HealthCheck* health_check_of(const config::Config& config, const config::Pool& pool);

// What is known of a backend, before anything is decided: what its check says, which is unknown while the pool waits,
// and what the operator wants.
Health health_of(const Facts& facts, const config::Pool& pool, const config::Backend& backend);
Intent intent_of(const Facts& facts, const config::Pool& pool, const config::Backend& backend);

// What the checks of `next` take for granted of the backends that its pools have already: what counts of them now. Else
// a pool that gets another check, or its first one, would be without backends until they were asked.
std::map<HealthTarget, Health> health_kept_by(const config::Config& next, const Facts& facts);

}  // namespace guideway::controlplane
