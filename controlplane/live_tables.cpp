#include "controlplane/live_tables.h"

#include <algorithm>
#include <cstring>

namespace guideway::controlplane {
namespace {

ServiceKey service_of(const VipRecord& vip) {
  return {{vip.address, vip.prefix_bits}, vip.port.host(), vip.protocol};
}

struct MatchedPool {
  const config::Pool* pool = nullptr;
  bool nobody_is_up = false;  // it failed open, and its backends have slots all the same
};

// Nothing was said of a VIP that is announced while somebody is up.
bool nobody_is_up(const VipRecord& live, const config::Vip& vip, const config::Pool& pool) {
  return vip.announce == config::Announce::healthy && (live.flags & kVipAnnounce) == 0 && pool.fail_open_below > 0;
}

// Which pool of the configuration each live pool is.
std::map<std::uint32_t, MatchedPool> match_pools(const TablesView& view, const config::Config& config) {
  std::map<ServiceKey, const config::Vip*> by_service;
  for (const config::Vip& vip : config.vips) by_service[key_of(vip)] = &vip;
  std::map<std::uint32_t, MatchedPool> matched;
  for (const VipRecord& live : view.vips) {
    const auto found = by_service.find(service_of(live));
    if (found == by_service.end()) continue;
    const config::Pool& pool = config.pools[found->second->pool];
    MatchedPool& match = matched.try_emplace(index(live.pool), MatchedPool{&pool, false}).first->second;
    match.nobody_is_up = match.nobody_is_up || nobody_is_up(live, *found->second, pool);
  }
  return matched;
}

// The header says what any encapsulation would have as its source.
bool has_whole_source(const OuterTemplate& outer) {
  return outer.encap != Encap::l2dsr && outer.source_entropy == Be32{};
}

std::uint32_t unsettled_slots(const PoolView& pool) {
  return static_cast<std::uint32_t>(std::count_if(pool.slots, pool.slots + pool.slot_count,
                                                  [](SlotEntry entry) { return (entry & kSlotUnsettled) != 0; }));
}

void inherit_pool(const TablesView& view, const PoolView& live, const config::Config& config, const MatchedPool& match,
                  const std::set<BackendKey>& removed, Inheritance& out) {
  const config::Pool& pool = *match.pool;
  const std::vector<std::uint32_t> slots = LiveTables::owned_slots(live);
  out.unsettled_slots.emplace(pool.name, unsettled_slots(live));
  const config::HealthCheck* check = health_check_of(config, pool);
  for (std::uint32_t b = 0; b < live.backend_count; b++) {
    const BackendRecord& record = live.backends[b];
    out.backend_indices.emplace(BackendKey{pool.name, record.address}, record.stats_index);
    const bool alive = (record.flags & kBackendAlive) != 0;
    const bool down =
        (!alive && !removed.contains({pool.name, record.address})) || (match.nobody_is_up && slots[b] > 0);
    if (check != nullptr && (slots[b] > 0 || down))
      out.health.emplace(HealthTarget{record.address, check->name}, down ? Health::down : Health::up);
    const OuterTemplate* outer = outer_of(view, record);
    if (outer == nullptr) continue;
    if (has_whole_source(*outer))
      out.egress.insert_or_assign(record.address, egress_of(record, *outer));
    else if (outer->encap == pool.encap)
      out.egress.emplace(record.address, egress_of(record, *outer));
  }
}

}  // namespace

Egress egress_of(const BackendRecord& record, const OuterTemplate& outer) {
  Egress egress;
  egress.port = record.port;
  egress.path_mtu_bytes = outer.path_mtu_bytes;
  egress.source_mac = load<EthernetHeader>(outer.header).source;
  egress.next_hop_mac = record.next_hop;
  for (std::size_t at = sizeof(EthernetHeader); at < outer.ip_at; at += sizeof(VlanTag))
    egress.vlans.push_back(load<Be16>(outer.header + at).host() & kVlanIdMask);
  if (outer.encap == Encap::l2dsr) return egress;
  const std::uint8_t* ip = outer.header + outer.ip_at;
  if (outer.family == Family::ipv4)
    egress.source = IpAddress::from_v4(load<Ipv4Header>(ip).source);
  else
    egress.source.bytes = load<Ipv6Header>(ip).source;
  return egress;
}

const TablesView* LiveTables::view(const shm::TablesWriter& writer) {
  const RootWord word = writer.root();
  if (word.empty()) return nullptr;
  if (word == word_) return &view_;
  std::vector<PoolView> pools(pool_count(writer.memory(), word));
  TablesView view;
  if (open_generation(writer.memory(), word, pools, nullptr, view) != TablesError::none) return nullptr;
  word_ = word;
  pools_ = std::move(pools);  // keeps its storage, so view.pools stays right
  view_ = view;
  return &view_;
}

void LiveTables::forget() {
  *this = {};
}

std::vector<std::uint32_t> LiveTables::owned_slots(const PoolView& pool) {
  std::vector<std::uint32_t> owned(pool.backend_count);
  for (std::uint32_t s = 0; s < pool.slot_count; s++)
    if (const std::uint32_t owner = pool.slots[s] & kSlotOwnerMask; owner < owned.size()) owned[owner]++;
  return owned;
}

std::uint64_t LiveTables::owners_digest(const PoolView& pool) {
  std::vector<SlotEntry> owners(pool.slots, pool.slots + pool.slot_count);
  for (SlotEntry& entry : owners) entry &= kSlotOwnerMask;
  return XXH3_64bits(owners.data(), owners.size() * sizeof(SlotEntry));
}

Inheritance inherit(const TablesView& view, const config::Config& config, const std::set<BackendKey>& removed) {
  Inheritance inheritance;
  for (const VipRecord& vip : view.vips) inheritance.vip_indices.emplace(service_of(vip), vip.stats_index);
  for (const auto& [live, match] : match_pools(view, config))
    if (const PoolView* found = pool_view(view, static_cast<PoolId>(live)); found != nullptr)
      inherit_pool(view, *found, config, match, removed, inheritance);
  return inheritance;
}

}  // namespace guideway::controlplane
