// Our own answers, made in place of the packets they answer:
//
//   echo reply   Ethernet [tags] │ IP │ ICMP: the request's, with another type
//   ICMP error   Ethernet [tags] │ IP │ ICMP │ the packet from its IP header on, cut        (needs room in front)
//   reset        Ethernet [tags] │ IP │ TCP
//
// RFC 792, RFC 4443, RFC 1122 section 3.2.2, RFC 1812 section 4.3.2; resets: RFC 9293, section 3.10.7.1.
#include <optional>

#include "dataplane/stages/checksum.h"
#include "dataplane/stages/ipv6_chain.h"
#include "dataplane/stages/service.h"
#include "dataplane/stages/stages.h"
#include "guideway/second_chance.h"

namespace guideway {
namespace {

constexpr std::uint8_t kTtl = 64;
constexpr std::uint8_t kInternetworkControl = 0xc0;  // RFC 1812, section 4.3.2.5
constexpr std::uint32_t kIpv4ErrorBytesMax = 576;    // RFC 1812, section 4.3.2.3
constexpr std::uint32_t kIpv6ErrorBytesMax = 1280;   // RFC 4443, section 2.4 (c)

// What an answer needs of the packet after its headers are overwritten: whom to answer, and how to get there.
struct Asker {
  std::array<std::uint8_t, sizeof(EthernetHeader) + 2 * sizeof(VlanTag)> ethernet{};  // turned round, with tags
  std::uint16_t ethernet_bytes = 0;
  Block16 vip{};
  Block16 client{};
};

// The frame may have been flooded to us: our answer comes from our own address, whoever it was for.
Asker asker_of(const Packet& packet, const MacAddress& port_mac) {
  Asker asker;
  asker.ethernet_bytes = packet.l3_offset;
  std::memcpy(asker.ethernet.data(), packet.data, packet.l3_offset);
  auto ethernet = load<EthernetHeader>(packet.data);
  ethernet.destination = ethernet.source;
  ethernet.source = port_mac;
  store(asker.ethernet.data(), ethernet);
  if (packet.family == Family::ipv4) {
    asker.vip = IpAddress::from_v4(ipv4_destination(packet.l3())).bytes;
    asker.client = IpAddress::from_v4(ipv4_source(packet.l3())).bytes;
  } else {
    asker.vip = ipv6_destination(packet.l3());
    asker.client = ipv6_source(packet.l3());
  }
  return asker;
}

std::uint8_t traffic_class_of(const Packet& packet) {
  if (packet.family == Family::ipv4) return load<Ipv4Header>(packet.l3()).tos;
  return static_cast<std::uint8_t>(load<Be32>(packet.l3()).host() >> 20);
}

constexpr std::uint16_t ip_bytes(Family family) {
  return family == Family::ipv4 ? sizeof(Ipv4Header) : sizeof(Ipv6Header);
}

// An answer under way: `payload` lies where it will be sent from, the headers go in front of it.
struct Reply {
  std::uint8_t* payload;
  std::uint32_t payload_bytes;
  IpProto protocol;
  std::uint8_t traffic_class;
};

bool has_room(const Packet& packet, const std::uint8_t* payload) {
  return payload - ip_bytes(packet.family) - packet.l3_offset >= packet.data - packet.headroom_bytes;
}

void put_ipv4(std::uint8_t* at, const Asker& asker, const Reply& reply) {
  Ipv4Header ip{};
  ip.version_ihl = 0x45;
  ip.tos = reply.traffic_class;
  ip.total_length = Be16::from_host(static_cast<std::uint16_t>(sizeof ip + reply.payload_bytes));
  ip.flags_fragment = Be16::from_host(kIpv4DontFragment);
  ip.ttl = kTtl;
  ip.protocol = static_cast<std::uint8_t>(reply.protocol);
  ip.source = IpAddress{asker.vip}.v4();
  ip.destination = IpAddress{asker.client}.v4();
  store(at, ip);
  store(at + offsetof(Ipv4Header, checksum), checksum_of(ones_sum(at, sizeof ip)));
}

void put_ipv6(std::uint8_t* at, const Asker& asker, const Reply& reply) {
  Ipv6Header ip{};
  ip.version_class_label = Be32::from_host(0x6U << 28 | std::uint32_t{reply.traffic_class} << 20);
  ip.payload_length = Be16::from_host(static_cast<std::uint16_t>(reply.payload_bytes));
  ip.next_header = static_cast<std::uint8_t>(reply.protocol);
  ip.hop_limit = kTtl;
  ip.source = asker.vip;
  ip.destination = asker.client;
  store(at, ip);
}

// REQUIRES: has_room().
void put_headers(Packet& packet, const Asker& asker, const Reply& reply) {
  std::uint8_t* ip = reply.payload - ip_bytes(packet.family);
  if (packet.family == Family::ipv4)
    put_ipv4(ip, asker, reply);
  else
    put_ipv6(ip, asker, reply);
  std::uint8_t* front = ip - asker.ethernet_bytes;
  std::memcpy(front, asker.ethernet.data(), asker.ethernet_bytes);
  packet.headroom_bytes = static_cast<std::uint16_t>(packet.headroom_bytes + (front - packet.data));
  packet.data = front;
  packet.frame_bytes = asker.ethernet_bytes + ip_bytes(packet.family) + reply.payload_bytes;
  packet.contiguous_bytes = static_cast<std::uint16_t>(packet.frame_bytes);
  packet.verdict = Verdict::reply;
}

// The L4 checksum of a reply whose checksum field is zero. REQUIRES: put_headers() was called, so that the addresses
// lie in front.
std::uint16_t reply_checksum(const Packet& packet, const Reply& reply) {
  std::uint64_t sum = ones_sum(reply.payload, reply.payload_bytes);
  if (reply.protocol != IpProto::icmp)
    sum += pseudo_sum(reply.payload - (packet.family == Family::ipv4 ? 8 : 32), packet.family, reply.payload_bytes,
                      reply.protocol);
  return checksum_of(sum);
}

// ---- echo ----------------------------------------------------------------------------------------------------------

void answer_echo(Packet& packet, const MacAddress& port_mac) {
  const bool ipv4 = packet.family == Family::ipv4;
  const Asker asker = asker_of(packet, port_mac);
  std::uint8_t* icmp = packet.data + packet.l4_offset;
  const Reply reply{icmp, packet.l4_bytes(), ipv4 ? IpProto::icmp : IpProto::icmpv6, traffic_class_of(packet)};
  *icmp = ipv4 ? static_cast<std::uint8_t>(Icmp4::echo_reply) : static_cast<std::uint8_t>(Icmp6::echo_reply);
  // Made anew: an update of the request's (RFC 1624) cannot tell 0x0000 from 0xffff, the sum of a reply of zeros.
  store(icmp + offsetof(IcmpHeader, checksum), Be16{});
  put_headers(packet, asker, reply);
  store(icmp + offsetof(IcmpHeader, checksum), reply_checksum(packet, reply));
}

// ---- errors --------------------------------------------------------------------------------------------------------

struct IcmpError {
  std::uint8_t type;
  std::uint8_t code;
  std::uint32_t rest = 0;
};

// The MTU that leaves room for the encapsulation, with the longest list of hops if there is one: the next packet may
// have more than this one.
std::uint32_t inner_mtu(const Packet& packet, const TablesView& view) {
  const OuterTemplate* outer = outer_of(view, *packet.backend);
  if (outer == nullptr) return 0;  // a record scribbled over since encap looked at it
  const std::uint32_t hops =
      packet.has_hops ? hop_list_bytes(outer->family, hops_max(outer->family), Generation{1}) : 0;
  const std::uint32_t overhead = std::uint32_t{outer->header_bytes} - outer->ip_at + hops;
  const std::uint32_t mtu = std::max<std::uint32_t>(outer->path_mtu_bytes, overhead) - overhead;
  return packet.family == Family::ipv4 ? mtu : std::max(mtu, kIpv6ErrorBytesMax);
}

// RFC 792, RFC 1191, section 4, RFC 1122, section 3.2.2.1.
IcmpError error4(const Packet& packet, const TablesView& view) {
  constexpr auto kUnreachable = static_cast<std::uint8_t>(Icmp4::unreachable);
  switch (packet.reason) {
    case Counter::drop_too_big:
      return {kUnreachable, 4, inner_mtu(packet, view)};
    case Counter::drop_unsupported_protocol:
      return {kUnreachable, 2};
    case Counter::drop_no_backend:
      return {kUnreachable, 1};
    default:
      return {kUnreachable, 3};
  }
}

// RFC 4443, section 3.
IcmpError error6(const Packet& packet, const TablesView& view) {
  constexpr auto kUnreachable = static_cast<std::uint8_t>(Icmp6::unreachable);
  switch (packet.reason) {
    case Counter::drop_too_big:
      return {static_cast<std::uint8_t>(Icmp6::too_big), 0, inner_mtu(packet, view)};
    case Counter::drop_unsupported_protocol:
      return {static_cast<std::uint8_t>(Icmp6::parameter), 1,
              walk_ipv6_chain(packet.l3(), packet.l4_offset - packet.l3_offset).next_header_at};
    case Counter::drop_no_backend:
      return {kUnreachable, 3};
    default:
      return {kUnreachable, 4};
  }
}

void answer_with_error(Packet& packet, const MacAddress& port_mac, const TablesView& view) {
  const bool ipv4 = packet.family == Family::ipv4;
  const IcmpError error = ipv4 ? error4(packet, view) : error6(packet, view);
  std::uint8_t* icmp = packet.data + packet.l3_offset - sizeof(IcmpHeader);
  if (!has_room(packet, icmp)) return drop(packet, Counter::drop_no_headroom);
  const std::uint32_t room = (ipv4 ? kIpv4ErrorBytesMax : kIpv6ErrorBytesMax) - ip_bytes(packet.family) -
                             static_cast<std::uint32_t>(sizeof(IcmpHeader));
  const std::uint32_t here = std::min<std::uint32_t>(packet.l3_bytes, packet.contiguous_bytes - packet.l3_offset);
  const Reply reply{icmp, std::min(here, room) + static_cast<std::uint32_t>(sizeof(IcmpHeader)),
                    ipv4 ? IpProto::icmp : IpProto::icmpv6, ipv4 ? kInternetworkControl : std::uint8_t{0}};
  const Asker asker = asker_of(packet, port_mac);
  put_headers(packet, asker, reply);
  store(icmp, IcmpHeader{error.type, error.code, Be16{}, Be32::from_host(error.rest)});
  store(icmp + offsetof(IcmpHeader, checksum), reply_checksum(packet, reply));
}

// ---- resets --------------------------------------------------------------------------------------------------------

TcpHeader reset_for(const TcpHeader& segment, std::uint32_t segment_bytes) {
  const std::uint32_t header_bytes = (segment.data_offset >> 4) * 4U;
  const std::uint32_t payload_bytes = segment_bytes - std::min(header_bytes, segment_bytes);
  TcpHeader reset{};
  reset.ports = {segment.ports.destination, segment.ports.source};
  reset.data_offset = 5 << 4;
  reset.flags = kTcpRst;
  if ((segment.flags & kTcpAck) != 0) {
    reset.sequence = segment.acknowledgement;
    return reset;
  }
  const std::uint32_t controls =
      ((segment.flags & kTcpSyn) != 0 ? 1U : 0U) + ((segment.flags & kTcpFin) != 0 ? 1U : 0U);
  reset.flags |= kTcpAck;
  reset.acknowledgement = Be32::from_host(segment.sequence.host() + payload_bytes + controls);
  return reset;
}

void answer_with_reset(Packet& packet, const MacAddress& port_mac) {
  std::uint8_t* tcp = packet.data + packet.l4_offset;
  const Asker asker = asker_of(packet, port_mac);
  const TcpHeader reset = reset_for(load<TcpHeader>(tcp), packet.l4_bytes());
  const Reply reply{tcp, sizeof(TcpHeader), IpProto::tcp, 0};
  put_headers(packet, asker, reply);
  store(tcp, reset);
  store(tcp + offsetof(TcpHeader, checksum), reply_checksum(packet, reply));
}

// ---- which ---------------------------------------------------------------------------------------------------------

bool came_by_group_address(const Packet& packet) {
  return (packet.data[0] & 1) != 0;
}

enum class Kind { none, error, reset };

// RFC 1122, section 3.2.2; RFC 4443, section 2.4 (e).
Kind kind_of_answer(const Packet& packet) {
  if (came_by_group_address(packet) || packet.kind == PacketKind::later_fragment ||
      packet.kind == PacketKind::icmp_error)
    return Kind::none;
  const bool has_tcp = packet.protocol == IpProto::tcp && packet.reason != Counter::drop_unsupported_protocol;
  if (!has_tcp || packet.reason == Counter::drop_too_big) return Kind::error;
  const std::uint8_t flags = load<TcpHeader>(packet.l4()).flags;
  if ((flags & kTcpRst) != 0) return Kind::none;
  const bool opens = (flags & (kTcpSyn | kTcpAck)) == kTcpSyn;
  return packet.reason == Counter::drop_unserved || opens ? Kind::reset : Kind::none;
}

void answer_echo_within(RateLimit& limit, Packet& packet, const MacAddress& port_mac, Ns now) {
  if (came_by_group_address(packet))
    drop(packet, Counter::drop_echo_refused);
  else if (limit.allow(now))
    answer_echo(packet, port_mac);
  else
    packet.verdict = Verdict::drop;
}

}  // namespace

std::uint32_t answer(Batch& batch, const TablesView& view, Answers& answers, Ns now) {
  std::uint32_t limited = 0;
  for (Packet& packet : batch.all()) {
    if (packet.verdict != Verdict::answer) continue;
    if (packet.kind == PacketKind::echo_request) {
      answer_echo_within(answers.echo, packet, batch.port_mac, now);
      continue;
    }
    const Kind kind = kind_of_answer(packet);
    const bool allowed = kind != Kind::none && answers.errors.allow(now);
    if (!allowed) {
      limited += kind != Kind::none ? 1 : 0;
      packet.verdict = Verdict::drop;
    } else if (kind == Kind::reset) {
      answer_with_reset(packet, batch.port_mac);
    } else {
      answer_with_error(packet, batch.port_mac, view);
    }
  }
  return limited;
}

}  // namespace guideway
