// Weighted Maglev with exact weights: which backend owns which slot.
//
// Eisenbud et al., "Maglev: A Fast and Reliable Software Network Load Balancer", NSDI 2016, section 3.4, with two
// changes: each backend's number of slots is fixed beforehand (largest remainder, so it is within ±1 of M·w/Σw for any
// weights), and most slots are given out by draws without retry, which moves fewer slots when the set of backends
// changes. docs/tables.md describes and measures it.
//
// The result is a pure function of the set {(address, weight)} and slot_count: the order of the backends, the host and
// the history do not matter. Golden tables in tests pin it across releases.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "guideway/address.h"
#include "guideway/tables.h"

namespace guideway {

struct WeightedBackend {
  IpAddress address;         // its identity; distinct within a pool
  std::uint32_t weight = 0;  // 0…65535; 0 owns no slot
  friend bool operator==(const WeightedBackend&, const WeightedBackend&) = default;
};

// slots[s] = position in `backends` of the owner of slot s. Empty if all weights are 0 or there are no backends.
// REQUIRES: backends.size() <= kBackendsPerPoolMax, 0 < slot_count <= kSlotCountMax, slot_count prime.
std::vector<SlotEntry> build_slot_table(std::span<const WeightedBackend> backends, std::uint32_t slot_count);

// How many slots each backend is due: the largest-remainder apportionment of slot_count by weight, ties in the order
// of a hash of the address.
std::vector<std::uint32_t> slot_quotas(std::span<const WeightedBackend> backends, std::uint32_t slot_count);

}  // namespace guideway
