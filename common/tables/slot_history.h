// Who owned the slots of a pool before: what the worker needs to keep connections where they began, and what the
// second chance offers as further hops. docs/continuity.md says why.
//
// An era is a time during which a pool's weights stayed the same. The history of a slot is the sequence of its owners
// in the eras that are remembered, and now. A slot is unsettled if any of them is not the owner of now.
//
// For second chance there is more. Older eras name hops and nothing else: flows that nobody knows go to the owner,
// because in such a slot most began there. Kept eras are older still, and name those backends alone that are drained.
// Only where there is no owner, nor a living one in recent eras, such flows go to the newest that these name.
//
// A pure function: equal eras and equal backends give equal bytes on every load balancer.
// Thread-safety: SlotTables one thread, the rest pure functions.
#pragma once

#include <map>
#include <span>
#include <vector>

#include "common/tables/slot_table.h"

namespace guideway {

using Weights = std::vector<WeightedBackend>;

// The eras before the one in force, each with the oldest first.
struct PastEras {
  std::vector<Weights> recent;   // that ended less than the window ago
  std::vector<Weights> older{};  // … less than some windows, or had to make room for recent ones
  std::vector<Weights> kept{};   // … before that, with weight of backends that are idle now
  bool empty() const { return recent.empty() && older.empty() && kept.empty(); }
  friend bool operator==(const PastEras&, const PastEras&) = default;
};

struct SlotHistory {
  std::vector<HistoryWord> words;  // of the history object; empty: all slots are settled
  std::uint32_t unsettled_slots = 0;
  std::uint32_t kept_slots = 0;     // of them, those that only kept eras make so
  std::uint32_t crowded_slots = 0;  // with more living previous owners than PastOwners holds
};

// The slot tables of eras, built once: an era stays the same for as long as it is remembered.
class SlotTables {
 public:
  const std::vector<SlotEntry>& of(const Weights& weights, std::uint32_t slot_count);
  // Forgets all that were not asked for since the last call.
  void forget_unused();

 private:
  struct Key {
    std::uint32_t slot_count;
    std::vector<std::pair<IpAddress, std::uint32_t>> weights;
    friend auto operator<=>(const Key&, const Key&) = default;
  };
  struct Table {
    std::vector<SlotEntry> slots;
    bool used = true;
  };
  std::map<Key, Table> tables_;
};

// One backend of today's pool, as the history sees it.
struct KnownBackend {
  IpAddress address;
  bool can_take = false;    // alive and reachable: old connections may go to it
  bool is_drained = false;  // it can take, but no new flows
  friend bool operator==(const KnownBackend&, const KnownBackend&) = default;
};

// Marks the unsettled slots in `slots`, which is today's table, and says who owned them before.
// REQUIRES: today's slot count is that of all eras.
SlotHistory make_slot_history(std::span<SlotEntry> slots, std::span<const KnownBackend> backends, const PastEras& past,
                              SlotTables& tables);

}  // namespace guideway
