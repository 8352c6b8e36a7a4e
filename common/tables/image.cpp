#include "common/tables/image.h"

#include <algorithm>
#include <bit>

#include "common/tables/backends_image.h"
#include "common/tables/image_object.h"
#include "common/tables/quic_image.h"

namespace guideway {
namespace {

// ---- VIPs and their indexes ----------------------------------------------------------------------------------------

ImageObjectPtr make_vips(const std::vector<DesiredVip>& vips) {
  std::vector<VipRecord> records;
  for (const DesiredVip& vip : vips) {
    VipRecord record{};
    record.address = vip.prefix.address;
    record.prefix_bits = vip.prefix.bits;
    record.port = Be16::from_host(vip.port);
    record.protocol = vip.protocol;
    record.flags = static_cast<std::uint8_t>((vip.announce ? kVipAnnounce : 0) | (vip.echo ? kVipEcho : 0) |
                                             (vip.quic ? kVipQuic : 0));
    record.pool = static_cast<PoolId>(vip.pool);
    record.tracking = vip.tracking;
    record.stats_index = vip.stats_index;
    record.unserved = vip.unserved;
    record.no_backend = vip.no_backend;
    records.push_back(record);
  }
  return make_object(ObjectKind::vips, records);
}

VipIndex4Key prefix_key(const IpPrefix& prefix, VipIndex4Key) {
  return {prefix.address.v4(), {}, 0, prefix_tag(prefix.bits)};
}
VipIndex6Key prefix_key(const IpPrefix& prefix, VipIndex6Key) {
  return {prefix.address.bytes, {}, 0, prefix_tag(prefix.bits), {}};
}

template <typename Entry>
ImageObjectPtr make_index(const DesiredTables& desired, Family family, ObjectKind kind) {
  const auto& vips = desired.vips;
  const auto of_family = [&](const IpPrefix& prefix) { return prefix.address.family() == family; };
  const auto vip_count = std::ranges::count_if(vips, of_family, &DesiredVip::prefix);
  const auto own_count = std::ranges::count_if(desired.own, of_family);
  IndexBuilder<Entry> index(static_cast<std::size_t>(2 * vip_count + own_count));
  for (std::uint32_t i = 0; i < vips.size(); i++) {
    if (!of_family(vips[i].prefix)) continue;
    auto key = prefix_key(vips[i].prefix, decltype(Entry::key){});
    index.insert({key, static_cast<VipId>(i), PoolId::none, {}, 0});
    key.port = Be16::from_host(vips[i].port);
    key.protocol = static_cast<std::uint8_t>(vips[i].protocol);
    index.insert({key, static_cast<VipId>(i), static_cast<PoolId>(vips[i].pool), vips[i].tracking, 0});
  }
  for (const IpPrefix& own : desired.own)
    if (of_family(own)) index.insert({prefix_key(own, decltype(Entry::key){}), VipId::none, PoolId::own, {}, 0});
  return index.object(kind);
}

// ---- Pools ---------------------------------------------------------------------------------------------------------

// As can_take() will say of its record.
bool can_take(const DesiredBackend& backend) {
  return backend.alive && backend.egress.has_value();
}

std::vector<KnownBackend> known_backends(const DesiredPool& pool) {
  std::vector<KnownBackend> known;
  for (const DesiredBackend& backend : pool.backends)
    known.push_back({backend.address, can_take(backend), can_take(backend) && backend.weight == 0});
  return known;
}

// Without second chance older eras help nobody: a packet goes to one backend, and in a slot that moved long ago that is
// its owner.
PastEras past_of(const DesiredPool& pool) {
  return pool.second_chance ? pool.past : PastEras{.recent = pool.past.recent};
}

// Without a backend that takes new flows, slots have no owner; those that had one before still have their flows.
std::vector<SlotEntry> slots_without_owner(const DesiredPool& pool, const PastEras& past) {
  return std::vector<SlotEntry>(past.empty() ? 0 : pool.slot_count, kSlotOwnerMask);
}

void make_slots(const DesiredPool& pool, TableImage::Pool& made, SlotTables& tables) {
  std::vector<SlotEntry> slots = tables.of(weights_of(pool), pool.slot_count);
  made.owners_checksum = XXH3_64bits(slots.data(), slots.size() * sizeof(SlotEntry));
  made.closed = slots.empty();
  const PastEras past = past_of(pool);
  if (made.closed) slots = slots_without_owner(pool, past);
  made.slot_count = static_cast<std::uint32_t>(slots.size());
  made.slots = made.history = nullptr;
  made.unsettled_slots = made.crowded_slots = made.kept_slots = 0;
  if (slots.empty()) return;
  const SlotHistory history = make_slot_history(slots, known_backends(pool), past, tables);
  made.unsettled_slots = history.unsettled_slots;
  made.crowded_slots = history.crowded_slots;
  made.kept_slots = history.kept_slots;
  if (!history.words.empty()) made.history = make_object(ObjectKind::history, history.words);
  made.slots = make_object(ObjectKind::slots, slots);
}

bool same_slots(const DesiredPool& a, const DesiredPool& b) {
  return a.slot_count == b.slot_count && weights_of(a) == weights_of(b) && a.second_chance == b.second_chance &&
         a.past == b.past && (a.past.empty() || known_backends(a) == known_backends(b));
}

// Takes over from `before` what did not change; nullptr: there was none.
TableImage::Pool make_pool(const DesiredPool& pool, const DesiredPool* before, const TableImage::Pool& made_before,
                           SlotTables& tables) {
  TableImage::Pool made = made_before;
  made.encap = pool.encap;
  made.scheduler = pool.scheduler;
  made.source_bits4 = pool.source_bits4;
  made.source_bits6 = pool.source_bits6;
  made.backend_count = static_cast<std::uint32_t>(pool.backends.size());
  if (before == nullptr || !same_quic(pool, *before)) made.quic = make_quic(pool);
  made.backends = nullptr;
  made.draft = std::make_shared<BackendsDraft>(draft_backends(pool));
  if (before == nullptr || !same_slots(pool, *before)) make_slots(pool, made, tables);
  made.flags =
      static_cast<std::uint8_t>((pool.second_chance ? kPoolSecondChance : 0) | (made.closed ? kPoolClosed : 0));
  return made;
}

// What an outer template's number is depends on the pools before: records are written again where it is another one.
void number_outers(TableImage& image) {
  OuterTemplates outers;
  for (TableImage::Pool& pool : image.pools) {
    std::vector<std::uint16_t> numbers;
    for (const OuterTemplate& outer : pool.draft->outers) numbers.push_back(outers.number_of(outer));
    if (pool.backend_count == 0 || (pool.backends && pool.outers == numbers)) continue;
    pool.backends = make_backends(*pool.draft, numbers);
    pool.outers = std::move(numbers);
  }
  image.outers = make_object(ObjectKind::outers, outers.all());
}

// What has no stats index of its own is in no directory.
ImageObjectPtr make_directory(const DesiredTables& desired) {
  std::vector<BackendPlace> places;
  for (std::size_t p = 0; p < desired.pools.size(); p++)
    for (std::size_t b = 0; b < desired.pools[p].backends.size(); b++) {
      const DesiredBackend& backend = desired.pools[p].backends[b];
      const std::uint32_t at = backend.stats_index;
      if (at >= kDirectorySizeMax) continue;
      if (at >= places.size()) places.resize(at + 1);
      places[at] = BackendPlace::of(static_cast<PoolId>(p), static_cast<BackendId>(b), can_take(backend));
    }
  return make_object(ObjectKind::directory, places);
}

}  // namespace

std::uint64_t TableImage::slots_digest() const {
  std::vector<std::uint64_t> checksums;
  for (const Pool& pool : pools) checksums.push_back(pool.closed ? 0 : pool.owners_checksum);
  return XXH3_64bits(checksums.data(), checksums.size() * sizeof(std::uint64_t));
}

Weights weights_of(const DesiredPool& pool) {
  Weights weights;
  for (const DesiredBackend& backend : pool.backends)
    weights.push_back({backend.address, backend.egress ? backend.weight : 0});
  return weights;
}

TableImage ImageBuilder::build(const DesiredTables& desired) {
  TableImage image;
  image.hash_keys = expand_flow_hash_keys(desired.hash_secret);
  image.config_digest = desired.config_digest;
  if (last_image_.vips && desired.vips == last_desired_.vips && desired.own == last_desired_.own) {
    image.vips = last_image_.vips;
    image.index4 = last_image_.index4;
    image.index6 = last_image_.index6;
  } else {
    image.vips = make_vips(desired.vips);
    image.index4 = make_index<VipIndex4Entry>(desired, Family::ipv4, ObjectKind::index4);
    image.index6 = make_index<VipIndex6Entry>(desired, Family::ipv6, ObjectKind::index6);
  }
  for (std::size_t i = 0; i < desired.pools.size(); i++) {
    const DesiredPool& pool = desired.pools[i];
    const bool known = i < last_image_.pools.size();
    if (known && pool == last_desired_.pools[i])
      image.pools.push_back(last_image_.pools[i]);
    else
      image.pools.push_back(known ? make_pool(pool, &last_desired_.pools[i], last_image_.pools[i], tables_)
                                  : make_pool(pool, nullptr, {}, tables_));
  }
  number_outers(image);
  image.directory = make_directory(desired);
  tables_.forget_unused();
  last_desired_ = desired;
  last_image_ = image;
  return image;
}

}  // namespace guideway
