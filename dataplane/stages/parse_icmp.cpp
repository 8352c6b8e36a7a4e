#include "dataplane/stages/parse_icmp.h"

#include "dataplane/stages/ipv6_chain.h"

namespace guideway {
namespace {

enum class IcmpMeaning { echo_request, error, other };

IcmpMeaning meaning_of(Family family, std::uint8_t type) {
  if (family == Family::ipv4) {
    switch (static_cast<Icmp4>(type)) {
      case Icmp4::echo_request:
        return IcmpMeaning::echo_request;
      case Icmp4::unreachable:
      case Icmp4::time_exceeded:
      case Icmp4::parameter:
        return IcmpMeaning::error;
      default:
        return IcmpMeaning::other;
    }
  }
  switch (static_cast<Icmp6>(type)) {
    case Icmp6::echo_request:
      return IcmpMeaning::echo_request;
    case Icmp6::unreachable:
    case Icmp6::too_big:
    case Icmp6::time_exceeded:
    case Icmp6::parameter:
      return IcmpMeaning::error;
    default:
      return IcmpMeaning::other;
  }
}

// Where the L4 header of a quoted packet is, from its IP header on, and which; at 0: it cannot be told, or the packet
// has none. The lengths that the quote names are those of the packet that was, not of what is left of it; it had ports.
struct QuotedL4 {
  std::uint32_t at = 0;
  IpProto protocol{};
};

QuotedL4 find_l4_in_ipv4(const std::uint8_t* quote, std::uint32_t bytes) {
  if (bytes < sizeof(Ipv4Header)) return {};
  const auto ip = load<Ipv4Header>(quote);
  const std::uint32_t header_bytes = (ip.version_ihl & 0xfU) * 4;
  if (ip.version_ihl >> 4 != 4 || header_bytes < sizeof(Ipv4Header)) return {};
  if (ip.total_length.host() < header_bytes + sizeof(Ports)) return {};
  if ((ip.flags_fragment.host() & kIpv4FragmentOffsetMask) != 0) return {};
  return {header_bytes, static_cast<IpProto>(ip.protocol)};
}

QuotedL4 find_l4_in_ipv6(const std::uint8_t* quote, std::uint32_t bytes) {
  if (bytes < sizeof(Ipv6Header) || *quote >> 4 != 6) return {};
  const Ipv6Chain chain = walk_ipv6_chain(quote, bytes);
  if (chain.end != Ipv6Chain::End::payload || chain.fragment_offset != 0) return {};
  const std::uint32_t whole_bytes = sizeof(Ipv6Header) + std::uint32_t{load<Ipv6Header>(quote).payload_length.host()};
  if (whole_bytes < chain.payload_at + sizeof(Ports)) return {};
  return {chain.payload_at, chain.protocol};
}

void parse_quote(Packet& packet) {
  const std::uint32_t packet_end = std::uint32_t{packet.l3_offset} + packet.l3_bytes;
  const std::uint32_t end = std::min<std::uint32_t>(packet.contiguous_bytes, packet_end);
  const std::uint32_t quote_bytes = end - packet.l4_offset - static_cast<std::uint32_t>(sizeof(IcmpHeader));
  const std::uint8_t* quote = quoted_packet(packet);
  const QuotedL4 l4 =
      packet.family == Family::ipv4 ? find_l4_in_ipv4(quote, quote_bytes) : find_l4_in_ipv6(quote, quote_bytes);
  const bool has_ports = l4.protocol == IpProto::tcp || l4.protocol == IpProto::udp;
  if (l4.at == 0 || !has_ports || l4.at + sizeof(Ports) > quote_bytes) {
    packet.reason = Counter::drop_icmp_bad_quote;
    return;
  }
  const auto quoted = load<Ports>(quote + l4.at);
  packet.protocol = l4.protocol;
  packet.ports = {quoted.destination, quoted.source};
  packet.kind = PacketKind::icmp_error;
}

}  // namespace

void parse_icmp(Packet& packet) {
  if (packet.l4_bytes() < sizeof(IcmpHeader) || packet.l4_offset + sizeof(IcmpHeader) > packet.contiguous_bytes) {
    packet.reason = Counter::drop_l4_truncated;
    return;
  }
  switch (meaning_of(packet.family, load<IcmpHeader>(packet.l4()).type)) {
    case IcmpMeaning::echo_request:
      packet.kind = PacketKind::echo_request;
      break;
    case IcmpMeaning::error:
      parse_quote(packet);
      break;
    case IcmpMeaning::other:
      packet.reason = Counter::drop_icmp_unsupported;
      break;
  }
}

}  // namespace guideway
