#include "dataplane/stages/ipv6_chain.h"
#include "dataplane/stages/parse_icmp.h"
#include "dataplane/stages/stages.h"

namespace guideway {
namespace {

constexpr std::uint32_t kL3BytesMax = 65535;
constexpr int kVlanTagsMax = 2;

constexpr bool is_vlan(EtherType type) {
  return type == EtherType::vlan || type == EtherType::qinq;
}

[[gnu::always_inline]] inline void parse_ports(Packet& packet, std::uint32_t header_bytes) {
  if (packet.l4_bytes() < header_bytes || packet.l4_offset + header_bytes > packet.contiguous_bytes) {
    packet.reason = Counter::drop_l4_truncated;
    return;
  }
  packet.ports = load<Ports>(packet.l4());
  packet.kind = PacketKind::flow;
}

// REQUIRES: the L3 header is sound, and this is no fragment.
void parse_other_l4(Packet& packet) {
  switch (packet.protocol) {
    case IpProto::ipip:
    case IpProto::ipv6:
    case IpProto::gre:
      packet.reason = Counter::drop_encapsulated;
      return;
    default:
      break;
  }
  if (packet.protocol == (packet.family == Family::ipv4 ? IpProto::icmp : IpProto::icmpv6)) return parse_icmp(packet);
  packet.reason = Counter::drop_unsupported_protocol;
}

// REQUIRES: the L3 header is sound, and this is no fragment.
[[gnu::always_inline]] inline void parse_l4(Packet& packet) {
  if (packet.protocol == IpProto::tcp)
    parse_ports(packet, sizeof(TcpHeader));
  else if (packet.protocol == IpProto::udp)
    parse_ports(packet, sizeof(UdpHeader));
  else
    parse_other_l4(packet);
}

// RFC 791, section 3.1. What is wrong with the header; finds the L4 header.
Counter check_ipv4(Packet& packet, const Ipv4Header& ip) {
  const std::uint32_t header_bytes = (ip.version_ihl & 0xfU) * 4;
  const std::uint32_t total_bytes = ip.total_length.host();
  if (ip.version_ihl >> 4 != 4) return Counter::drop_ipv4_bad_version;
  if (header_bytes < sizeof(Ipv4Header) || packet.l3_offset + header_bytes > packet.contiguous_bytes)
    return Counter::drop_ipv4_bad_header_length;
  if (total_bytes < header_bytes || packet.l3_offset + total_bytes > packet.frame_bytes)
    return Counter::drop_ipv4_bad_total_length;
  packet.l3_bytes = static_cast<std::uint16_t>(total_bytes);
  packet.l4_offset = static_cast<std::uint16_t>(packet.l3_offset + header_bytes);
  return kNothing;
}

void parse_ipv4(Packet& packet) {
  const auto ip = load<Ipv4Header>(packet.l3());
  packet.family = Family::ipv4;
  packet.protocol = static_cast<IpProto>(ip.protocol);
  packet.reason = check_ipv4(packet, ip);
  if (packet.reason != kNothing) return;
  const std::uint16_t flags_fragment = ip.flags_fragment.host();
  if ((flags_fragment & kIpv4FragmentOffsetMask) != 0)
    packet.kind = PacketKind::later_fragment;
  else if ((flags_fragment & kIpv4MoreFragments) != 0)
    packet.kind = PacketKind::first_fragment;
  else
    parse_l4(packet);
}

// What is behind the fixed header.
void parse_ipv6_chain(Packet& packet) {
  const std::uint32_t here = std::min<std::uint32_t>(packet.l3_bytes, packet.contiguous_bytes - packet.l3_offset);
  const Ipv6Chain chain = walk_ipv6_chain(packet.l3(), here);
  packet.protocol = chain.protocol;
  switch (chain.end) {
    case Ipv6Chain::End::too_many:
      packet.reason = Counter::drop_ipv6_too_many_extensions;
      return;
    case Ipv6Chain::End::truncated:
      // RFC 7112: the first fragment has to hold the whole chain.
      packet.reason = chain.is_fragment() ? Counter::drop_fragment_tiny : Counter::drop_ipv6_extension_truncated;
      return;
    case Ipv6Chain::End::payload:
      break;
  }
  packet.l4_offset = static_cast<std::uint16_t>(packet.l3_offset + chain.payload_at);
  if (!chain.is_fragment())
    parse_l4(packet);
  else
    packet.kind = chain.fragment_offset != 0 ? PacketKind::later_fragment : PacketKind::first_fragment;
}

// RFC 8200, section 3.
void parse_ipv6(Packet& packet) {
  const auto ip = load<Ipv6Header>(packet.l3());
  const std::uint32_t total_bytes = sizeof(Ipv6Header) + std::uint32_t{ip.payload_length.host()};
  packet.family = Family::ipv6;
  packet.protocol = static_cast<IpProto>(ip.next_header);
  if (ip.version_class_label.host() >> 28 != 6) {
    packet.reason = Counter::drop_ipv6_bad_version;
  } else if (packet.l3_offset + total_bytes > packet.frame_bytes) {
    packet.reason = Counter::drop_ipv6_bad_length;
  } else if (total_bytes > kL3BytesMax) {
    packet.reason = Counter::drop_too_big;
  } else {
    packet.l3_bytes = static_cast<std::uint16_t>(total_bytes);
    packet.l4_offset = static_cast<std::uint16_t>(packet.l3_offset + sizeof(Ipv6Header));
    if (is_ipv6_extension(packet.protocol)) [[unlikely]]
      parse_ipv6_chain(packet);
    else
      parse_l4(packet);
  }
}

// What the frame carries behind at most two tags; sets l3_offset. Tags that the frame does not hold, or a third one,
// name no IP.
EtherType parse_ethernet(Packet& packet) {
  packet.l3_offset = sizeof(EthernetHeader);
  if (packet.contiguous_bytes < sizeof(EthernetHeader)) return EtherType{};
  auto type = static_cast<EtherType>(load<Be16>(packet.data + offsetof(EthernetHeader, ether_type)).host());
  for (int tags = 0; is_vlan(type); tags++) {
    if (tags == kVlanTagsMax || packet.l3_offset + sizeof(VlanTag) > packet.contiguous_bytes) return EtherType{};
    type = static_cast<EtherType>(load<VlanTag>(packet.l3()).ether_type.host());
    packet.l3_offset = static_cast<std::uint16_t>(packet.l3_offset + sizeof(VlanTag));
  }
  return type;
}

[[gnu::noinline]] void parse_frame(Packet& packet) {
  const EtherType type = parse_ethernet(packet);
  // A frame too short for its addresses is for nobody we know: family stays none, and the kernel gets it.
  if (type == EtherType::ipv4 && packet.l3_offset + sizeof(Ipv4Header) <= packet.contiguous_bytes) parse_ipv4(packet);
  if (type == EtherType::ipv6 && packet.l3_offset + sizeof(Ipv6Header) <= packet.contiguous_bytes) parse_ipv6(packet);
}

// For parse_at_once(): what the two families have in common. `l3_bytes`: as the header says.
[[gnu::always_inline]] inline bool take_flow(Packet& packet, Family family, std::uint16_t ip_bytes,
                                             std::uint8_t protocol, std::uint32_t l3_bytes) {
  constexpr std::uint16_t kL3At = sizeof(EthernetHeader);
  packet.protocol = static_cast<IpProto>(protocol);
  if (packet.protocol != IpProto::tcp && packet.protocol != IpProto::udp) return false;
  if (l3_bytes < ip_bytes + sizeof(TcpHeader) || l3_bytes > kL3BytesMax || kL3At + l3_bytes > packet.frame_bytes)
    return false;
  packet.l3_offset = kL3At;
  packet.l4_offset = static_cast<std::uint16_t>(kL3At + ip_bytes);
  packet.l3_bytes = static_cast<std::uint16_t>(l3_bytes);
  packet.family = family;
  packet.ports = load<Ports>(packet.data + kL3At + ip_bytes);
  packet.kind = PacketKind::flow;
  return true;
}

// Nearly all frames: without tags, options, extension headers and fragments, TCP or UDP, and as long as TCP makes them.
// True: that was it, and all is as parse_frame() would have it.
[[gnu::always_inline]] inline bool parse_at_once(Packet& packet) {
  constexpr std::uint32_t kBytesMin = sizeof(EthernetHeader) + sizeof(TcpHeader);
  if (packet.contiguous_bytes < kBytesMin + sizeof(Ipv4Header)) return false;
  const auto type = static_cast<EtherType>(load<Be16>(packet.data + offsetof(EthernetHeader, ether_type)).host());
  const std::uint8_t* ip = packet.data + sizeof(EthernetHeader);
  const auto field = [ip](std::size_t at) { return load<Be16>(ip + at).host(); };
  if (type == EtherType::ipv4) {
    const bool is_plain = ip[0] == 0x45 && (field(offsetof(Ipv4Header, flags_fragment)) & ~kIpv4DontFragment) == 0;
    return is_plain && take_flow(packet, Family::ipv4, sizeof(Ipv4Header), ip[offsetof(Ipv4Header, protocol)],
                                 field(offsetof(Ipv4Header, total_length)));
  }
  const bool is_plain =
      type == EtherType::ipv6 && packet.contiguous_bytes >= kBytesMin + sizeof(Ipv6Header) && ip[0] >> 4 == 6;
  return is_plain && take_flow(packet, Family::ipv6, sizeof(Ipv6Header), ip[offsetof(Ipv6Header, next_header)],
                               sizeof(Ipv6Header) + std::uint32_t{field(offsetof(Ipv6Header, payload_length))});
}

}  // namespace

void parse(Batch& batch) {
  for (Packet& packet : batch.all())
    if (!parse_at_once(packet)) [[unlikely]]
      parse_frame(packet);
}

}  // namespace guideway
