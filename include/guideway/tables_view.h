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

#include <algorithm>
#include <array>
#include <span>

#include "guideway/flow_hash.h"
#include "guideway/tables.h"

namespace guideway {

inline std::uint64_t object_checksum(std::span<const std::byte> object) {
  return XXH3_64bits(object.data() + sizeof(std::uint64_t), object.size() - sizeof(std::uint64_t));
}

struct HistoryView {
  const HistoryBlock* blocks = nullptr;  // nullptr: all slots are settled
  const PastOwners* pasts = nullptr;
  std::uint32_t past_count = 0;
};

// What a packet to a settled slot reads lies in the first cache line.
struct alignas(kCacheLineBytes) PoolView {
  const SlotEntry* slots = nullptr;
  const BackendRecord* backends = nullptr;
  std::uint32_t slot_count = 0;
  std::uint32_t backend_count = 0;
  Scheduler scheduler{};
  std::uint8_t flags = 0;  // kPool…
  std::uint8_t source_bits4 = 32;
  std::uint8_t source_bits6 = 128;
  Encap encap{};
  bool sums_packets = false;  // some outer header has a checksum over the whole packet: GUE over IPv6
  std::uint32_t outers = 0;   // so many OuterTemplates its backends need
  QuicView quic;
  HistoryView history;
  ObjectRef slots_ref{};
  ObjectRef backends_ref{};
  ObjectRef quic_ref{};     // offset 0: connection IDs name no backends
  ObjectRef history_ref{};  // offset 0: all slots are settled
};
static_assert(offsetof(PoolView, quic) + offsetof(QuicView, entries) < kCacheLineBytes);

struct VipMatch {
  VipId vip = VipId::none;     // none: the address is no VIP's
  PoolId pool = PoolId::none;  // with a vip: none when nothing serves this protocol and port; without: own or none
  Tracking tracking{};
};

// The prefixes of an index that are shorter than an address, as their tags (tables.h), the longest first.
template <std::size_t kMax>
struct PrefixTags {
  std::array<std::uint8_t, kMax> tags{};
  std::uint32_t count = 0;
  std::span<const std::uint8_t> all() const { return {tags.data(), count}; }
};

template <typename Entry, std::size_t kBits>
struct IndexView {
  const Entry* entries = nullptr;
  std::uint32_t mask = 0;
  std::uint32_t probes = 0;
  PrefixTags<kBits> prefixes;
};
using VipIndex4View = IndexView<VipIndex4Entry, 32>;
using VipIndex6View = IndexView<VipIndex6Entry, 128>;

struct TablesView {
  Generation generation = Generation::none;
  FlowHashKeys hash_keys{};
  std::span<const VipRecord> vips;
  std::span<const PoolView> pools;
  std::span<const BackendPlace> directory;
  std::span<const OuterTemplate> outers;
  VipIndex4View index4;
  VipIndex6View index6;
  std::uint64_t config_digest = 0;
  std::uint64_t published_unix_ns = 0;
  ObjectRef vips_ref{}, index4_ref{}, index6_ref{}, pools_ref{}, directory_ref{}, outers_ref{};
};

// The first bits of an address, zeros behind them. `bits`: at most 32 or 128.
constexpr Be32 first_bits(Be32 address, std::uint32_t bits) {
  return Be32::from_host(bits == 0 ? 0 : address.host() & ~std::uint32_t{0} << (32 - bits));
}
constexpr Block16 first_bits(const Block16& address, std::uint32_t bits) {
  Block16 first{};
  for (std::uint32_t i = 0; i < 16 && 8 * i < bits; i++) {
    const std::uint32_t here = std::min<std::uint32_t>(8, bits - 8 * i);
    first[i] = static_cast<std::uint8_t>(address[i] & 0xff00 >> here);
  }
  return first;
}

namespace detail {

template <typename Index, typename Key>
inline const auto* probe(const Index& index, const Key& key) {
  using EntryPointer = decltype(index.entries);
  std::uint64_t at = index_hash(key);
  for (std::uint32_t i = 0; i < index.probes; i++, at++) {
    const auto& entry = index.entries[at & index.mask];
    if (entry.key == key) return &entry;
    if (is_free(entry.key)) break;
  }
  return EntryPointer{nullptr};
}

// Among the prefixes that are shorter than the address in `key`, the longest that has an entry.
template <typename Index, typename Key>
inline const auto* probe_prefixes(const Index& index, Key key) {
  using EntryPointer = decltype(index.entries);
  for (const std::uint8_t tag : index.prefixes.all()) {
    key.address = first_bits(key.address, tag - 1U);
    key.tag = tag;
    if (const auto* entry = probe(index, key)) return entry;
  }
  return EntryPointer{nullptr};
}

template <typename Index, typename Key>
inline const auto* probe_longest(const Index& index, const Key& key) {
  const auto* entry = probe(index, key);
  return entry != nullptr ? entry : probe_prefixes(index, key);
}

template <typename Entry>
inline VipMatch match_of_address(const Entry* address) {
  if (address == nullptr) return {};
  if (address->pool == PoolId::own) return {VipId::none, PoolId::own, {}};
  return {address->vip, PoolId::none, {}};
}

template <typename Index, typename Key>
inline VipMatch find_address(const Index& index, Key key) {
  key.port = {};
  key.protocol = 0;
  return match_of_address(probe_longest(index, key));
}

// The order of docs/packet_policy.md, section 3.
template <typename Index, typename Key>
inline VipMatch find(const Index& index, Key key) {
  const auto* service = probe(index, key);
  if (service != nullptr) return {service->vip, service->pool, service->tracking};
  const VipMatch address = find_address(index, key);
  if (address.vip == VipId::none) return address;
  service = probe_prefixes(index, key);
  if (service == nullptr) {
    key.port = {};
    service = probe_longest(index, key);
  }
  return service != nullptr ? VipMatch{service->vip, service->pool, service->tracking} : address;
}

}  // namespace detail

// The entry of exactly this address, protocol and port; nullptr if it has none.
inline const VipIndex4Entry* own_service4(const TablesView& view, Be32 address, IpProto protocol, Be16 port) {
  return detail::probe(view.index4, service_word(address, protocol, port));
}
inline const VipIndex6Entry* own_service6(const TablesView& view, const Block16& address, IpProto protocol, Be16 port) {
  return detail::probe(view.index6, service_words(address, protocol, port));
}
// Which service? The longest and most specific one.
inline VipMatch find_vip4(const TablesView& view, Be32 address, IpProto protocol, Be16 port) {
  return detail::find(view.index4, VipIndex4Key{address, port, static_cast<std::uint8_t>(protocol), prefix_tag(32)});
}
inline VipMatch find_vip6(const TablesView& view, const Block16& address, IpProto protocol, Be16 port) {
  return detail::find(view.index6, service_key(address, protocol, port));
}
// Whose address, whatever it serves? `pool` is none or own.
inline VipMatch find_address4(const TablesView& view, Be32 address) {
  return detail::find_address(view.index4, VipIndex4Key{address, {}, 0, prefix_tag(32)});
}
inline VipMatch find_address6(const TablesView& view, const Block16& address) {
  const VipIndex6Entry* entry = detail::probe(view.index6, service_words(address, IpProto{}, {}));
  if (entry == nullptr && view.index6.prefixes.count > 0)
    entry = detail::probe_prefixes(view.index6, service_key(address, IpProto{}, {}));
  return detail::match_of_address(entry);
}

// nullptr when the id is not of this generation (only a scribbled index can say so).
inline const VipRecord* vip_record(const TablesView& view, VipId vip) {
  return index(vip) < view.vips.size() ? &view.vips[index(vip)] : nullptr;
}
inline const PoolView* pool_view(const TablesView& view, PoolId pool) {
  return index(pool) < view.pools.size() ? &view.pools[index(pool)] : nullptr;
}

// The scheduler source_hash: what a flow's slot is chosen by, instead of the flow hash.
inline std::uint64_t source_hash(const FlowHashKeys& keys, Be32 source, std::uint32_t bits) {
  return flow_hash(keys, FlowKey4{.source = first_bits(source, bits), .destination = {}, .ports = {}});
}
inline std::uint64_t source_hash(const FlowHashKeys& keys, const Block16& source, std::uint32_t bits) {
  return flow_hash(keys, FlowKey6{.source = first_bits(source, bits), .destination = {}, .ports = {}});
}

// What the slot of a flow is chosen by: docs/packet_policy.md, section 11. `hash`: of the flow. `family`: of its
// packets, which the client's address does not tell if it is IPv4-mapped.
inline std::uint64_t slot_hash(const FlowHashKeys& keys, const PoolView& pool, std::uint64_t hash, Family family,
                               const IpAddress& client) {
  if (pool.scheduler != Scheduler::source_hash) return hash;
  return family == Family::ipv4 ? source_hash(keys, client.v4(), pool.source_bits4)
                                : source_hash(keys, client.bytes, pool.source_bits6);
}

// The entry of the flow's slot; nullptr when the pool has no usable backend.
inline const SlotEntry* slot_entry(const PoolView& pool, std::uint64_t hash) {
  return pool.slot_count == 0 ? nullptr : &pool.slots[index(slot_of(hash, pool.slot_count))];
}
inline const BackendRecord* owner_of(const PoolView& pool, SlotEntry entry) {
  const std::uint32_t owner = entry & kSlotOwnerMask;
  return owner < pool.backend_count ? &pool.backends[owner] : nullptr;
}
// The living previous owners of a slot; nullptr when it is settled.
inline const PastOwners* past_owners(const PoolView& pool, Slot slot) {
  if (pool.history.blocks == nullptr) return nullptr;
  const HistoryBlock block = pool.history.blocks[index(slot) / kSlotsPerHistoryBlock];
  const std::uint32_t bit = 1U << (index(slot) % kSlotsPerHistoryBlock);
  const auto before = static_cast<std::uint32_t>(std::popcount(block.mask & (bit - 1)));
  const bool has = (block.mask & bit) != 0 && block.first < pool.history.past_count &&
                   before < pool.history.past_count - block.first;
  return has ? &pool.history.pasts[block.first + before] : nullptr;
}
inline const BackendRecord* backend_record(const PoolView& pool, BackendId backend) {
  return index(backend) < pool.backend_count ? &pool.backends[index(backend)] : nullptr;
}
constexpr bool is_reachable(const BackendRecord& backend) {
  return backend.outer != kNoOuter;
}
// What to put in front of packets to a backend; nullptr: it is not reachable.
inline const OuterTemplate* outer_of(const TablesView& view, const BackendRecord& backend) {
  const std::uint32_t outer = backend.outer;
  return outer < view.outers.size() ? &view.outers[outer] : nullptr;
}
// Whether the connections that it has may go on there: it is alive and reachable. nullptr: there is no backend.
inline bool can_take(const BackendRecord* backend) {
  return backend != nullptr && (backend->flags & kBackendAlive) != 0 && is_reachable(*backend);
}
// The backend of this pool that has a stats index, if it is alive and reachable; else nullptr. `pool` is that of `id`.
inline const BackendRecord* living_backend(const TablesView& view, PoolId id, const PoolView& pool,
                                           std::uint32_t stats_index) {
  if (stats_index >= view.directory.size()) return nullptr;
  const BackendPlace place = view.directory[stats_index];
  return place.pool == id && place.can_take() ? backend_record(pool, place.backend()) : nullptr;
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
  bad_backend,           // a backend names an outer template that does not exist
  bad_outer,             // an outer template is too long, or of an unknown encapsulation
  bad_history,           // a pool's history leaves its slots or backends
  bad_directory,         // names a pool or backend that does not exist
  bad_quic,              // a connection ID layout that cannot be, or a server ID of a backend that does not exist
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
      return "a backend names an outer header that does not exist";
    case TablesError::bad_outer:
      return "an outer header is malformed";
    case TablesError::bad_history:
      return "a pool's slot history names slots or backends that do not exist";
    case TablesError::bad_directory:
      return "the directory of backends names what does not exist";
    case TablesError::bad_quic:
      return "a pool's QUIC layouts or server IDs are malformed";
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
