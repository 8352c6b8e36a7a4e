// Implementation of open_generation(), see tables_view.h; in a file of its own because it runs once per generation and
// its reader is another one.
#pragma once

#include <bit>

#include "guideway/tables_view.h"

namespace guideway {
namespace detail {

template <typename Element>
struct Elements {
  const ObjectHeader* header = nullptr;
  const Element* first = nullptr;
  std::uint32_t count = 0;
};

// Bounds, kind, size and checksum of one object. `known`: its checksum was verified before, at this place.
template <typename Element>
inline TablesError open_object(std::span<const std::byte> segment, const ObjectRef& ref, ObjectKind kind, bool known,
                               Elements<Element>& out) {
  const std::uint64_t offset = std::uint64_t{ref.offset_units} * kObjectUnitBytes;
  const std::uint32_t elements_at = elements_offset_bytes(kind);
  if (offset < sizeof(TablesHeader) || ref.size_bytes < elements_at || offset > segment.size() ||
      ref.size_bytes > segment.size() - offset)
    return TablesError::object_out_of_bounds;
  const auto bytes = segment.subspan(offset, ref.size_bytes);
  const auto* header = reinterpret_cast<const ObjectHeader*>(bytes.data());
  const std::uint32_t count = header->count;
  if (header->kind != kind) return TablesError::wrong_object_kind;
  if (header->size_bytes != ref.size_bytes || std::uint64_t{count} * sizeof(Element) + elements_at != ref.size_bytes)
    return TablesError::object_out_of_bounds;
  if (header->checksum != ref.checksum) return TablesError::bad_checksum;
  if (!known && object_checksum(bytes) != ref.checksum) return TablesError::bad_checksum;
  out = {header, reinterpret_cast<const Element*>(bytes.data() + elements_at), count};
  return TablesError::none;
}

template <typename Entry>
inline bool index_is_sound(const Elements<Entry>& entries, std::uint32_t vips, std::uint32_t pools) {
  if (!std::has_single_bit(entries.count) || entries.header->probes_max > entries.count) return false;
  for (std::uint32_t i = 0; i < entries.count; i++) {
    const Entry& entry = entries.first[i];
    if (entry.key.used == 0) continue;
    if (index(entry.vip) >= vips) return false;
    if (entry.pool != PoolId::none && index(entry.pool) >= pools) return false;
  }
  return true;
}

inline TablesError open_pool(std::span<const std::byte> segment, const PoolRecord& record, const PoolRecord* before,
                             PoolView& view) {
  const bool slots_known = before != nullptr && before->slots == record.slots;
  const bool backends_known = before != nullptr && before->backends == record.backends;
  Elements<SlotEntry> slots;
  Elements<BackendRecord> backends;
  if (record.backend_count > kBackendsPerPoolMax || record.slot_count > kSlotCountMax) return TablesError::bad_pool;
  if (record.backend_count > 0) {
    if (const auto e = open_object(segment, record.backends, ObjectKind::backends, backends_known, backends);
        e != TablesError::none)
      return e;
  }
  if (record.slot_count > 0) {
    if (const auto e = open_object(segment, record.slots, ObjectKind::slots, slots_known, slots);
        e != TablesError::none)
      return e;
  }
  if (backends.count != record.backend_count || slots.count != record.slot_count) return TablesError::bad_pool;
  if (!backends_known) {
    for (std::uint32_t i = 0; i < backends.count; i++) {
      const BackendRecord& backend = backends.first[i];
      if (backend.outer_bytes > sizeof backend.outer || backend.encap < Encap::ipip || backend.encap > Encap::gue1 ||
          (backend.outer_family != Family::ipv4 && backend.outer_family != Family::ipv6))
        return TablesError::bad_backend;
    }
  }
  if (!slots_known || before->backend_count != record.backend_count) {
    std::uint32_t highest = 0;
    for (std::uint32_t i = 0; i < slots.count; i++)
      highest = std::max<std::uint32_t>(highest, slots.first[i] & kSlotOwnerMask);
    if (slots.count > 0 && highest >= backends.count) return TablesError::slot_without_backend;
  }
  view = {slots.first, backends.first, slots.count, backends.count};
  return TablesError::none;
}

inline TablesError open_root(std::span<const std::byte> segment, RootWord word, const GenerationRoot*& root) {
  const std::uint64_t offset = word.offset_bytes();
  if (word.empty() || offset < sizeof(TablesHeader) || offset > segment.size() ||
      sizeof(GenerationRoot) > segment.size() - offset)
    return TablesError::object_out_of_bounds;
  const auto bytes = segment.subspan(offset, sizeof(GenerationRoot));
  const auto* candidate = reinterpret_cast<const GenerationRoot*>(bytes.data());
  if (candidate->header.kind != ObjectKind::root) return TablesError::wrong_object_kind;
  if (candidate->header.size_bytes != sizeof(GenerationRoot)) return TablesError::object_out_of_bounds;
  if (object_checksum(bytes) != candidate->header.checksum) return TablesError::bad_checksum;
  if (candidate->generation != word.generation()) return TablesError::generation_mismatch;
  root = candidate;
  return TablesError::none;
}

}  // namespace detail

inline std::uint32_t pool_count(std::span<const std::byte> segment, RootWord word) {
  const GenerationRoot* root = nullptr;
  if (detail::open_root(segment, word, root) != TablesError::none) return 0;
  if (root->pools.size_bytes < kObjectUnitBytes) return 0;
  return (root->pools.size_bytes - kObjectUnitBytes) / sizeof(PoolRecord);
}

inline TablesError open_generation(std::span<const std::byte> segment, RootWord word, std::span<PoolView> pools,
                                   const TablesView* before, TablesView& view) {
  using detail::open_object;
  const GenerationRoot* root = nullptr;
  if (const auto e = detail::open_root(segment, word, root); e != TablesError::none) return e;
  const GenerationRoot* old = before != nullptr ? before->root : nullptr;
  const auto known = [&](ObjectRef GenerationRoot::*ref) { return old != nullptr && old->*ref == root->*ref; };

  detail::Elements<VipRecord> vips;
  detail::Elements<PoolRecord> records;
  detail::Elements<VipIndex4Entry> index4;
  detail::Elements<VipIndex6Entry> index6;
  if (const auto e = open_object(segment, root->vips, ObjectKind::vips, known(&GenerationRoot::vips), vips);
      e != TablesError::none)
    return e;
  if (const auto e = open_object(segment, root->pools, ObjectKind::pools, known(&GenerationRoot::pools), records);
      e != TablesError::none)
    return e;
  if (const auto e = open_object(segment, root->index4, ObjectKind::index4, known(&GenerationRoot::index4), index4);
      e != TablesError::none)
    return e;
  if (const auto e = open_object(segment, root->index6, ObjectKind::index6, known(&GenerationRoot::index6), index6);
      e != TablesError::none)
    return e;

  if (records.count > pools.size()) return TablesError::too_many_pools;
  for (std::uint32_t i = 0; i < vips.count; i++)
    if (index(vips.first[i].pool) >= records.count) return TablesError::vip_without_pool;
  if (!detail::index_is_sound(index4, vips.count, records.count) ||
      !detail::index_is_sound(index6, vips.count, records.count))
    return TablesError::bad_index;
  for (std::uint32_t i = 0; i < records.count; i++) {
    const PoolRecord* same = before != nullptr && i < before->pool_records.size() ? &before->pool_records[i] : nullptr;
    if (const auto e = detail::open_pool(segment, records.first[i], same, pools[i]); e != TablesError::none) return e;
  }

  view.generation = root->generation;
  view.root = root;
  view.index4 = index4.first;
  view.index4_mask = index4.count - 1;
  view.index4_probes = index4.header->probes_max;
  view.index6 = index6.first;
  view.index6_mask = index6.count - 1;
  view.index6_probes = index6.header->probes_max;
  view.vips = {vips.first, vips.count};
  view.pool_records = {records.first, records.count};
  view.pools = pools.first(records.count);
  view.hash_keys = root->hash_keys;
  return TablesError::none;
}

}  // namespace guideway
