#include "controlplane/desired_state.h"

#include <algorithm>

#include "common/tables/from_config.h"
#include "controlplane/fail_open.h"

namespace guideway::controlplane {
namespace {

// nullptr: there is no way out to it. A router would send a packet that is still for the VIP back to us.
const Egress* egress_of(const Facts& facts, const config::Pool& pool, const config::Backend& backend) {
  if (pool.encap == Encap::l2dsr && facts.behind_gateway.contains(backend.address)) return nullptr;
  const auto found = facts.egress.find(backend.address);
  return found == facts.egress.end() ? nullptr : &found->second;
}

BackendState state_of(const Facts& facts, const config::Pool& pool, const config::Backend& backend,
                      const Intent& intent) {
  if (intent.drained) return intent.removes(facts.now) ? BackendState::removed : BackendState::drained;
  switch (health_of(facts, pool, backend)) {
    case Health::down:
      return BackendState::down;
    case Health::unknown:
      return BackendState::unknown;
    case Health::up:
      break;
  }
  return egress_of(facts, pool, backend) != nullptr ? BackendState::up : BackendState::unreachable;
}

BackendDecision decide_backend(const Facts& facts, const config::Pool& pool, const config::Backend& backend,
                               bool open) {
  const Intent intent = intent_of(facts, pool, backend);
  const BackendState state = state_of(facts, pool, backend, intent);
  const bool counts_as_up = open && state == BackendState::down && egress_of(facts, pool, backend) != nullptr;
  return {state, state == BackendState::up || counts_as_up ? intent.weight.value_or(backend.weight) : 0U};
}

BackendNow known_of(const Facts& facts, const config::Pool& pool, const config::Backend& backend,
                    const BackendDecision& decision, bool open) {
  BackendNow now;
  now.weight = decision.weight;
  const Health health = health_of(facts, pool, backend);
  now.healthy = health == Health::up;
  now.alive = (health != Health::down || open) && decision.state != BackendState::removed;
  now.stats_index = facts.backend_indices.at({pool.name, backend.address});
  if (const Egress* egress = egress_of(facts, pool, backend); egress != nullptr) now.egress = *egress;
  return now;
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
    case BackendState::removed:
      return "removed";
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

Health health_of(const Facts& facts, const config::Pool& pool, const config::Backend& backend) {
  const config::HealthCheck* check = health_check_of(facts.config, pool);
  if (check == nullptr) return Health::up;
  if (facts.waiting.contains(pool.name)) return Health::unknown;
  const auto found = facts.health.find({backend.address, check->name});
  return found == facts.health.end() ? Health::unknown : found->second;
}

Intent intent_of(const Facts& facts, const config::Pool& pool, const config::Backend& backend) {
  const auto found = facts.intents.find({pool.name, backend.name});
  return found == facts.intents.end() ? Intent{} : found->second;
}

std::map<HealthTarget, Health> health_kept_by(const config::Config& next, const Facts& facts) {
  std::map<HealthTarget, Health> kept;
  for (const config::Pool& pool : next.pools) {
    const config::HealthCheck* check = health_check_of(next, pool);
    const auto running = std::ranges::find(facts.config.pools, pool.name, &config::Pool::name);
    if (check == nullptr || running == facts.config.pools.end()) continue;
    for (const config::Backend& backend : running->backends)
      if (const Health health = health_of(facts, *running, backend); health != Health::unknown)
        kept.emplace(HealthTarget{backend.address, check->name}, health);
  }
  return kept;
}

DesiredState decide(const Facts& facts) {
  const config::Config& config = facts.config;
  DesiredState state;
  std::vector<std::vector<BackendNow>> backends;
  for (const config::Pool& pool : config.pools) {
    auto& decisions = state.backends.emplace_back();
    auto& known = backends.emplace_back();
    const bool open = fails_open(facts, pool);
    for (const config::Backend& backend : pool.backends) {
      decisions.push_back(decide_backend(facts, pool, backend, open));
      known.push_back(known_of(facts, pool, backend, decisions.back(), open));
    }
    state.fails_open.push_back(open);
  }
  std::vector<std::uint32_t> vip_indices;
  for (const config::Vip& vip : config.vips) vip_indices.push_back(facts.vip_indices.at(key_of(vip)));
  state.tables = tables_from_config(config, backends, vip_indices);
  return state;
}

}  // namespace guideway::controlplane
