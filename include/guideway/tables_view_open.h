// Implementation of open_generation(), see tables_view.h; in a file of its own because it runs once per generation and
// its reader is another one.
//
// The writer is not trusted, and may be writing while we read. So whatever is checked and then used is copied out of
// the segment once (snapshot); what stays behind in the segment is only ever checked, and bounded again at each lookup.
#pragma once

#include <algorithm>
#include <bit>

#include "guideway/tables_view.h"

namespace guideway {
namespace detail {

// REQUIRES: sizeof(T) bytes at `at`.
template <typename T>
inline T snapshot(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  asm volatile("" : : "r"(&value) : "memory");  // the compiler must not read the segment again for it
  return value;
}

template <typename Element>
struct Elements {
  ObjectRef ref{};
  const Element* first = nullptr;
  std::uint32_t count = 0;
  std::uint32_t probes_max = 0;
};

// Bounds, kind, size and checksum of one object. `known`: what it referred to when it was verified before.
template <typename Element>
inline TablesError open_object(std::span<const std::byte> segment, const ObjectRef& ref, ObjectKind kind,
                               const ObjectRef* known, Elements<Element>& out) {
  const std::uint64_t offset = std::uint64_t{ref.offset_units} * kObjectUnitBytes;
  const std::uint32_t elements_at = elements_offset_bytes(kind);
  if (offset < sizeof(TablesHeader) || ref.size_bytes < elements_at || offset > segment.size() ||
      ref.size_bytes > segment.size() - offset)
    return TablesError::object_out_of_bounds;
  const auto bytes = segment.subspan(offset, ref.size_bytes);
  const auto header = snapshot<ObjectHeader>(bytes.data());
  if (header.kind != kind) return TablesError::wrong_object_kind;
  if (header.size_bytes != ref.size_bytes ||
      std::uint64_t{header.count} * sizeof(Element) + elements_at != ref.size_bytes)
    return TablesError::object_out_of_bounds;
  if (header.checksum != ref.checksum) return TablesError::bad_checksum;
  const bool verified = known != nullptr && *known == ref;
  if (!verified && object_checksum(bytes) != ref.checksum) return TablesError::bad_checksum;
  out = {ref, reinterpret_cast<const Element*>(bytes.data() + elements_at), header.count, header.probes_max};
  return TablesError::none;
}

template <typename Entry, std::size_t kBits>
inline bool open_index(const Elements<Entry>& entries, std::uint32_t vips, std::uint32_t pools,
                       IndexView<Entry, kBits>& view) {
  if (!std::has_single_bit(entries.count) || entries.probes_max > entries.count) return false;
  std::array<bool, kBits + 2> seen{};  // by tag
  for (std::uint32_t i = 0; i < entries.count; i++) {
    const Entry& entry = entries.first[i];
    const std::uint8_t tag = entry.key.tag;
    if (tag == 0) continue;
    if (tag > prefix_tag(kBits)) return false;
    seen[tag] = true;
    if (entry.pool == PoolId::own) continue;
    if (index(entry.vip) >= vips) return false;
    if (entry.pool != PoolId::none && index(entry.pool) >= pools) return false;
  }
  view = {entries.first, entries.count - 1, entries.probes_max, {}};
  for (std::size_t tag = kBits; tag > 0; tag--)
    if (seen[tag]) view.prefixes.tags[view.prefixes.count++] = static_cast<std::uint8_t>(tag);
  return true;
}

inline bool outers_are_sound(const Elements<OuterTemplate>& outers) {
  for (std::uint32_t i = 0; i < outers.count; i++) {
    const OuterTemplate& outer = outers.first[i];
    if (outer.header_bytes > sizeof outer.header || outer.ip_at > outer.header_bytes || outer.encap < Encap::ipip ||
        outer.encap > Encap::l2dsr || (outer.family != Family::ipv4 && outer.family != Family::ipv6))
      return false;
  }
  return true;
}

// The slots of a closed pool have no owner.
inline bool slots_are_sound(const Elements<SlotEntry>& slots, std::uint32_t backends, bool closed) {
  std::uint32_t highest = 0;
  for (std::uint32_t i = 0; i < slots.count; i++)
    highest = std::max<std::uint32_t>(highest, slots.first[i] & kSlotOwnerMask);
  return slots.count == 0 || closed || highest < backends;
}

// REQUIRES: `view` has the backends of the pool.
inline TablesError open_quic(std::span<const std::byte> segment, const ObjectRef& ref, const PoolView* before,
                             PoolView& view) {
  view.quic_ref = ref;
  if (before != nullptr && before->quic_ref == ref && before->backend_count == view.backend_count) {
    view.quic = before->quic;
    return TablesError::none;
  }
  Elements<QuicServerEntry> entries;
  const ObjectRef* known = before != nullptr ? &before->quic_ref : nullptr;
  if (const auto e = open_object(segment, ref, ObjectKind::quic, known, entries); e != TablesError::none) return e;
  if (!std::has_single_bit(entries.count) || entries.probes_max > entries.count) return TablesError::bad_quic;
  for (std::uint32_t i = 0; i < entries.count; i++) {
    const QuicServerEntry& entry = entries.first[i];
    if (!is_free(entry.key) && index(entry.backend) >= view.backend_count) return TablesError::bad_quic;
  }
  const auto* decoders = reinterpret_cast<const std::byte*>(entries.first) - sizeof(QuicDecoders);
  const auto shapes = snapshot<QuicShapes>(decoders + offsetof(QuicDecoders, shapes));
  if (!are_sound(shapes)) return TablesError::bad_quic;
  view.quic = {entries.first, entries.count - 1, entries.probes_max, reinterpret_cast<const QuicDecoders*>(decoders),
               shapes};
  return TablesError::none;
}

// The words of a history, sorted out. REQUIRES: `slot_count` and `backend_count` of the view.
inline bool history_is_sound(const Elements<HistoryWord>& words, PoolView& view) {
  const std::uint32_t blocks = history_blocks(view.slot_count);
  if (words.count < blocks) return false;
  view.history = {reinterpret_cast<const HistoryBlock*>(words.first),
                  reinterpret_cast<const PastOwners*>(words.first + blocks), words.count - blocks};
  for (std::uint32_t i = 0; i < view.history.past_count; i++)
    for (const BackendId backend : view.history.pasts[i].backends)
      if (backend != BackendId::none && index(backend) >= view.backend_count) return false;
  std::uint32_t next = 0;
  for (std::uint32_t i = 0; i < blocks; i++) {
    if (view.history.blocks[i].first != next) return false;
    next += static_cast<std::uint32_t>(std::popcount(view.history.blocks[i].mask));
  }
  return next == view.history.past_count;
}

inline TablesError open_history(std::span<const std::byte> segment, const ObjectRef& ref, const PoolView* before,
                                PoolView& view) {
  view.history_ref = ref;
  if (before != nullptr && before->history_ref == ref && before->slot_count == view.slot_count &&
      before->backend_count == view.backend_count) {
    view.history = before->history;
    return TablesError::none;
  }
  Elements<HistoryWord> words;
  const ObjectRef* known = before != nullptr ? &before->history_ref : nullptr;
  if (const auto e = open_object(segment, ref, ObjectKind::history, known, words); e != TablesError::none) return e;
  return history_is_sound(words, view) ? TablesError::none : TablesError::bad_history;
}

inline bool directory_is_sound(const Elements<BackendPlace>& places, std::span<const PoolView> pools) {
  for (std::uint32_t i = 0; i < places.count; i++) {
    const BackendPlace place = snapshot<BackendPlace>(reinterpret_cast<const std::byte*>(places.first + i));
    if (place.pool == PoolId::none) continue;
    if (index(place.pool) >= pools.size() || index(place.backend()) >= pools[index(place.pool)].backend_count)
      return false;
  }
  return true;
}

// How many outer templates these backends need.
inline std::uint32_t outers_of(const Elements<BackendRecord>& backends) {
  std::uint32_t outers = 0;
  for (std::uint32_t i = 0; i < backends.count; i++) {
    const BackendRecord& backend = backends.first[i];
    if (is_reachable(backend)) outers = std::max(outers, backend.outer + 1U);
  }
  return outers;
}
inline bool sums_packets(const Elements<BackendRecord>& backends, Encap encap) {
  if (encap != Encap::gue0 && encap != Encap::gue1) return false;
  return std::any_of(backends.first, backends.first + backends.count,
                     [](const BackendRecord& backend) { return backend.address.family() == Family::ipv6; });
}

inline TablesError open_pool(std::span<const std::byte> segment, const PoolRecord& record, std::uint32_t outers,
                             const PoolView* before, PoolView& view) {
  if (record.backend_count > kBackendsPerPoolMax || record.slot_count > kSlotCountMax || record.encap < Encap::ipip ||
      record.encap > Encap::l2dsr || record.scheduler > Scheduler::least_connections || record.source_bits4 > 32 ||
      record.source_bits6 > 128)
    return TablesError::bad_pool;
  Elements<SlotEntry> slots;
  Elements<BackendRecord> backends;
  if (record.backend_count > 0) {
    const ObjectRef* known = before != nullptr ? &before->backends_ref : nullptr;
    if (const auto e = open_object(segment, record.backends, ObjectKind::backends, known, backends);
        e != TablesError::none)
      return e;
  }
  if (record.slot_count > 0) {
    const ObjectRef* known = before != nullptr ? &before->slots_ref : nullptr;
    if (const auto e = open_object(segment, record.slots, ObjectKind::slots, known, slots); e != TablesError::none)
      return e;
  }
  if (backends.count != record.backend_count || slots.count != record.slot_count) return TablesError::bad_pool;
  const bool same_backends = before != nullptr && before->backends_ref == backends.ref;
  const bool same_slots = before != nullptr && before->slots_ref == slots.ref;
  const std::uint32_t outers_needed = same_backends ? before->outers : outers_of(backends);
  if (outers_needed > outers) return TablesError::bad_backend;
  const bool known_slots = same_slots && before->backend_count == backends.count && before->flags == record.flags;
  if (!known_slots && !slots_are_sound(slots, backends.count, (record.flags & kPoolClosed) != 0))
    return TablesError::slot_without_backend;
  view = {.slots = slots.first,
          .backends = backends.first,
          .slot_count = slots.count,
          .backend_count = backends.count,
          .scheduler = record.scheduler,
          .flags = record.flags,
          .source_bits4 = record.source_bits4,
          .source_bits6 = record.source_bits6,
          .encap = record.encap,
          .sums_packets = same_backends && before->encap == record.encap ? before->sums_packets
                                                                         : sums_packets(backends, record.encap),
          .outers = outers_needed,
          .quic = {},
          .history = {},
          .slots_ref = slots.ref,
          .backends_ref = backends.ref,
          .quic_ref = {},
          .history_ref = {}};
  if (record.history.offset_units != 0)
    if (const auto e = open_history(segment, record.history, before, view); e != TablesError::none) return e;
  return record.quic.offset_units != 0 ? open_quic(segment, record.quic, before, view) : TablesError::none;
}

inline TablesError open_root(std::span<const std::byte> segment, RootWord word, GenerationRoot& root) {
  const std::uint64_t offset = word.offset_bytes();
  if (word.empty() || offset < sizeof(TablesHeader) || offset > segment.size() ||
      sizeof(GenerationRoot) > segment.size() - offset)
    return TablesError::object_out_of_bounds;
  root = snapshot<GenerationRoot>(segment.data() + offset);
  if (root.header.kind != ObjectKind::root) return TablesError::wrong_object_kind;
  if (root.header.size_bytes != sizeof(GenerationRoot)) return TablesError::object_out_of_bounds;
  if (object_checksum(std::as_bytes(std::span(&root, 1))) != root.header.checksum) return TablesError::bad_checksum;
  if (root.generation != word.generation()) return TablesError::generation_mismatch;
  return TablesError::none;
}

}  // namespace detail

inline std::uint32_t pool_count(std::span<const std::byte> segment, RootWord word) {
  GenerationRoot root;
  if (detail::open_root(segment, word, root) != TablesError::none) return 0;
  if (root.pools.size_bytes < kObjectUnitBytes) return 0;
  return std::min(static_cast<std::uint32_t>((root.pools.size_bytes - kObjectUnitBytes) / sizeof(PoolRecord)),
                  kPoolsMax);
}

inline TablesError open_generation(std::span<const std::byte> segment, RootWord word, std::span<PoolView> pools,
                                   const TablesView* before, TablesView& view) {
  GenerationRoot root;
  if (const auto e = detail::open_root(segment, word, root); e != TablesError::none) return e;
  detail::Elements<VipRecord> vips;
  detail::Elements<PoolRecord> records;
  detail::Elements<VipIndex4Entry> index4;
  detail::Elements<VipIndex6Entry> index6;
  detail::Elements<BackendPlace> directory;
  detail::Elements<OuterTemplate> outers;
  TablesError error = TablesError::none;
  const auto open = [&](const ObjectRef& ref, ObjectKind kind, ObjectRef TablesView::*known, auto& out) {
    if (error == TablesError::none)
      error = detail::open_object(segment, ref, kind, before != nullptr ? &(before->*known) : nullptr, out);
  };
  open(root.vips, ObjectKind::vips, &TablesView::vips_ref, vips);
  open(root.pools, ObjectKind::pools, &TablesView::pools_ref, records);
  open(root.index4, ObjectKind::index4, &TablesView::index4_ref, index4);
  open(root.index6, ObjectKind::index6, &TablesView::index6_ref, index6);
  open(root.directory, ObjectKind::directory, &TablesView::directory_ref, directory);
  open(root.outers, ObjectKind::outers, &TablesView::outers_ref, outers);
  if (error != TablesError::none) return error;

  const bool same_outers = before != nullptr && before->outers_ref == root.outers;
  if (!same_outers && !detail::outers_are_sound(outers)) return TablesError::bad_outer;
  if (records.count > pools.size()) return TablesError::too_many_pools;
  for (std::uint32_t i = 0; i < vips.count; i++)
    if (index(vips.first[i].pool) >= records.count) return TablesError::vip_without_pool;
  VipIndex4View index4_view;
  VipIndex6View index6_view;
  if (!detail::open_index(index4, vips.count, records.count, index4_view) ||
      !detail::open_index(index6, vips.count, records.count, index6_view))
    return TablesError::bad_index;
  for (std::uint32_t i = 0; i < records.count; i++) {
    const auto record = detail::snapshot<PoolRecord>(reinterpret_cast<const std::byte*>(records.first + i));
    const PoolView* same = before != nullptr && i < before->pools.size() ? &before->pools[i] : nullptr;
    if (const auto e = detail::open_pool(segment, record, outers.count, same, pools[i]); e != TablesError::none)
      return e;
  }
  if (!detail::directory_is_sound(directory, pools.first(records.count))) return TablesError::bad_directory;

  view.generation = root.generation;
  view.index4 = index4_view;
  view.index6 = index6_view;
  view.vips = {vips.first, vips.count};
  view.pools = pools.first(records.count);
  view.directory = {directory.first, directory.count};
  view.outers = {outers.first, outers.count};
  view.hash_keys = root.hash_keys;
  view.config_digest = root.config_digest;
  view.published_unix_ns = root.published_unix_ns;
  view.vips_ref = root.vips;
  view.index4_ref = root.index4;
  view.index6_ref = root.index6;
  view.pools_ref = root.pools;
  view.directory_ref = root.directory;
  view.outers_ref = root.outers;
  return TablesError::none;
}

}  // namespace guideway
