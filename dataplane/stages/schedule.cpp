#include "dataplane/stages/schedule.h"

namespace guideway {
namespace {

bool takes_new(const BackendRecord& backend) {
  return backend.weight > 0 && is_reachable(backend);
}

// Slots are given out in a random order, in proportion to weight: so is a walk over them, here in long steps, which
// visit every slot because the number of slots is a prime.
const BackendRecord* next_in_turn(const PoolView& pool, Tracker& tracker) {
  constexpr std::uint64_t kStep = 0x9e3779b1;
  const std::uint64_t slot = tracker.turn++ * kStep % pool.slot_count;
  return owner_of(pool, pool.slots[slot]);
}

// By what the worker itself remembers: the fewest flows for its weight.
const BackendRecord* least_loaded(const PoolView& pool, const FlowTable& flows) {
  const BackendRecord* least = nullptr;
  std::uint64_t least_flows = 0;
  for (std::uint32_t i = 0; i < pool.backend_count; i++) {
    const BackendRecord& backend = pool.backends[i];
    if (!takes_new(backend)) continue;
    const std::uint64_t count = std::uint64_t{flows.flows_of(backend.stats_index)} + 1;
    if (least != nullptr && count * least->weight >= least_flows * backend.weight) continue;
    least = &backend;
    least_flows = count;
  }
  return least;
}

}  // namespace

const BackendRecord* schedule(const SlotChoice& choice, Tracker& tracker) {
  if (choice.owner == nullptr) return nullptr;
  switch (choice.pool->scheduler) {
    case Scheduler::round_robin:
      return next_in_turn(*choice.pool, tracker);
    case Scheduler::least_connections:
      return least_loaded(*choice.pool, tracker.flows);
    case Scheduler::maglev:
    case Scheduler::source_hash:
      break;
  }
  return choice.owner;
}

}  // namespace guideway
