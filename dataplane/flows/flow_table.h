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
// Ownership: the buckets and `flows_of_backend` outlive the table. Thread-safety: one worker; others may read the
// buckets by PeerFlows.
#pragma once

#include <immintrin.h>

#include <atomic>
#include <bit>
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

// FlowTimeouts by state.
class StateTimeouts {
 public:
  StateTimeouts() = default;
  explicit StateTimeouts(const FlowTimeouts& timeouts);
  std::uint16_t of(FlowState state) const { return seconds_[static_cast<std::size_t>(state)]; }

 private:
  std::array<std::uint16_t, 8> seconds_{};  // whatever three bits of a bucket say
};

// How many flows of a bucket a table is made for: at half of the places taken 0.24 % of flows find both their buckets
// full, at two thirds 1.6 % (perf/continuity).
inline constexpr std::uint32_t kFlowsPerBucketAim = kFlowsPerBucket / 2;

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
  // What insert() counts in.
  void prefetch_counts(std::uint64_t hash, std::uint32_t stats_index) const;
  // Whether a flow with such a hash can be there: one look at a small table, for slots that need no flow table any
  // more.
  bool may_have(std::uint64_t hash) const { return usage_.flows != 0 && group_of(hash) != 0; }

  Flow find(std::uint64_t hash, Seconds now);
  static std::uint16_t silent_s(Flow flow, Seconds now) { return silent_s(*flow.bucket, flow.at, now); }
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

  // Takes in a flow of another table, which was silent for `silent` then: for a data plane that takes over. Of a flow
  // that several tables have the one that met it last is right. False: it was met later, has expired, or was refused.
  bool take_over(std::uint64_t hash, std::uint16_t backend, FlowState state, Seconds silent, Seconds now);

 private:
  static constexpr std::uint32_t kGroups = 1U << 16;
  static constexpr std::uint16_t kManyFlows = 0xffff;  // of a group: no longer counted

  static constexpr std::uint16_t clock_of(Seconds now) { return static_cast<std::uint16_t>(now.count()); }
  // A flow's four bits, in place.
  static constexpr std::uint32_t bits_at(std::uint32_t bits, std::uint32_t at) { return bits << (4 * at); }
  static std::uint16_t silent_s(const FlowBucket& bucket, std::uint32_t at, Seconds now) {
    return static_cast<std::uint16_t>(clock_of(now) - bucket.seen_s[at]);
  }
  static bool is_guest(Flow flow) { return (flow.bucket->states & bits_at(kFlowIsGuest, flow.at)) != 0; }
  // What other workers may be reading meanwhile.
  template <typename T>
  static void write_whole(T& field, T value) {
    std::atomic_ref(field).store(value, std::memory_order_release);
  }

  FlowBucket& home_of(std::uint64_t hash) const { return buckets_[flow_home(hash, buckets_.size())]; }
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
  StateTimeouts timeouts_;
  std::vector<std::uint16_t> groups_;  // how many flows, by the first 16 bits of their hash
  Usage usage_;
  std::uint64_t swept_ = 0;  // buckets, since the first sweep
  std::optional<Seconds> sweep_began_;
};

// The flows of a bucket whose tag is this one, as bits. Equal, whatever the machine.
std::uint32_t match_tags_portable(const FlowBucket& bucket, std::uint32_t tag_high);
inline std::uint32_t match_tags(const FlowBucket& bucket, std::uint32_t tag_high) {
  const __m128i wanted = _mm_set1_epi32(static_cast<int>(tag_high));
  const __m128i first4 = _mm_load_si128(reinterpret_cast<const __m128i*>(bucket.tag_high.data()));
  const __m128i last2 = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(bucket.tag_high.data() + 4));
  const auto mask = [&](__m128i tags) {
    return static_cast<std::uint32_t>(_mm_movemask_ps(_mm_castsi128_ps(_mm_cmpeq_epi32(tags, wanted))));
  };
  return mask(first4) | (mask(last2) & 3) << 4;
}

// ---- what every packet of a tracked flow takes, inline --------------------------------------------------------------

inline void FlowTable::prefetch(std::uint64_t hash) const {
  if (buckets_.empty()) return;
  __builtin_prefetch(&home_of(hash), 1);
}

inline void FlowTable::prefetch_counts(std::uint64_t hash, std::uint32_t stats_index) const {
  __builtin_prefetch(&groups_[hash >> 48], 1);
  if (stats_index < flows_of_backend_.size()) __builtin_prefetch(&flows_of_backend_[stats_index], 1);
}

inline FlowBucket& FlowTable::neighbour_of(const FlowBucket& bucket) const {
  const auto at = static_cast<std::size_t>(&bucket - buckets_.data());
  return buckets_[at ^ 1];
}

inline bool FlowTable::has_expired(const FlowBucket& bucket, std::uint32_t at, Seconds now) const {
  return silent_s(bucket, at, now) > timeouts_.of(static_cast<FlowState>(bucket.states >> (4 * at) & 0x7));
}

inline FlowTable::Flow FlowTable::find_in(FlowBucket& bucket, std::uint64_t hash, Seconds now) {
  for (std::uint32_t matches = match_tags(bucket, flow_tag_high(hash)); matches != 0; matches &= matches - 1) {
    const Flow flow{&bucket, static_cast<std::uint32_t>(std::countr_zero(matches))};
    if (bucket.tag_low[flow.at] != flow_tag_low(hash) || flow.state() == FlowState::free) continue;
    if (!has_expired(bucket, flow.at, now)) return flow;
    erase(flow);
    usage_.expired++;
    return {};
  }
  return {};
}

inline FlowTable::Flow FlowTable::find(std::uint64_t hash, Seconds now) {
  if (buckets_.empty()) return {};
  FlowBucket& home = home_of(hash);
  const Flow flow = find_in(home, hash, now);
  if (flow || !has_guests_elsewhere(home.states)) [[likely]]
    return flow;
  return find_in(neighbour_of(home), hash, now);
}

inline void FlowTable::touch(Flow flow, FlowState state, Seconds now) {
  FlowBucket& bucket = *flow.bucket;
  if (bucket.seen_s[flow.at] != clock_of(now)) write_whole(bucket.seen_s[flow.at], clock_of(now));
  if (flow.state() == state) return;
  const std::uint32_t change = static_cast<std::uint32_t>(flow.state()) ^ static_cast<std::uint32_t>(state);
  write_whole(bucket.states, bucket.states ^ bits_at(change, flow.at));
}

}  // namespace guideway
