#include "dataplane/stages/stages.h"

namespace guideway {
namespace {

std::uint64_t hash_of(const Packet& packet, const TablesView& view) {
  const std::uint8_t* ip = packet.data + packet.l3_offset;
  if (packet.family == Family::ipv4) {
    const auto source = load<Be32>(ip + offsetof(Ipv4Header, source));
    const auto destination = load<Be32>(ip + offsetof(Ipv4Header, destination));
    return flow_hash(view.hash_keys, FlowKey4{source, destination, packet.ports, packet.protocol});
  }
  const auto source = load<Block16>(ip + offsetof(Ipv6Header, source));
  const auto destination = load<Block16>(ip + offsetof(Ipv6Header, destination));
  return flow_hash(view.hash_keys, FlowKey6{source, destination, packet.ports, packet.protocol});
}

}  // namespace

void select(Batch& batch, const TablesView& view) {
  for (Packet& packet : batch.all()) {
    if (packet.verdict != Verdict::pending) continue;
    const std::uint64_t hash = hash_of(packet, view);
    const PoolView* pool = pool_view(view, packet.pool);
    packet.entropy = entropy_of(hash);
    packet.backend = pool != nullptr ? select_backend(*pool, hash) : nullptr;
    if (packet.backend == nullptr || (packet.backend->flags & kBackendReachable) == 0)
      drop(packet, Counter::drop_no_backend);
  }
}

}  // namespace guideway
