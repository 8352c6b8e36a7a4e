// The hop list of a packet: who else may have its connection (docs/second_chance.md).
// Thread-safety: pure functions over the packet; the view is immutable.
#pragma once

#include "dataplane/batch.h"
#include "guideway/second_chance.h"

namespace guideway {

// Ready to be put behind the GUE header; empty if nobody else may have it.
struct HopList {
  static constexpr std::size_t kBytesMax = hop_list_bytes(Family::ipv6, hops_max(Family::ipv6), Generation{1});
  std::uint16_t bytes = 0;
  std::array<std::uint8_t, kBytesMax> data;
  std::span<const std::uint8_t> all() const { return {data.data(), bytes}; }
};

// What the packet's slot is chosen by: the flow hash, or that of the scheduler source_hash.
std::uint64_t source_slot_hash(const Packet& packet, const TablesView& view, const PoolView& pool);
inline std::uint64_t slot_hash(const Packet& packet, const TablesView& view, const PoolView& pool) {
  if (pool.scheduler != Scheduler::source_hash) [[likely]]
    return packet.hash;
  return source_slot_hash(packet, view, pool);
}

// REQUIRES: `has_hops` and `backend` are set.
HopList hop_list_of(const Packet& packet, const TablesView& view);

}  // namespace guideway
