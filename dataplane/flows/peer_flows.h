// What the other workers of this data plane remember of flows. A NIC spreads packets by their ports; ICMP errors and
// fragments, which have none, may come to a worker that never met their flow.
//
// Reads buckets while their workers write them, and waits for nobody. Fields are read and written whole. A worker that
// puts another flow into a place clears the place's state first, then writes the tags, then the backend, the state
// last (FlowTable::put()); so a flow counts whose tags and state are still the same after its backend was read. What
// that cannot rule out is that it ended just now.
//
// Ownership: the buckets outlive it. Thread-safety: one worker, with all others writing.
#pragma once

#include <optional>

#include "dataplane/flows/flow_table.h"

namespace guideway {

class PeerFlows {
 public:
  struct Flow {
    std::uint16_t backend = 0;  // its stats index
    FlowState state{};
    std::uint16_t silent_s = 0;
  };

  PeerFlows() = default;  // there are no others
  // `all`: the buckets of all workers, as they lie in the flows region; `own` are among them.
  // REQUIRES: all.size() is a multiple of own.size().
  PeerFlows(std::span<FlowBucket> all, std::span<const FlowBucket> own, const FlowTimeouts& timeouts)
      : all_(all), own_(own), timeouts_(timeouts) {}

  bool any() const { return all_.size() > own_.size(); }
  void prefetch(std::uint64_t hash) const;
  // As it is remembered by the one of them that met it last, if that is not too long ago.
  std::optional<Flow> find(std::uint64_t hash, Seconds now) const;

 private:
  template <typename Visit>
  void for_each_home(std::uint64_t hash, Visit visit) const;

  std::span<FlowBucket> all_;
  std::span<const FlowBucket> own_;
  StateTimeouts timeouts_;
};

}  // namespace guideway
