#include "controlplane/desired_state.h"

#include <algorithm>
#include <set>

namespace guideway::controlplane {
namespace {

Health health_of(const Facts& facts, const config::Pool& pool, const config::Backend& backend) {
  const config::HealthCheck* check = health_check_of(facts.config, pool);
  if (check == nullptr) return Health::up;
  const auto found = facts.health.find({backend.address, check->name});
  return found == facts.health.end() ? Health::unknown : found->second;
}

BackendState state_of(const Facts& facts, const config::Pool& pool, const config::Backend& backend,
                      const Intent& intent) {
  if (intent.drained) return BackendState::drained;
  switch (health_of(facts, pool, backend)) {
    case Health::down:
      return BackendState::down;
    case Health::unknown:
      return BackendState::unknown;
    case Health::up:
      break;
  }
  return facts.egress.contains(backend.address) ? BackendState::up : BackendState::unreachable;
}

BackendDecision decide_backend(const Facts& facts, const config::Pool& pool, const config::Backend& backend) {
  const auto found = facts.intents.find({pool.name, backend.name});
  const Intent intent = found == facts.intents.end() ? Intent{} : found->second;
  const BackendState state = state_of(facts, pool, backend, intent);
  return {state, state == BackendState::up ? intent.weight.value_or(backend.weight) : 0U};
}

DesiredBackend to_desired(const Facts& facts, const config::Pool& pool, const config::Backend& backend,
                          const BackendDecision& decision) {
  DesiredBackend desired;
  desired.address = backend.address;
  desired.weight = decision.weight;
  desired.stats_index = facts.backend_indices.at({pool.name, backend.address});
  const auto egress = facts.egress.find(backend.address);
  if (egress != facts.egress.end()) desired.egress = egress->second;
  return desired;
}

// The addresses with at least one service that can be served now.
std::set<IpAddress> usable_addresses(const config::Config& config, const DesiredState& state) {
  std::set<IpAddress> usable;
  for (const config::Vip& vip : config.vips)
    if (std::ranges::any_of(state.backends[vip.pool], &BackendDecision::usable)) usable.insert(vip.address);
  return usable;
}

bool announce(const config::Vip& vip, const std::set<IpAddress>& usable) {
  switch (vip.announce) {
    case config::Announce::always:
      return true;
    case config::Announce::never:
      return false;
    case config::Announce::healthy:
      return usable.contains(vip.address);
  }
  return false;
}

}  // namespace

const char* to_text(BackendState state) {
  switch (state) {
    case BackendState::up:
      return "up";
    case BackendState::down:
      return "down";
    case BackendState::unknown:
      return "unknown";
    case BackendState::drained:
      return "drained";
    case BackendState::unreachable:
      return "unreachable";
  }
  return "?";
}

const config::HealthCheck* health_check_of(const config::Config& config, const config::Pool& pool) {
  if (!pool.health_check) return nullptr;
  const config::HealthCheck& check = config.health_checks[*pool.health_check];
  return check.type == config::CheckType::none ? nullptr : &check;
}

DesiredState decide(const Facts& facts) {
  const config::Config& config = facts.config;
  DesiredState state;
  state.tables.hash_secret = config.flow_hash.secret;
  state.tables.config_digest = config.digest;
  for (const config::Pool& pool : config.pools) {
    DesiredPool& desired = state.tables.pools.emplace_back();
    desired.encap = pool.encap;
    desired.slot_count = pool.slots;
    auto& decisions = state.backends.emplace_back();
    for (const config::Backend& backend : pool.backends) {
      decisions.push_back(decide_backend(facts, pool, backend));
      desired.backends.push_back(to_desired(facts, pool, backend, decisions.back()));
    }
  }
  const std::set<IpAddress> usable = usable_addresses(config, state);
  for (const config::Vip& vip : config.vips)
    state.tables.vips.push_back({vip.address, vip.port, vip.protocol, static_cast<std::uint32_t>(vip.pool),
                                 facts.vip_indices.at(key_of(vip)), announce(vip, usable), vip.unserved});
  return state;
}

}  // namespace guideway::controlplane
