#include "dataplane/flows/flow_table.h"

namespace guideway {
namespace {

constexpr std::uint32_t kStatesOfAll = (1U << (4 * kFlowsPerBucket)) - 1;

// One bit of four for each free place.
std::uint32_t free_places(const FlowBucket& bucket) {
  const std::uint32_t states = bucket.states;
  constexpr std::uint32_t kLowest = 0x111111;
  return ~(states | states >> 1 | states >> 2) & kLowest;
}

}  // namespace

std::uint32_t match_tags_portable(const FlowBucket& bucket, std::uint32_t tag_high) {
  std::uint32_t matches = 0;
  for (std::uint32_t i = 0; i < kFlowsPerBucket; i++)
    if (bucket.tag_high[i] == tag_high) matches |= 1U << i;
  return matches;
}

StateTimeouts::StateTimeouts(const FlowTimeouts& timeouts) {
  const auto set = [&](FlowState state, Seconds timeout) {
    seconds_[static_cast<std::size_t>(state)] = static_cast<std::uint16_t>(timeout.count());
  };
  set(FlowState::probation, timeouts.probation);
  set(FlowState::established, timeouts.established);
  set(FlowState::closing, timeouts.closing);
  set(FlowState::datagram, timeouts.datagram);
}

FlowTable::FlowTable(std::span<FlowBucket> buckets, std::span<std::atomic<std::uint32_t>> flows_of_backend,
                     const FlowTimeouts& timeouts)
    : buckets_(buckets), flows_of_backend_(flows_of_backend), timeouts_(timeouts), groups_(kGroups) {
  count_what_is_there();
}

void FlowTable::count_what_is_there() {
  for (FlowBucket& bucket : buckets_)
    for (std::uint32_t i = 0; i < kFlowsPerBucket; i++)
      if (const Flow flow{&bucket, i}; flow.state() != FlowState::free) count_in(flow);
}

void FlowTable::count_in(Flow flow) {
  std::uint16_t& group = groups_[flow.bucket->tag_high[flow.at] >> 16];
  if (group != kManyFlows) group++;
  count_of_backend(flow.backend(), 1);
  usage_.flows++;
}

// A free place, made free if need be by what has expired.
FlowTable::Flow FlowTable::place_in(FlowBucket& bucket, Seconds now) {
  if (const std::uint32_t free = free_places(bucket); free != 0)
    return {&bucket, static_cast<std::uint32_t>(std::countr_zero(free)) / 4};
  for (std::uint32_t i = 0; i < kFlowsPerBucket; i++) {
    const Flow flow{&bucket, i};
    if (!has_expired(bucket, i, now)) continue;
    erase(flow);
    usage_.expired++;
    return flow;
  }
  return {};
}

FlowTable::Flow FlowTable::victim_in(FlowBucket& home, FlowBucket& neighbour, Seconds now) {
  for (const FlowState state : {FlowState::probation, FlowState::closing}) {
    Flow longest;
    for (FlowBucket* bucket : {&home, &neighbour})
      for (std::uint32_t i = 0; i < kFlowsPerBucket; i++) {
        const Flow flow{bucket, i};
        if (flow.state() != state) continue;
        if (!longest || silent_s(*bucket, i, now) > silent_s(*longest.bucket, longest.at, now)) longest = flow;
      }
    if (longest) return longest;
  }
  return {};
}

bool FlowTable::insert(std::uint64_t hash, std::uint16_t backend, FlowState state, Seconds now) {
  return bool{put(hash, backend, state, now)};
}

FlowTable::Flow FlowTable::put(std::uint64_t hash, std::uint16_t backend, FlowState state, Seconds now) {
  if (buckets_.empty()) {
    usage_.refused++;
    return {};
  }
  FlowBucket& home = home_of(hash);
  Flow flow = place_in(home, now);
  if (!flow) flow = place_in(neighbour_of(home), now);
  if (!flow) {
    flow = victim_in(home, neighbour_of(home), now);
    if (!flow) {
      usage_.refused++;
      return {};
    }
    erase(flow);
    usage_.evicted++;
  }
  // In this order: a data plane that is killed in between leaves no half of a flow behind, and another worker reads
  // none.
  FlowBucket& bucket = *flow.bucket;
  write_whole(bucket.tag_high[flow.at], flow_tag_high(hash));
  write_whole(bucket.tag_low[flow.at], flow_tag_low(hash));
  write_whole(bucket.backend[flow.at], backend);
  write_whole(bucket.seen_s[flow.at], clock_of(now));
  const bool guest = &bucket != &home;
  if (guest) write_whole(home.states, home.states + kOneGuest);
  const std::uint32_t bits = static_cast<std::uint32_t>(state) | (guest ? kFlowIsGuest : 0);
  write_whole(bucket.states, bucket.states | bits_at(bits, flow.at));

  count_in(flow);
  usage_.inserted++;
  return flow;
}

void FlowTable::erase(Flow flow) {
  FlowBucket& bucket = *flow.bucket;
  if (is_guest(flow)) {
    std::uint32_t& home_states = neighbour_of(bucket).states;
    write_whole(home_states, home_states - kOneGuest);
  }
  write_whole(bucket.states, bucket.states & ~bits_at(0xf, flow.at));
  std::uint16_t& group = groups_[bucket.tag_high[flow.at] >> 16];
  if (group != kManyFlows) group--;
  count_of_backend(flow.backend(), ~std::uint32_t{0});
  usage_.flows--;
}

void FlowTable::count_of_backend(std::uint16_t backend, std::uint32_t change) {
  if (backend >= flows_of_backend_.size()) return;
  std::atomic<std::uint32_t>& count = flows_of_backend_[backend];
  count.store(count.load(std::memory_order_relaxed) + change, std::memory_order_relaxed);
}

void FlowTable::remove_expired(FlowBucket& bucket, Seconds now) {
  if ((bucket.states & kStatesOfAll) == 0) return;
  for (std::uint32_t i = 0; i < kFlowsPerBucket; i++) {
    const Flow flow{&bucket, i};
    if (flow.state() == FlowState::free || !has_expired(bucket, i, now)) continue;
    erase(flow);
    usage_.expired++;
  }
}

void FlowTable::sweep(Seconds now) {
  constexpr std::uint32_t kBucketsAtOnce = 8;
  if (!sweep_began_) sweep_began_ = now;
  const std::uint64_t due = std::uint64_t{(now - *sweep_began_).count() + 1} * buckets_.size() / kSweepPeriod.count();
  for (std::uint32_t i = 0; i < kBucketsAtOnce && swept_ < due; i++, swept_++)
    remove_expired(buckets_[swept_ & (buckets_.size() - 1)], now);
}

bool FlowTable::take_over(std::uint64_t hash, std::uint16_t backend, FlowState state, Seconds silent, Seconds now) {
  if (state == FlowState::free || state > FlowState::datagram) return false;
  if (silent.count() > timeouts_.of(state)) return false;
  if (const Flow known = find(hash, now)) {
    if (silent_s(known, now) <= silent.count()) return false;
    erase(known);
  }
  const Flow flow = put(hash, backend, state, now);
  if (!flow) return false;
  write_whole(flow.bucket->seen_s[flow.at], clock_of(now - silent));
  return true;
}

}  // namespace guideway
