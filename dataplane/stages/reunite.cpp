// RFC 791, section 3.2, and RFC 8200, section 4.5; attacks: RFC 1858, RFC 3128, RFC 5722, RFC 7112.
#include "dataplane/stages/ipv6_chain.h"
#include "dataplane/stages/service.h"
#include "dataplane/stages/stages.h"

namespace guideway {
namespace {

constexpr std::uint32_t kDatagramBytesMax = 65535;
constexpr std::uint32_t kFragmentUnitBytes = 8;

struct Fragment {
  FragmentKey key;
  FragmentSpan span;
  // IPv6: the first fragment tells what its datagram is of, whatever the others' headers name; those that name a
  // further extension header ask it.
  bool first_tells = false;
};

Block16 wide(Be32 address) {
  return IpAddress::from_v4(address).bytes;
}

Fragment read_ipv4(const Packet& packet) {
  const auto ip = load<Ipv4Header>(packet.l3());
  const std::uint16_t flags_fragment = ip.flags_fragment.host();
  const std::uint32_t begin = (flags_fragment & kIpv4FragmentOffsetMask) * kFragmentUnitBytes;
  return {{wide(ip.source), wide(ip.destination), ip.id.host(), packet.protocol, Family::ipv4},
          {begin, begin + packet.l4_bytes(), (flags_fragment & kIpv4MoreFragments) == 0}};
}

Fragment read_ipv6(const Packet& packet) {
  const std::uint8_t* ip = packet.l3();
  // parse found the chain whole.
  const Ipv6Chain chain = walk_ipv6_chain(ip, packet.l3_bytes);
  const std::uint32_t begin = chain.fragment_offset;
  const std::uint32_t payload_at = chain.fragment_at + static_cast<std::uint32_t>(sizeof(Ipv6Fragment));
  const auto header = load<Ipv6Fragment>(ip + chain.fragment_at);
  return {{ipv6_source(ip), ipv6_destination(ip), header.id.host(), IpProto{}, Family::ipv6},
          {begin, begin + packet.l3_bytes - payload_at, !chain.more_fragments},
          chain.fragment_offset == 0 || is_ipv6_extension(static_cast<IpProto>(header.next_header))};
}

bool is_bad(const FragmentSpan& span) {
  const std::uint32_t bytes = span.end - span.begin;
  return bytes == 0 || (!span.is_last && bytes % kFragmentUnitBytes != 0) || span.end > kDatagramBytesMax;
}

bool has_ports(IpProto protocol) {
  return protocol == IpProto::tcp || protocol == IpProto::udp;
}

// A first fragment without its L4 header, or a second one that would rewrite it.
bool is_tiny(const Packet& packet, const FragmentSpan& span) {
  const bool tcp = packet.protocol == IpProto::tcp;
  const std::uint32_t header_bytes = tcp ? sizeof(TcpHeader) : sizeof(UdpHeader);
  if (span.begin != 0) return tcp && span.begin < header_bytes;
  return packet.l4_bytes() < header_bytes || packet.l4_offset + header_bytes > packet.contiguous_bytes;
}

void reunite_packet(Batch& batch, Packet& packet, const TablesView& view, FragmentTable& table, Ns now) {
  const auto [key, span, first_tells] = packet.family == Family::ipv4 ? read_ipv4(packet) : read_ipv6(packet);
  const bool is_first = packet.kind == PacketKind::first_fragment;
  const bool is_of_flow = has_ports(packet.protocol);
  if (is_bad(span)) return drop(packet, Counter::drop_fragment_bad);
  if (!is_of_flow && !first_tells) return turn_away(batch, packet, view, Counter::drop_fragment_unsupported);
  if (is_of_flow && is_tiny(packet, span)) return drop(packet, Counter::drop_fragment_tiny);
  if (is_of_flow && is_first) packet.ports = load<Ports>(packet.l4());
  table.note(packet, key, span, view.hash_keys, now);
  if (is_first && !is_of_flow) return turn_away(batch, packet, view, Counter::drop_fragment_unsupported);
  if (packet.verdict == Verdict::pending) serve_fragment(batch, packet, view);
}

}  // namespace

void serve_fragment(Batch& batch, Packet& packet, const TablesView& view) {
  const VipMatch found = find_service(packet, view);
  if (found.vip == VipId::none) {  // while it waited, its address ceased to be a VIP's
    packet.verdict = Verdict::to_kernel;
    return;
  }
  if (!has_ports(packet.protocol)) {  // the first fragment told
    packet.vip = found.vip;
    return turn_away(batch, packet, view, Counter::drop_fragment_unsupported);
  }
  packet.reason = Counter::fragments_forwarded;
  take_service(batch, packet, view, found);
}

void reunite(Batch& batch, const TablesView& view, FragmentTable& table, Ns now) {
  for (Packet& packet : batch.all()) {
    if (packet.verdict != Verdict::pending) continue;
    if (packet.kind == PacketKind::first_fragment || packet.kind == PacketKind::later_fragment)
      reunite_packet(batch, packet, view, table, now);
  }
}

}  // namespace guideway
