// Reading a generation: the one way to answer "which VIP, which slot, which backend", for the workers, for
// `guidewayctl explain` and for the tests.
//
// open_generation() validates a generation completely (checksums, sizes, every index) and resolves its offsets to
// pointers. After that the lookups are total: every number they read from shared memory is bounded before it is used,
// so that even a writer that scribbles over published objects can only misdirect a packet, never fault a worker. What
// bounds them (counts, masks, references) lies in the view, out of the writer's reach.
//
// Ownership: a TablesView points into the mapped segment and into storage its owner holds; both must outlive it.
// Thread-safety: a TablesView is immutable once opened; any number of threads may read it.
#pragma once

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <span>

#include "guideway/flow_hash.h"
#include "guideway/tables.h"

namespace guideway {

inline std::uint64_t object_checksum(std::span<const std::byte> object) {
  return XXH3_64bits(object.data() + sizeof(std::uint64_t), object.size() - sizeof(std::uint64_t));
}

struct PoolView {
  const SlotEntry* slots = nullptr;
  const BackendRecord* backends = nullptr;
  std::uint32_t slot_count = 0;
  std::uint32_t backend_count = 0;
  ObjectRef slots_ref{};
  ObjectRef backends_ref{};
  Encap encap{};
};

struct VipMatch {
  VipId vip = VipId::none;     // none: the address is no VIP
  PoolId pool = PoolId::none;  // none, with a vip: the address is a VIP, but nothing serves this protocol and port
};

struct TablesView {
  Generation generation = Generation::none;
  const VipIndex4Entry* index4 = nullptr;
  const VipIndex6Entry* index6 = nullptr;
  std::uint32_t index4_mask = 0, index4_probes = 0;
  std::uint32_t index6_mask = 0, index6_probes = 0;
  std::span<const VipRecord> vips;
  std::span<const PoolView> pools;
  FlowHashKeys hash_keys{};
  std::uint64_t config_digest = 0;
  std::uint64_t published_unix_ns = 0;
  ObjectRef vips_ref{}, index4_ref{}, index6_ref{}, pools_ref{};
};

namespace detail {

template <typename Entry, typename Key>
inline const Entry* probe(const Entry* entries, std::uint32_t mask, std::uint32_t probes, const Key& key) {
  std::uint64_t at = index_hash(key);
  for (std::uint32_t i = 0; i < probes; i++, at++) {
    const Entry& entry = entries[at & mask];
    if (entry.key == key) return &entry;
    if (entry.key.used == 0) return nullptr;
  }
  return nullptr;
}

template <typename Entry, typename Key>
inline VipMatch find(const Entry* entries, std::uint32_t mask, std::uint32_t probes, Key key) {
  if (const Entry* service = probe(entries, mask, probes, key)) return {service->vip, service->pool};
  key.port = {};
  key.protocol = 0;
  if (const Entry* address = probe(entries, mask, probes, key)) return {address->vip, PoolId::none};
  return {};
}

}  // namespace detail

inline VipMatch find_vip4(const TablesView& view, Be32 address, IpProto protocol, Be16 port) {
  return detail::find(view.index4, view.index4_mask, view.index4_probes,
                      VipIndex4Key{address, port, static_cast<std::uint8_t>(protocol), 1});
}
inline VipMatch find_vip6(const TablesView& view, const Block16& address, IpProto protocol, Be16 port) {
  return detail::find(view.index6, view.index6_mask, view.index6_probes,
                      VipIndex6Key{address, port, static_cast<std::uint8_t>(protocol), 1, {}});
}

// nullptr when the id is not of this generation (only a scribbled index can say so).
inline const VipRecord* vip_record(const TablesView& view, VipId vip) {
  return index(vip) < view.vips.size() ? &view.vips[index(vip)] : nullptr;
}
inline const PoolView* pool_view(const TablesView& view, PoolId pool) {
  return index(pool) < view.pools.size() ? &view.pools[index(pool)] : nullptr;
}

// The entry of the flow's slot; nullptr when the pool has no usable backend.
inline const SlotEntry* slot_entry(const PoolView& pool, std::uint64_t hash) {
  return pool.slot_count == 0 ? nullptr : &pool.slots[index(slot_of(hash, pool.slot_count))];
}
inline const BackendRecord* owner_of(const PoolView& pool, SlotEntry entry) {
  const std::uint32_t owner = entry & kSlotOwnerMask;
  return owner < pool.backend_count ? &pool.backends[owner] : nullptr;
}
// The flow's backend; nullptr when the pool has no usable one.
inline const BackendRecord* select_backend(const PoolView& pool, std::uint64_t hash) {
  const SlotEntry* entry = slot_entry(pool, hash);
  return entry != nullptr ? owner_of(pool, *entry) : nullptr;
}

// ---- opening -------------------------------------------------------------------------------------------------------

enum class TablesError : std::uint32_t {
  none = 0,
  object_out_of_bounds,  // an object leaves the segment, or its size and count contradict each other
  wrong_object_kind,
  bad_checksum,
  generation_mismatch,   // the root word and the root object disagree
  generation_not_newer,  // the root word went back to an older generation
  too_many_pools,        // more than the caller's storage holds
  vip_without_pool,      // a VIP names a pool that does not exist
  bad_index,             // the VIP index is not a power of two, or names VIPs or pools that do not exist
  bad_pool,              // slot or backend count out of range
  slot_without_backend,  // a slot names a backend that does not exist
  bad_backend,           // outer header too long, or an unknown encapsulation
};
constexpr const char* to_text(TablesError error) {
  switch (error) {
    case TablesError::none:
      return "valid";
    case TablesError::object_out_of_bounds:
      return "an object does not fit the segment";
    case TablesError::wrong_object_kind:
      return "an object is of another kind than its reference says";
    case TablesError::bad_checksum:
      return "an object does not match its checksum";
    case TablesError::generation_mismatch:
      return "the root word and the root object name different generations";
    case TablesError::generation_not_newer:
      return "the root word went back to an older generation";
    case TablesError::too_many_pools:
      return "more pools than the data plane has room for";
    case TablesError::vip_without_pool:
      return "a VIP names a pool that does not exist";
    case TablesError::bad_index:
      return "the VIP index names what does not exist";
    case TablesError::bad_pool:
      return "a pool's slot or backend count is out of range";
    case TablesError::slot_without_backend:
      return "a slot names a backend that does not exist";
    case TablesError::bad_backend:
      return "a backend's outer header is malformed";
  }
  return "unknown error";
}

// Validates the generation that `word` names and resolves it into `view`. `pools` is storage for its pools, owned by
// the caller like `segment`. `before` (may be nullptr) is a view of the same segment that is still pinned: what both
// share is not read again, so the cost is that of what changed.
// On an error `view` is unchanged.
TablesError open_generation(std::span<const std::byte> segment, RootWord word, std::span<PoolView> pools,
                            const TablesView* before, TablesView& view);

// How many pools the generation has, for sizing the storage, but never more than kPoolsMax; 0 when the root is
// unreadable.
std::uint32_t pool_count(std::span<const std::byte> segment, RootWord word);

}  // namespace guideway

#include "guideway/tables_view_open.h"
