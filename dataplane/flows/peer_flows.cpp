#include "dataplane/flows/peer_flows.h"

namespace guideway {
namespace {

template <typename T>
T read_whole(T& field) {
  return std::atomic_ref(field).load(std::memory_order_acquire);
}

FlowState state_in(std::uint32_t states, std::uint32_t at) {
  return static_cast<FlowState>(states >> (4 * at) & 0x7);
}

bool has_tags(FlowBucket& bucket, std::uint32_t at, std::uint64_t hash) {
  return read_whole(bucket.tag_high[at]) == flow_tag_high(hash) && read_whole(bucket.tag_low[at]) == flow_tag_low(hash);
}

std::optional<PeerFlows::Flow> read_flow(FlowBucket& bucket, std::uint32_t at, std::uint64_t hash, Seconds now) {
  const FlowState state = state_in(read_whole(bucket.states), at);
  if (state == FlowState::free || !has_tags(bucket, at, hash)) return {};
  const PeerFlows::Flow flow{read_whole(bucket.backend[at]), state,
                             flow_silent_s(read_whole(bucket.seen_s[at]), now.count())};
  if (!has_tags(bucket, at, hash) || state_in(read_whole(bucket.states), at) == FlowState::free) return {};
  return flow;
}

std::optional<PeerFlows::Flow> find_in(FlowBucket& bucket, std::uint64_t hash, Seconds now) {
  for (std::uint32_t at = 0; at < kFlowsPerBucket; at++)
    if (const auto flow = read_flow(bucket, at, hash, now)) return flow;
  return {};
}

}  // namespace

template <typename Visit>
void PeerFlows::for_each_home(std::uint64_t hash, Visit visit) const {
  if (!any()) return;
  for (std::size_t first = 0; first < all_.size(); first += own_.size())
    if (FlowBucket* const buckets = &all_[first]; buckets != own_.data())
      visit(buckets[flow_home(hash, own_.size())], buckets[flow_home(hash, own_.size()) ^ 1]);
}

void PeerFlows::prefetch(std::uint64_t hash) const {
  for_each_home(hash, [](const FlowBucket& home, const FlowBucket&) { __builtin_prefetch(&home); });
}

std::optional<PeerFlows::Flow> PeerFlows::find(std::uint64_t hash, Seconds now) const {
  std::optional<Flow> last_met;
  for_each_home(hash, [&](FlowBucket& home, FlowBucket& neighbour) {
    auto flow = find_in(home, hash, now);
    if (!flow && has_guests_elsewhere(read_whole(home.states))) flow = find_in(neighbour, hash, now);
    if (!flow || flow->silent_s > timeouts_.of(flow->state)) return;
    if (!last_met || flow->silent_s < last_met->silent_s) last_met = flow;
  });
  return last_met;
}

}  // namespace guideway
