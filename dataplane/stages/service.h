// Looking up services for packets, and what becomes of those that nothing serves: classify does it for whole packets,
// reunite for fragments.
// Thread-safety: pure functions over the packet; the view is immutable.
#pragma once

#include "dataplane/batch.h"

namespace guideway {

inline Be32 ipv4_source(const std::uint8_t* ip) {
  return load<Be32>(ip + offsetof(Ipv4Header, source));
}
inline Be32 ipv4_destination(const std::uint8_t* ip) {
  return load<Be32>(ip + offsetof(Ipv4Header, destination));
}
inline Block16 ipv6_source(const std::uint8_t* ip) {
  return load<Block16>(ip + offsetof(Ipv6Header, source));
}
inline Block16 ipv6_destination(const std::uint8_t* ip) {
  return load<Block16>(ip + offsetof(Ipv6Header, destination));
}

// REQUIRES: ports are set.
inline VipMatch find_service(const Packet& packet, const TablesView& view) {
  if (packet.family == Family::ipv4)
    return find_vip4(view, ipv4_destination(packet.l3()), packet.protocol, packet.ports.destination);
  return find_vip6(view, ipv6_destination(packet.l3()), packet.protocol, packet.ports.destination);
}
inline VipMatch find_destination(const Packet& packet, const TablesView& view) {
  if (packet.family == Family::ipv4) return find_address4(view, ipv4_destination(packet.l3()));
  return find_address6(view, ipv6_destination(packet.l3()));
}

// As much of it as lies in one piece. REQUIRES: the packet is UDP, with its whole header.
inline std::span<const std::uint8_t> udp_payload(const Packet& packet) {
  const std::uint32_t begin = packet.l4_offset + static_cast<std::uint32_t>(sizeof(UdpHeader));
  const std::uint32_t end = std::min<std::uint32_t>(packet.contiguous_bytes, packet.l4_offset + packet.l4_bytes());
  return {packet.data + begin, end - begin};
}

inline bool is_gue(const Packet& packet) {
  return packet.protocol == IpProto::udp && packet.ports.destination.host() == kGuePort;
}

inline void ask_for_answer(Batch& batch, Packet& packet, Counter reason) {
  packet.verdict = Verdict::answer;
  packet.reason = reason;
  batch.has_answers = true;
}

// docs/packet_policy.md, section 3. REQUIRES: `vip` is set.
inline void turn_away(Batch& batch, Packet& packet, const TablesView& view, Counter reason) {
  const VipRecord* vip = vip_record(view, packet.vip);
  const Unserved rule = vip != nullptr ? vip->unserved : Unserved::drop;
  if (rule == Unserved::kernel)
    packet.verdict = Verdict::to_kernel;
  else if (rule == Unserved::reject &&
           (reason == Counter::drop_unserved || reason == Counter::drop_unsupported_protocol))
    ask_for_answer(batch, packet, reason);
  else
    drop(packet, reason);
}

inline void set_service(Packet& packet, const VipMatch& found) {
  packet.vip = found.vip;
  packet.pool = found.pool;
  packet.tracking = found.tracking;
}

// REQUIRES: the destination is a VIP's; ports are set.
inline void take_service(Batch& batch, Packet& packet, const TablesView& view, const VipMatch& found) {
  set_service(packet, found);
  if (found.pool != PoolId::none) [[likely]]
    return;
  if (is_gue(packet)) return drop(packet, Counter::drop_encapsulated);
  turn_away(batch, packet, view, Counter::drop_unserved);
}

}  // namespace guideway
