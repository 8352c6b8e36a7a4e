#include "tests/shm/pattern.h"

#include <bit>
#include <cstring>

namespace guideway::shm {
namespace {

// Sizes that real pools have, and small ones, for holes of all sizes.
constexpr std::array<std::uint32_t, 6> kSlotCounts{127, 251, 1009, 2029, 4079, 8179};

template <typename Element>
ImageObjectPtr object_of(ObjectKind kind, const std::vector<Element>& elements) {
  const std::uint32_t elements_at = elements_offset_bytes(kind);
  auto object = std::make_shared<ImageObject>(
      ImageObject{kind, std::vector<std::byte>(elements_at + elements.size() * sizeof(Element))});
  ObjectHeader header{0, kind, static_cast<std::uint32_t>(elements.size()),
                      static_cast<std::uint32_t>(object->bytes.size()), 1};
  std::memcpy(object->bytes.data(), &header, sizeof header);
  if (!elements.empty())
    std::memcpy(object->bytes.data() + elements_at, elements.data(), elements.size() * sizeof(Element));
  header.checksum = object_checksum(object->bytes);
  std::memcpy(object->bytes.data(), &header.checksum, sizeof header.checksum);
  return object;
}

std::uint32_t backend_count_of(PoolSeed seed) {
  return 1 + static_cast<std::uint32_t>(mix(seed) % 24);
}
SlotEntry slot_of_pattern(PoolSeed seed, std::uint32_t slot) {
  return static_cast<SlotEntry>(mix(std::uint64_t{seed} << 32 | slot) % backend_count_of(seed));
}
BackendRecord backend_of(PoolSeed seed, std::uint32_t position) {
  BackendRecord record{};
  record.stats_index = seed;
  for (std::uint32_t i = 0; i < record.address.bytes.size(); i++)
    record.address.bytes[i] = static_cast<std::uint8_t>(mix(std::uint64_t{seed} << 32 | position << 8 | i));
  return record;
}
// As many as there are pools, each one of the generation.
OuterTemplate outer_of(std::uint64_t digest, std::uint32_t position) {
  OuterTemplate outer{};
  outer.encap = Encap::gue0;
  outer.family = Family::ipv4;
  outer.header_bytes = 42;
  for (std::uint32_t i = 0; i < sizeof outer.header; i++)
    outer.header[i] = static_cast<std::uint8_t>(mix(digest ^ position << 8 ^ i));
  return outer;
}
std::vector<OuterTemplate> outers_of(std::uint64_t digest, std::size_t pools) {
  std::vector<OuterTemplate> outers;
  for (std::uint32_t i = 0; i < pools; i++) outers.push_back(outer_of(digest, i));
  return outers;
}
std::uint64_t digest_of(const std::vector<PoolSeed>& seeds) {
  return XXH3_64bits(seeds.data(), seeds.size() * sizeof(PoolSeed));
}
VipRecord vip_of(std::uint64_t digest, std::uint32_t pool) {
  VipRecord record{};
  record.pool = static_cast<PoolId>(pool);
  record.stats_index = static_cast<std::uint32_t>(mix(digest ^ pool));
  return record;
}

// Odd seeds have a history: the first slot of every block has past owners that say whose history it is.
PastOwners past_owners_of(PoolSeed seed) {
  PastOwners past{};
  for (std::uint32_t i = 0; i < kPastOwnersMax; i++)
    past.backends[i] = static_cast<BackendId>(mix(seed + i) % backend_count_of(seed));
  return past;
}
std::vector<HistoryWord> history_of(PoolSeed seed, std::uint32_t slot_count) {
  std::vector<HistoryWord> words;
  if (seed % 2 == 0) return words;
  const std::uint32_t blocks = history_blocks(slot_count);
  for (std::uint32_t b = 0; b < blocks; b++) words.push_back(std::bit_cast<HistoryWord>(HistoryBlock{b, 1}));
  words.insert(words.end(), blocks, std::bit_cast<HistoryWord>(past_owners_of(seed)));
  return words;
}

TableImage::Pool pool_of(PoolSeed seed, std::uint32_t slot_count) {
  if (slot_count == 0) slot_count = kSlotCounts[(mix(seed) >> 32) % kSlotCounts.size()];
  std::vector<SlotEntry> slots(slot_count);
  for (std::uint32_t s = 0; s < slot_count; s++) slots[s] = slot_of_pattern(seed, s);
  std::vector<BackendRecord> backends;
  for (std::uint32_t b = 0; b < backend_count_of(seed); b++) backends.push_back(backend_of(seed, b));
  TableImage::Pool pool;
  pool.slots = object_of(ObjectKind::slots, slots);
  pool.backends = object_of(ObjectKind::backends, backends);
  if (const auto history = history_of(seed, slot_count); !history.empty())
    pool.history = object_of(ObjectKind::history, history);
  pool.slot_count = slot_count;
  pool.backend_count = static_cast<std::uint32_t>(backends.size());
  return pool;
}

// The first backend of each pool.
std::vector<BackendPlace> directory_of(std::uint32_t pools) {
  std::vector<BackendPlace> places;
  for (std::uint32_t p = 0; p < pools; p++)
    places.push_back(BackendPlace::of(static_cast<PoolId>(p), BackendId{0}, true));
  return places;
}

std::string check_history(const PoolView& pool, PoolSeed seed) {
  for (std::uint32_t s = 0; s < pool.slot_count; s += 97) {
    const PastOwners* past = past_owners(pool, Slot{s});
    const bool expected = seed % 2 == 1 && s % kSlotsPerHistoryBlock == 0;
    if ((past != nullptr) != expected) return "a pool has the history of another one";
    if (past != nullptr && past->backends != past_owners_of(seed).backends) return "a history is not of its pool";
  }
  return {};
}

std::string check_pool(const PoolView& pool, PoolSeed seed) {
  if (pool.backend_count != backend_count_of(seed)) return "a pool has backends of another one";
  for (std::uint32_t b = 0; b < pool.backend_count; b++) {
    const BackendRecord expected = backend_of(seed, b);
    if (std::memcmp(&pool.backends[b], &expected, sizeof expected) != 0) return "a backend is not of its pool";
  }
  for (std::uint32_t s = 0; s < pool.slot_count; s++)
    if (pool.slots[s] != slot_of_pattern(seed, s)) return "a slot is not of its pool";
  return check_history(pool, seed);
}

}  // namespace

TableImage PatternBuilder::build(const std::vector<PoolSeed>& seeds) {
  TableImage image;
  image.config_digest = digest_of(seeds);
  std::vector<VipRecord> vips;
  std::map<PoolSeed, TableImage::Pool> now;
  for (std::uint32_t i = 0; i < seeds.size(); i++) {
    vips.push_back(vip_of(image.config_digest, i));
    const auto known = lately_.find(seeds[i]);
    image.pools.push_back(known != lately_.end() ? known->second : pool_of(seeds[i], slot_count_));
    now.emplace(seeds[i], image.pools.back());
  }
  lately_ = std::move(now);
  image.vips = object_of(ObjectKind::vips, vips);
  image.directory = object_of(ObjectKind::directory, directory_of(static_cast<std::uint32_t>(seeds.size())));
  image.outers = object_of(ObjectKind::outers, outers_of(image.config_digest, seeds.size()));
  image.index4 = object_of(ObjectKind::index4, std::vector<VipIndex4Entry>(2));
  image.index6 = object_of(ObjectKind::index6, std::vector<VipIndex6Entry>(2));
  return image;
}

std::string check_pattern(const TablesView& view) {
  std::vector<PoolSeed> seeds;
  for (const PoolView& pool : view.pools) {
    if (pool.backend_count == 0) return "a pool has no backends";
    seeds.push_back(pool.backends[0].stats_index);
    if (auto wrong = check_pool(pool, seeds.back()); !wrong.empty()) return wrong;
  }
  if (digest_of(seeds) != view.config_digest) return "pools of different generations are mixed";
  if (view.directory.size() != seeds.size()) return "there is a directory of another generation";
  const std::vector<OuterTemplate> outers = outers_of(view.config_digest, seeds.size());
  if (view.outers.size() != outers.size() ||
      std::memcmp(view.outers.data(), outers.data(), outers.size() * sizeof(OuterTemplate)) != 0)
    return "there are outer templates of another generation";
  if (view.vips.size() != seeds.size()) return "there are VIPs of another generation";
  for (std::uint32_t i = 0; i < view.vips.size(); i++) {
    const VipRecord expected = vip_of(view.config_digest, i);
    if (std::memcmp(&view.vips[i], &expected, sizeof expected) != 0) return "a VIP is of another generation";
  }
  return {};
}

}  // namespace guideway::shm
