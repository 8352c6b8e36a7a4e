#include "dataplane/stages/parse_icmp.h"
#include "dataplane/stages/service.h"
#include "dataplane/stages/stages.h"
#include "guideway/quic_route.h"

namespace guideway {
namespace {

std::uint64_t hash_of(const Packet& packet, const TablesView& view) {
  const std::uint8_t* ip = packet.l3();
  if (packet.kind == PacketKind::icmp_error) [[unlikely]] {  // what is quoted went the other way
    const std::uint8_t* quote = quoted_packet(packet);
    if (packet.family == Family::ipv4)
      return flow_hash(view.hash_keys,
                       FlowKey4{ipv4_destination(quote), ipv4_source(quote), packet.ports, packet.protocol});
    return flow_hash(view.hash_keys,
                     FlowKey6{ipv6_destination(quote), ipv6_source(quote), packet.ports, packet.protocol});
  }
  if (packet.family == Family::ipv4)
    return flow_hash(view.hash_keys, FlowKey4{ipv4_source(ip), ipv4_destination(ip), packet.ports, packet.protocol});
  return flow_hash(view.hash_keys, FlowKey6{ipv6_source(ip), ipv6_destination(ip), packet.ports, packet.protocol});
}

// What encap will write: the line in front of the frame, which no NIC has touched.
void prefetch_front(const Packet& packet) {
  __builtin_prefetch(packet.data - std::min<std::uint32_t>(kCacheLineBytes, packet.headroom_bytes), 1);
}

void prefetch_record(const BackendRecord* backend) {
  if (backend == nullptr) [[unlikely]]
    return;
  __builtin_prefetch(backend);
  __builtin_prefetch(reinterpret_cast<const std::uint8_t*>(backend) + kCacheLineBytes);
}

// As a number: compared byte by byte, g++ 12 calls memcmp().
std::uint64_t source_mac(const std::uint8_t* ethernet) {
  const std::uint8_t* mac = ethernet + offsetof(EthernetHeader, source);
  return load<std::uint32_t>(mac) | std::uint64_t{load<std::uint16_t>(mac + 4)} << 32;
}

// The frame has the source address of the port it would leave by: it was ours, and came back.
bool sent_by_ourselves(const Packet& packet) {
  return source_mac(packet.data) == source_mac(packet.backend->outer);
}

// QUIC: a packet may name its backend. REQUIRES: the slot's owner is set, for those that do not.
void follow_connection_id(Packet& packet, const PoolView& pool, const TablesView& view) {
  const VipRecord* vip = vip_record(view, packet.vip);
  if (vip == nullptr || (vip->flags & kVipQuic) == 0 || packet.kind != PacketKind::flow) return;
  const std::uint32_t payload_at = packet.l4_offset + static_cast<std::uint32_t>(sizeof(UdpHeader));
  const std::uint32_t end = std::min<std::uint32_t>(packet.contiguous_bytes, packet.l4_offset + packet.l4_bytes());
  const QuicRoute route = route_quic(pool, {packet.data + payload_at, end - payload_at});
  if (route.kind == QuicRouteKind::by_server_id) {
    packet.backend = route.backend;
    packet.reason = Counter::quic_by_server_id;
  } else if (route.kind == QuicRouteKind::unknown_id) {
    packet.reason = Counter::quic_unknown_id;
  }
}

void refuse_without_backend(Batch& batch, Packet& packet, const TablesView& view) {
  const VipRecord* vip = vip_record(view, packet.vip);
  if (vip != nullptr && vip->no_backend == NoBackend::reject)
    ask_for_answer(batch, packet, Counter::drop_no_backend);
  else
    drop(packet, Counter::drop_no_backend);
}

}  // namespace

// Tables of many pools do not fit the cache: the slots of a whole batch are fetched side by side, then the backends.
void select(Batch& batch, const TablesView& view) {
  struct Choice {
    const PoolView* pool;
    const SlotEntry* entry;
  };
  std::array<Choice, kBatchMax> choices;
  for (std::uint32_t i = 0; i < batch.count; i++) {
    Packet& packet = batch.packets[i];
    if (packet.verdict != Verdict::pending) continue;
    packet.hash = hash_of(packet, view);
    prefetch_front(packet);
    const PoolView* pool = pool_view(view, packet.pool);
    choices[i] = {pool, pool != nullptr ? slot_entry(*pool, packet.hash) : nullptr};
    __builtin_prefetch(choices[i].entry);
  }
  for (std::uint32_t i = 0; i < batch.count; i++) {
    Packet& packet = batch.packets[i];
    if (packet.verdict != Verdict::pending) continue;
    const auto [pool, entry] = choices[i];
    packet.backend = entry != nullptr ? owner_of(*pool, *entry) : nullptr;
    if (pool != nullptr && pool->quic.entries != nullptr) [[unlikely]]
      follow_connection_id(packet, *pool, view);
    prefetch_record(packet.backend);
  }
  for (Packet& packet : batch.all()) {
    if (packet.verdict != Verdict::pending) continue;
    if (packet.backend == nullptr || (packet.backend->flags & kBackendReachable) == 0) [[unlikely]]
      refuse_without_backend(batch, packet, view);
    else if (sent_by_ourselves(packet)) [[unlikely]]
      drop(packet, Counter::drop_returned);
  }
}

}  // namespace guideway
