// Which backend flows were given: one worker's part of the flows region (guideway/flows.h).
//
// Fixed memory, and a bounded number of cache lines per packet: one for a flow at home, two at most. A flow is told by
// its keyed hash: with 65,536 buckets or more all 64 bits of it count, so that among 8 million flows a stranger is
// taken for a known one once in 10¹² times.
//
// Time is in whole seconds. A flow that was silent for longer than its state allows is gone: whoever comes across it
// removes it, and a sweep passes over all buckets within kSweepPeriod. With no room in both buckets a new flow takes
// the place of one on probation, the longest silent of them, or else of a closing one; never of an established one or a
// datagram flow: then it is refused, and counted.
//
// Ownership: the buckets and `flows_of_backend` outlive the table. Thread-safety: one worker.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "guideway/flows.h"

namespace guideway {

using Seconds = std::chrono::duration<std::uint32_t>;  // since any start; grows

struct FlowTimeouts {
  Seconds probation{30};
  Seconds established{7500};  // RFC 5382, REQ-5: not less than 2 hours and 4 minutes
  Seconds closing{240};       // RFC 5382, REQ-5: 4 minutes
  Seconds datagram{300};      // RFC 4787, REQ-5
};
inline constexpr Seconds kFlowTimeoutMax{8 * 3600};  // far enough from 2^16 that no age can be mistaken

class FlowTable {
 public:
  static constexpr Seconds kSweepPeriod{60};

  struct Usage {
    std::uint64_t inserted = 0;
    std::uint64_t refused = 0;
    std::uint64_t evicted = 0;
    std::uint64_t expired = 0;
    std::uint64_t flows = 0;  // now
  };

  // A flow of the table, until the next call that changes it.
  struct Flow {
    FlowBucket* bucket = nullptr;
    std::uint32_t at = 0;
    explicit operator bool() const { return bucket != nullptr; }
    std::uint16_t backend() const { return bucket->backend[at]; }
    FlowState state() const { return static_cast<FlowState>(bucket->states >> (4 * at) & 0x7); }
  };

  // Without buckets it refuses every flow. `flows_of_backend`: by stats index, the flows of each; those beyond are not
  // counted. What is in the buckets already stays, silent for as long as it is at `now`.
  // REQUIRES: no buckets, or a power of two, at least 2.
  FlowTable(std::span<FlowBucket> buckets, std::span<std::atomic<std::uint32_t>> flows_of_backend,
            const FlowTimeouts& timeouts);

  void prefetch(std::uint64_t hash) const;
  // The stats index that find() will probably give; none if it will probably give nothing. Changes nothing.
  std::optional<std::uint16_t> probable_backend(std::uint64_t hash) const;
  // What insert() counts in.
  void prefetch_counts(std::uint64_t hash, std::uint32_t stats_index) const;
  // Whether a flow with such a hash can be there: one look at a small table, for slots that need no flow table any
  // more.
  bool may_have(std::uint64_t hash) const { return usage_.flows != 0 && group_of(hash) != 0; }

  Flow find(std::uint64_t hash, Seconds now);
  // REQUIRES: no such flow is there. False: refused.
  bool insert(std::uint64_t hash, std::uint16_t backend, FlowState state, Seconds now);
  void touch(Flow flow, FlowState state, Seconds now);
  void erase(Flow flow);

  // Removes what has expired in the part of the table that is due; a few buckets at a time.
  void sweep(Seconds now);
  const Usage& usage() const { return usage_; }
  std::uint32_t flows_of(std::uint32_t stats_index) const {
    return stats_index < flows_of_backend_.size() ? flows_of_backend_[stats_index].load(std::memory_order_relaxed) : 0;
  }

  // Takes in a flow of another table, which was silent for `silent` then: for a data plane that takes over. False: it
  // has expired, or was refused.
  bool take_over(std::uint64_t hash, std::uint16_t backend, FlowState state, Seconds silent, Seconds now);

 private:
  static constexpr std::uint32_t kGroups = 1U << 16;
  static constexpr std::uint16_t kManyFlows = 0xffff;  // of a group: no longer counted

  std::size_t home_of(std::uint64_t hash) const { return hash & (buckets_.size() - 1); }
  FlowBucket& neighbour_of(const FlowBucket& bucket) const;
  std::uint16_t group_of(std::uint64_t hash) const { return groups_[hash >> 48]; }
  void count_what_is_there();
  void count_in(Flow flow);
  Flow find_in(FlowBucket& bucket, std::uint64_t hash, Seconds now);
  bool has_expired(const FlowBucket& bucket, std::uint32_t at, Seconds now) const;
  Flow put(std::uint64_t hash, std::uint16_t backend, FlowState state, Seconds now);
  Flow place_in(FlowBucket& bucket, Seconds now);
  Flow victim_in(FlowBucket& home, FlowBucket& neighbour, Seconds now);
  void remove_expired(FlowBucket& bucket, Seconds now);
  void count_of_backend(std::uint16_t backend, std::uint32_t change);

  std::span<FlowBucket> buckets_;
  std::span<std::atomic<std::uint32_t>> flows_of_backend_;
  std::array<std::uint16_t, 8> timeouts_s_{};  // by state
  std::vector<std::uint16_t> groups_;          // how many flows, by the first 16 bits of their hash
  Usage usage_;
  std::uint64_t swept_ = 0;  // buckets, since the first sweep
  std::optional<Seconds> sweep_began_;
};

// The flows of a bucket whose tag is this one, as bits. Equal, whatever the machine.
std::uint32_t match_tags_portable(const FlowBucket& bucket, std::uint32_t tag_high);
std::uint32_t match_tags(const FlowBucket& bucket, std::uint32_t tag_high);

}  // namespace guideway
