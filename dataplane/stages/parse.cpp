#include "dataplane/stages/stages.h"

namespace guideway {
namespace {

constexpr std::uint16_t kL2Bytes = sizeof(EthernetHeader);
constexpr std::uint32_t kL3BytesMax = 65535;

// Ports, once the L3 header has said that `l4_bytes` of `protocol` begin at packet.l4_offset.
void parse_l4(Packet& packet, std::uint32_t l4_bytes) {
  const bool tcp = packet.protocol == IpProto::tcp;
  if (!tcp && packet.protocol != IpProto::udp) {
    packet.reason = Counter::drop_unsupported_protocol;
    return;
  }
  const std::uint32_t header_bytes = tcp ? sizeof(TcpHeader) : sizeof(UdpHeader);
  if (l4_bytes < header_bytes || packet.l4_offset + header_bytes > packet.contiguous_bytes) {
    packet.reason = Counter::drop_l4_truncated;
    return;
  }
  packet.ports = load<Ports>(packet.data + packet.l4_offset);
}

// RFC 791, section 3.1.
void parse_ipv4(Packet& packet) {
  const auto ip = load<Ipv4Header>(packet.data + packet.l3_offset);
  const std::uint32_t header_bytes = (ip.version_ihl & 0xfU) * 4;
  const std::uint32_t total_bytes = ip.total_length.host();
  packet.family = Family::ipv4;
  packet.protocol = static_cast<IpProto>(ip.protocol);
  if (ip.version_ihl >> 4 != 4 || header_bytes < sizeof(Ipv4Header) || total_bytes < header_bytes ||
      total_bytes > packet.frame_bytes - kL2Bytes || kL2Bytes + header_bytes > packet.contiguous_bytes) {
    packet.reason = Counter::drop_ipv4_bad_header;
    return;
  }
  packet.l3_bytes = static_cast<std::uint16_t>(total_bytes);
  packet.l4_offset = static_cast<std::uint16_t>(packet.l3_offset + header_bytes);
  if ((ip.flags_fragment.host() & (kIpv4MoreFragments | kIpv4FragmentOffsetMask)) != 0) {
    packet.reason = Counter::drop_fragment;
    return;
  }
  parse_l4(packet, total_bytes - header_bytes);
}

// RFC 8200, section 3. Extension headers other than "fragment" count as unsupported protocols.
void parse_ipv6(Packet& packet) {
  const auto ip = load<Ipv6Header>(packet.data + packet.l3_offset);
  const std::uint32_t payload_bytes = ip.payload_length.host();
  const std::uint32_t total_bytes = sizeof(Ipv6Header) + payload_bytes;
  packet.family = Family::ipv6;
  packet.protocol = static_cast<IpProto>(ip.next_header);
  if (ip.version_class_label.host() >> 28 != 6 || total_bytes > packet.frame_bytes - kL2Bytes) {
    packet.reason = Counter::drop_ipv6_bad_header;
    return;
  }
  if (total_bytes > kL3BytesMax) {
    packet.reason = Counter::drop_too_big;
    return;
  }
  packet.l3_bytes = static_cast<std::uint16_t>(total_bytes);
  packet.l4_offset = static_cast<std::uint16_t>(packet.l3_offset + sizeof(Ipv6Header));
  if (packet.protocol == IpProto::fragment) {
    packet.reason = Counter::drop_fragment;
    return;
  }
  parse_l4(packet, payload_bytes);
}

}  // namespace

void parse(Batch& batch) {
  for (Packet& packet : batch.all()) {
    packet.l3_offset = kL2Bytes;
    // A frame too short for its addresses is for nobody we know: family stays none, and the kernel gets it.
    if (packet.contiguous_bytes < kL2Bytes) continue;
    const auto ether_type = static_cast<EtherType>(load<EthernetHeader>(packet.data).ether_type.host());
    const std::uint32_t behind_bytes = packet.contiguous_bytes - kL2Bytes;
    if (ether_type == EtherType::ipv4 && behind_bytes >= sizeof(Ipv4Header)) parse_ipv4(packet);
    if (ether_type == EtherType::ipv6 && behind_bytes >= sizeof(Ipv6Header)) parse_ipv6(packet);
  }
}

}  // namespace guideway
