#include "controlplane/plan.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/net/address_text.h"
#include "common/tables/slot_table.h"
#include "controlplane/text.h"

namespace guideway::controlplane {
namespace {

using Change = Plan::Change;

// ---- the state that the other configuration leads to ---------------------------------------------------------------

std::set<IpAddress> backends_of(const config::Config& config) {
  std::set<IpAddress> addresses;
  for (const config::Pool& pool : config.pools)
    for (const config::Backend& backend : pool.backends) addresses.insert(backend.address);
  return addresses;
}

std::map<HealthTarget, Health> hoped_health(const PlanFacts& facts) {
  std::map<HealthTarget, Health> health = facts.running.health;
  for (const config::Pool& pool : facts.other.pools)
    if (const config::HealthCheck* check = health_check_of(facts.other, pool); check != nullptr)
      for (const config::Backend& backend : pool.backends) {
        Health& verdict = health.try_emplace({backend.address, check->name}, Health::unknown).first->second;
        if (verdict == Health::unknown) verdict = Health::up;
      }
  return health;
}

std::map<IpAddress, Egress> hoped_egress(const PlanFacts& facts) {
  std::map<IpAddress, Egress> egress = facts.running.egress;
  const std::set<IpAddress> known = backends_of(facts.running.config);
  for (const IpAddress& address : backends_of(facts.other))
    if (!known.contains(address)) egress.try_emplace(address);
  return egress;
}

DesiredState state_after(const PlanFacts& facts) {
  const auto health = hoped_health(facts);
  const auto egress = hoped_egress(facts);
  const Facts& now = facts.running;
  DesiredState after =
      decide({facts.other, now.intents, health, egress, now.behind_gateway, {}, now.held_open, {}, {}, now.now});
  for (std::size_t p = 0; p < after.tables.pools.size(); p++) {
    DesiredPool& pool = after.tables.pools[p];
    pool.past = facts.eras.past_if(facts.other.pools[p].name, pool.slot_count, weights_of(pool), now.now);
  }
  return after;
}

// ---- VIPs ----------------------------------------------------------------------------------------------------------

using Keys = std::vector<std::string>;

void add_unless(Keys& keys, bool same, const char* key) {
  if (!same) keys.emplace_back(key);
}

Keys differing_keys(const PlanFacts& facts, const config::Vip& before, const config::Vip& after) {
  Keys keys;
  add_unless(keys, before.name == after.name, "name");
  add_unless(keys, facts.running.config.pools[before.pool].name == facts.other.pools[after.pool].name, "pool");
  add_unless(keys, before.quic == after.quic, "protocol");
  add_unless(keys, before.announce == after.announce, "announce");
  add_unless(keys, before.echo == after.echo, "echo");
  add_unless(keys, before.unserved == after.unserved, "unserved");
  add_unless(keys, before.no_backend == after.no_backend, "no_backend");
  add_unless(keys, before.tracking == after.tracking, "tracking");
  return keys;
}

std::map<ServiceKey, const config::Vip*> by_service(const config::Config& config) {
  std::map<ServiceKey, const config::Vip*> vips;
  for (const config::Vip& vip : config.vips) vips.emplace(key_of(vip), &vip);
  return vips;
}

void plan_vips(const PlanFacts& facts, Plan& plan) {
  const auto before = by_service(facts.running.config);
  const auto after = by_service(facts.other);
  for (const auto& [key, vip] : after) {
    const auto was = before.find(key);
    if (was == before.end()) {
      plan.vips.push_back({vip->name, key, Change::added, {}});
    } else if (Keys keys = differing_keys(facts, *was->second, *vip); !keys.empty()) {
      plan.vips.push_back({vip->name, key, Change::changed, std::move(keys)});
    }
  }
  for (const auto& [key, vip] : before)
    if (!after.contains(key)) plan.vips.push_back({vip->name, key, Change::removed, {}});
}

// ---- pools ---------------------------------------------------------------------------------------------------------

bool same_check(const PlanFacts& facts, const config::Pool& before, const config::Pool& after) {
  const config::HealthCheck* was = health_check_of(facts.running.config, before);
  const config::HealthCheck* is = health_check_of(facts.other, after);
  return was == nullptr || is == nullptr ? was == is : *was == *is;
}

Keys differing_keys(const PlanFacts& facts, const config::Pool& before, const config::Pool& after) {
  Keys keys;
  add_unless(keys, before.encap == after.encap, "encap");
  add_unless(keys, before.slots == after.slots, "slots");
  add_unless(keys, before.dscp == after.dscp, "dscp");
  add_unless(keys, before.oversize == after.oversize, "oversize");
  add_unless(keys, same_check(facts, before, after), "health_check");
  add_unless(keys, before.fail_open_below == after.fail_open_below, "fail_open_below");
  add_unless(keys, before.scheduler == after.scheduler, "scheduler");
  add_unless(keys, before.source_bits4 == after.source_bits4, "source_bits_ipv4");
  add_unless(keys, before.source_bits6 == after.source_bits6, "source_bits_ipv6");
  add_unless(keys, before.second_chance == after.second_chance, "second_chance");
  add_unless(keys, before.quic == after.quic, "quic");
  return keys;
}

const config::Backend* find_backend(const config::Pool& pool, const IpAddress& address) {
  const auto found = std::ranges::find(pool.backends, address, &config::Backend::address);
  return found == pool.backends.end() ? nullptr : &*found;
}

bool is_same(const config::Backend& a, const config::Backend& b) {
  return a.name == b.name && a.weight == b.weight && a.mtu_bytes == b.mtu_bytes && a.server_ids == b.server_ids;
}

// `before` and `after`: the pool in the two configurations; nullptr: it is not there.
void plan_backends(const PlanFacts& facts, const config::Pool* before, const config::Pool* after,
                   Plan::PlannedPool& planned) {
  static const config::Pool kNoPool;
  const config::Pool& was = before == nullptr ? kNoPool : *before;
  const config::Pool& is = after == nullptr ? kNoPool : *after;
  for (const config::Backend& backend : is.backends) {
    const config::Backend* known = find_backend(was, backend.address);
    if (known == nullptr)
      planned.backends.push_back({backend.name, backend.address, Change::added, 0, backend.weight, {}});
    else if (!is_same(*known, backend))
      planned.backends.push_back({backend.name, backend.address, Change::changed, known->weight, backend.weight,
                                  facts.flows({was.name, backend.address})});
  }
  for (const config::Backend& backend : was.backends) {
    if (find_backend(is, backend.address) != nullptr) continue;
    const auto flows = facts.flows({was.name, backend.address});
    planned.backends.push_back({backend.name, backend.address, Change::removed, backend.weight, 0, flows});
    planned.removed_flows += flows.value_or(0);
  }
}

struct OwnedSlots {
  Weights weights;
  std::vector<SlotEntry> slots;  // empty: nobody takes flows
  IpAddress owner(std::size_t slot) const { return weights[slots[slot]].address; }
};

OwnedSlots owned_slots(const DesiredPool& pool) {
  OwnedSlots owned{weights_of(pool), {}};
  owned.slots = build_slot_table(owned.weights, pool.slot_count);
  return owned;
}

// Slots that have an owner now, and another one or none then.
std::uint32_t moved_slots(const DesiredPool& before, const DesiredPool* after) {
  const OwnedSlots was = owned_slots(before);
  if (after == nullptr || after->slot_count != before.slot_count) return static_cast<std::uint32_t>(was.slots.size());
  const OwnedSlots is = owned_slots(*after);
  if (is.slots.empty()) return static_cast<std::uint32_t>(was.slots.size());
  std::uint32_t moved = 0;
  for (std::size_t s = 0; s < was.slots.size(); s++) moved += was.owner(s) == is.owner(s) ? 0U : 1U;
  return moved;
}

const config::Pool* find_pool(const config::Config& config, const std::string& name) {
  const auto found = std::ranges::find(config.pools, name, &config::Pool::name);
  return found == config.pools.end() ? nullptr : &*found;
}

std::size_t position_of(const config::Config& config, const config::Pool& pool) {
  return static_cast<std::size_t>(&pool - config.pools.data());
}

void plan_pool(const PlanFacts& facts, const DesiredState& after, const TableImage& image, const config::Pool& pool,
               Plan& plan) {
  const config::Pool* before = find_pool(facts.running.config, pool.name);
  const std::size_t position = position_of(facts.other, pool);
  Plan::PlannedPool planned;
  planned.name = pool.name;
  planned.change = before == nullptr ? Change::added : Change::changed;
  planned.slots_after = pool.slots;
  planned.unsettled_slots = image.pools[position].unsettled_slots;
  planned.crowded_slots = image.pools[position].crowded_slots;
  plan_backends(facts, before, &pool, planned);
  if (before != nullptr) {
    planned.slots_before = before->slots;
    planned.keys = differing_keys(facts, *before, pool);
    const DesiredPool& now = facts.desired.tables.pools[position_of(facts.running.config, *before)];
    planned.moved_slots = moved_slots(now, &after.tables.pools[position]);
    if (planned.keys.empty() && planned.backends.empty() && planned.moved_slots == 0) return;
  }
  plan.pools.push_back(std::move(planned));
}

void plan_removed_pool(const PlanFacts& facts, const config::Pool& pool, Plan& plan) {
  Plan::PlannedPool planned;
  planned.name = pool.name;
  planned.change = Change::removed;
  planned.slots_before = pool.slots;
  planned.moved_slots = moved_slots(facts.desired.tables.pools[position_of(facts.running.config, pool)], nullptr);
  plan_backends(facts, &pool, nullptr, planned);
  plan.pools.push_back(std::move(planned));
}

void plan_pools(const PlanFacts& facts, const DesiredState& after, const TableImage& image, Plan& plan) {
  for (const config::Pool& pool : facts.other.pools) plan_pool(facts, after, image, pool, plan);
  for (const config::Pool& pool : facts.running.config.pools)
    if (find_pool(facts.other, pool.name) == nullptr) plan_removed_pool(facts, pool, plan);
}

// ---- warnings ------------------------------------------------------------------------------------------------------

bool has(const Keys& keys, const char* key) {
  return std::ranges::find(keys, key) != keys.end();
}

// Whether the backend takes new flows now.
bool takes_flows(const PlanFacts& facts, const std::string& pool_name, const IpAddress& address) {
  const config::Pool& pool = *find_pool(facts.running.config, pool_name);
  const auto backend = static_cast<std::size_t>(find_backend(pool, address) - pool.backends.data());
  return facts.desired.backends[position_of(facts.running.config, pool)][backend].usable();
}

void warn_of_backend(const PlanFacts& facts, const Plan::PlannedPool& pool, const Plan::PlannedBackend& backend,
                     Plan& plan) {
  if (backend.change != Change::removed) return;
  const std::string name = fmt::format("pool {}: backend {}", pool.name, backend.name);
  if (takes_flows(facts, pool.name, backend.address))
    plan.warnings.push_back(name + " goes while it takes flows: all its connections break; drain it first");
  else if (backend.flows.value_or(0) > 0)
    plan.warnings.push_back(fmt::format("{} goes, and {} known flow{} of it break{}", name, *backend.flows,
                                        *backend.flows == 1 ? "" : "s", *backend.flows == 1 ? "s" : ""));
}

void warn_of_pool(const PlanFacts& facts, const Plan::PlannedPool& pool, Plan& plan) {
  const auto warn = [&](const std::string& what) { plan.warnings.push_back("pool " + pool.name + ": " + what); };
  constexpr const char* kReshuffled = "connections of flows that are not known go elsewhere and break";
  if (has(pool.keys, "slots")) warn(fmt::format("its number of slots changes: {}", kReshuffled));
  if (has(pool.keys, "scheduler") || has(pool.keys, "source_bits_ipv4") || has(pool.keys, "source_bits_ipv6"))
    warn(fmt::format("its scheduler changes: {}", kReshuffled));
  if (pool.crowded_slots > 0)
    warn(
        fmt::format("{} would have more living owners in their history than are kept; connections of the ones left "
                    "out may break if a load balancer is lost",
                    pool.crowded_slots == 1 ? "1 slot" : fmt::format("{} slots", pool.crowded_slots)));
  for (const Plan::PlannedBackend& backend : pool.backends) warn_of_backend(facts, pool, backend, plan);
}

// What a change of VIPs and pools takes from the connections of slots that have moved.
class LostHistory {
 public:
  // `after` counts all hops that there are now: those that go are what matters here.
  LostHistory(const PlanFacts& facts, DesiredTables after, ImageBuilder& images) : facts_(facts) {
    for (std::size_t p = 0; p < after.pools.size(); p++)
      if (ends_second_chance(facts.other.pools[p])) after.pools[p].second_chance = true;
    image_ = images.build(after);
  }

  void warn_of_vip(const config::Vip& before, const config::Vip& after, Plan& plan) const {
    if (after.tracking != Tracking::none || before.tracking == Tracking::none) return;
    const config::Pool& pool = facts_.other.pools[after.pool];
    const std::string what = waits_for(pool, before.tracking);
    if (what.empty()) return;
    plan.warnings.push_back(
        fmt::format("VIP {} {} ends its tracking while pool {} has {}: connections that are not at their slots' owners "
                    "break; keep it until `guidewayctl status` shows none",
                    after.name, to_text_with_port(after.prefix, after.port), pool.name, what));
  }

  void warn_of_pool(const config::Pool& pool, Plan& plan) const {
    const std::uint32_t unsettled = unsettled_slots(pool);
    if (unsettled == 0 || !ends_second_chance(pool)) return;
    plan.warnings.push_back(
        fmt::format("pool {}: its second chance ends while it has {}: connections that began there at another load "
                    "balancer may break; keep it until `guidewayctl status` shows none",
                    pool.name, text_of_unsettled(unsettled)));
  }

 private:
  static std::string text_of_unsettled(std::uint32_t slots) {
    return fmt::format("{} unsettled slot{}", slots, slots == 1 ? "" : "s");
  }

  std::uint32_t unsettled_slots(const config::Pool& pool) const {
    return image_.pools[position_of(facts_.other, pool)].unsettled_slots;
  }

  // Hops are for TCP, and for VIPs that are tracked.
  bool ends_second_chance(const config::Pool& after) const {
    const config::Pool* before = find_pool(facts_.running.config, after.name);
    if (before == nullptr || !before->second_chance || after.second_chance) return false;
    const std::size_t position = position_of(facts_.running.config, *before);
    return std::ranges::any_of(facts_.running.config.vips, [&](const config::Vip& vip) {
      return vip.pool == position && vip.protocol == IpProto::tcp && vip.tracking != Tracking::none;
    });
  }

  // What is not at its slot's owner: flows of unsettled slots; and when all are settled, known ones, which `moved` has
  // of slots that were unsettled alone.
  std::string waits_for(const config::Pool& pool, Tracking tracking) const {
    if (const std::uint32_t unsettled = unsettled_slots(pool); unsettled > 0) return text_of_unsettled(unsettled);
    std::uint64_t flows = 0;
    for (const config::Backend& backend : pool.backends)
      flows += facts_.flows({pool.name, backend.address}).value_or(0);
    if (flows == 0 || tracking != Tracking::moved) return {};
    return fmt::format("{} known flow{}", flows, flows == 1 ? "" : "s");
  }

  const PlanFacts& facts_;
  TableImage image_;
};

void warn_of_lost_history(const PlanFacts& facts, const LostHistory& lost, Plan& plan) {
  const auto before = by_service(facts.running.config);
  const auto after = by_service(facts.other);
  for (const Plan::PlannedVip& vip : plan.vips)
    if (has(vip.keys, "tracking")) lost.warn_of_vip(*before.at(vip.service), *after.at(vip.service), plan);
  for (const config::Pool& pool : facts.other.pools) lost.warn_of_pool(pool, plan);
}

void warn_of_nobody_left(const PlanFacts& facts, const DesiredState& after, Plan& plan) {
  for (std::size_t p = 0; p < after.backends.size(); p++)
    if (std::ranges::none_of(after.backends[p], &BackendDecision::usable))
      plan.warnings.push_back(fmt::format("pool {}: no backend would be usable", facts.other.pools[p].name));
}

void warn_of_fail_open(const PlanFacts& facts, const DesiredState& after, Plan& plan) {
  for (std::size_t p = 0; p < after.fails_open.size(); p++)
    if (after.fails_open[p])
      plan.warnings.push_back(fmt::format("pool {}: it would fail open, and backends that are down would get traffic",
                                          facts.other.pools[p].name));
}

void add_warnings(const PlanFacts& facts, const DesiredState& after, ImageBuilder& images, Plan& plan) {
  plan.warnings = key_warnings(facts.running.config.flow_hash, facts.other.flow_hash);
  for (const Plan::PlannedVip& vip : plan.vips)
    if (has(vip.keys, "pool"))
      plan.warnings.push_back(fmt::format("VIP {} {} gets another pool: its connections may break", vip.name,
                                          to_text_with_port(vip.service.prefix, vip.service.port)));
  for (const Plan::PlannedPool& pool : plan.pools) warn_of_pool(facts, pool, plan);
  warn_of_lost_history(facts, LostHistory(facts, after.tables, images), plan);
  warn_of_nobody_left(facts, after, plan);
  warn_of_fail_open(facts, after, plan);
}

}  // namespace

const char* to_text(Change change) {
  switch (change) {
    case Change::added:
      return "added";
    case Change::removed:
      return "removed";
    case Change::changed:
      return "changed";
  }
  return "?";
}

std::vector<std::string> key_warnings(const config::FlowHash& before, const config::FlowHash& after) {
  if (before.secret == after.secret) return {};
  return {
      "the key of the flow hash changes: every flow of every pool goes elsewhere, known or not, and connections break"};
}

Plan make_plan(const PlanFacts& facts) {
  const DesiredState after = state_after(facts);
  ImageBuilder images;
  Plan plan;
  plan_vips(facts, plan);
  plan_pools(facts, after, images.build(after.tables), plan);
  add_warnings(facts, after, images, plan);
  return plan;
}

}  // namespace guideway::controlplane
