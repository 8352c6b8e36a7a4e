// What GLB Director does, in short: the slots of a table have two backends each, the best two by a rendezvous hash.
// Packets go to the first, which passes on what it has no connection for to the second. One that is drained or down is
// never the first, if the other one can be. All backends have the same weight.
// Thread-safety: one thread.
#pragma once

#include <vector>

#include "perf/continuity/pool.h"

namespace guideway::perf {

class TwoChoice {
 public:
  struct Slot {
    std::uint16_t first = 0;
    std::uint16_t second = 0;
  };
  void update(const std::vector<Member>& members);
  Slot slot_of_hash(std::uint64_t hash) const { return slots_[hash % slots_.size()]; }

 private:
  std::vector<Slot> slots_;
};

}  // namespace guideway::perf
