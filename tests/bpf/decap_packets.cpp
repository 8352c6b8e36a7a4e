#include "tests/bpf/decap_packets.h"

#include "common/net/address_text.h"
#include "guideway/second_chance.h"

namespace guideway::bpf {
namespace {

constexpr std::uint32_t kEntropy = 0xabcde;

std::uint32_t sum_of(const std::uint8_t* bytes, std::size_t count) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < count; i++) sum += bytes[i] * (i % 2 == 0 ? 256U : 1U);
  return sum;
}

std::uint16_t checksum_of(std::uint32_t sum) {
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

template <typename Header>
void append(Bytes& bytes, const Header& header) {
  bytes.resize(bytes.size() + sizeof header);
  store(bytes.data() + bytes.size() - sizeof header, header);
}

Be16 be16(std::size_t value) {
  return Be16::from_host(static_cast<std::uint16_t>(value));
}

IpProto carried_by(const Mix& mix) {
  if (mix.encap == Encap::gre) return IpProto::gre;
  if (mix.has_udp()) return IpProto::udp;
  return mix.inner == Family::ipv4 ? IpProto::ipip : IpProto::ipv6;
}

void append_outer_ip(Bytes& bytes, const Mix& mix, std::size_t payload_bytes) {
  const auto protocol = static_cast<std::uint8_t>(carried_by(mix));
  if (mix.outer == Family::ipv4) {
    append(bytes, Ipv4Header{.version_ihl = 0x45,
                             .tos = 0,
                             .total_length = be16(sizeof(Ipv4Header) + payload_bytes),
                             .id = {},
                             .flags_fragment = be16(kIpv4DontFragment),
                             .ttl = 64,
                             .protocol = protocol,
                             .checksum = {},
                             .source = load_balancer(mix.outer).v4(),
                             .destination = backend(mix.outer).v4()});
    set_ipv4_checksum(bytes.data() + bytes.size() - sizeof(Ipv4Header));
  } else {
    append(bytes, Ipv6Header{.version_class_label = Be32::from_host(0x60000000 | kEntropy),
                             .payload_length = be16(payload_bytes),
                             .next_header = protocol,
                             .hop_limit = 64,
                             .source = load_balancer(mix.outer).bytes,
                             .destination = backend(mix.outer).bytes});
  }
}

// Of the pseudo header, which has the addresses in front of `payload`, and of what follows to the end of `bytes`.
std::uint16_t transport_checksum(const Bytes& bytes, std::size_t payload_at, Family family, IpProto protocol) {
  const std::size_t address_bytes = 2 * (family == Family::ipv4 ? sizeof(Be32) : sizeof(IpAddress));
  const std::size_t payload_bytes = bytes.size() - payload_at;
  const std::uint32_t pseudo = sum_of(bytes.data() + payload_at - address_bytes, address_bytes) +
                               static_cast<std::uint32_t>(payload_bytes) + static_cast<std::uint32_t>(protocol);
  return checksum_of(pseudo + sum_of(bytes.data() + payload_at, payload_bytes));
}

}  // namespace

IpAddress ip(const char* text) {
  return parse_ip(text).value();
}

IpPrefix prefix(const char* text) {
  std::string why;
  return parse_prefix(text, why).value();
}

IpAddress load_balancer(Family family) {
  return ip(family == Family::ipv4 ? "10.2.0.2" : "2001:db8:2::2");
}
IpAddress backend(Family family) {
  return ip(family == Family::ipv4 ? "10.3.0.3" : "2001:db8:3::3");
}

void set_ipv4_checksum(std::uint8_t* header) {
  const std::size_t bytes = (header[0] & 0x0fU) * std::size_t{4};
  store(header + offsetof(Ipv4Header, checksum), Be16{});
  store(header + offsetof(Ipv4Header, checksum), Be16::from_host(checksum_of(sum_of(header, bytes))));
}

void set_udp_checksum(Bytes& frame, const Mix& mix) {
  std::uint8_t* at = frame.data() + mix.payload_at() + offsetof(UdpHeader, checksum);
  store(at, Be16{});
  const std::uint16_t checksum = transport_checksum(frame, mix.payload_at(), mix.outer, IpProto::udp);
  store(at, be16(checksum == 0 ? 0xffff : checksum));
}

void set_tcp_checksum(Bytes& packet) {
  const Family family = packet[0] >> 4 == 4 ? Family::ipv4 : Family::ipv6;
  const std::size_t tcp_at = family == Family::ipv4 ? sizeof(Ipv4Header) : sizeof(Ipv6Header);
  std::uint8_t* at = packet.data() + tcp_at + offsetof(TcpHeader, checksum);
  store(at, Be16{});
  store(at, be16(transport_checksum(packet, tcp_at, family, IpProto::tcp)));
}

Bytes client_packet(Family family, std::size_t payload_bytes) {
  Bytes packet(family == Family::ipv4 ? sizeof(Ipv4Header) : sizeof(Ipv6Header));
  const std::size_t header_bytes = packet.size();
  for (std::size_t i = 0; i < payload_bytes; i++) packet.push_back(static_cast<std::uint8_t>(7 * i + 1));
  if (family == Family::ipv4) {
    const Ipv4Header header{.version_ihl = 0x45,
                            .tos = 0,
                            .total_length = Be16::from_host(static_cast<std::uint16_t>(packet.size())),
                            .id = Be16::from_host(0x1234),
                            .flags_fragment = {},
                            .ttl = 60,
                            .protocol = static_cast<std::uint8_t>(IpProto::tcp),
                            .checksum = {},
                            .source = ip("198.51.100.7").v4(),
                            .destination = ip("203.0.113.10").v4()};
    store(packet.data(), header);
    set_ipv4_checksum(packet.data());
  } else {
    const Ipv6Header header{.version_class_label = Be32::from_host(0x6000beef),
                            .payload_length = Be16::from_host(static_cast<std::uint16_t>(packet.size() - header_bytes)),
                            .next_header = static_cast<std::uint8_t>(IpProto::tcp),
                            .hop_limit = 60,
                            .source = ip("2001:db8:7::7").bytes,
                            .destination = ip("2001:db8:f::10").bytes};
    store(packet.data(), header);
  }
  return packet;
}

Bytes framed(const Bytes& packet) {
  const EthernetHeader ethernet{
      .destination = {{2, 0, 0, 0, 0, 3}},
      .source = {{2, 0, 0, 0, 0, 2}},
      .ether_type =
          Be16::from_host(static_cast<std::uint16_t>(packet[0] >> 4 == 4 ? EtherType::ipv4 : EtherType::ipv6))};
  Bytes frame(kEthernetBytes);
  store(frame.data(), ethernet);
  frame.insert(frame.end(), packet.begin(), packet.end());
  return frame;
}

std::vector<Mix> all_mixes() {
  std::vector<Mix> mixes;
  for (const Encap encap : {Encap::ipip, Encap::gue0, Encap::gue1, Encap::gre})
    for (const Family outer : {Family::ipv4, Family::ipv6})
      for (const Family inner : {Family::ipv4, Family::ipv6}) mixes.push_back({encap, outer, inner});
  return mixes;
}

Bytes encapsulated(const Mix& mix, const Bytes& packet) {
  Bytes frame = framed(packet);
  frame.resize(kEthernetBytes);
  const auto outer_type = mix.outer == Family::ipv4 ? EtherType::ipv4 : EtherType::ipv6;
  store(frame.data() + offsetof(EthernetHeader, ether_type), be16(static_cast<std::size_t>(outer_type)));
  const std::size_t payload_bytes = mix.inner_at() - mix.payload_at() + packet.size();
  append_outer_ip(frame, mix, payload_bytes);
  if (mix.has_udp())
    append(frame, UdpHeader{.ports = {be16(gue_source_port(kEntropy)), be16(kGuePort)},
                            .length = be16(payload_bytes),
                            .checksum = {}});
  const bool is_ipv4 = mix.inner == Family::ipv4;
  if (mix.encap == Encap::gue0)
    append(frame, GueHeader{.variant_control_hlen = 0,
                            .protocol = static_cast<std::uint8_t>(is_ipv4 ? IpProto::ipip : IpProto::ipv6),
                            .flags = {}});
  if (mix.encap == Encap::gre)
    append(frame, GreHeader{.flags_version = {},
                            .protocol = be16(static_cast<std::size_t>(is_ipv4 ? EtherType::ipv4 : EtherType::ipv6))});
  frame.insert(frame.end(), packet.begin(), packet.end());
  if (mix.has_udp() && mix.outer == Family::ipv6) set_udp_checksum(frame, mix);
  return frame;
}

Bytes encapsulated(const Mix& mix, const Bytes& packet, const std::vector<IpAddress>& hops, Generation generation) {
  Bytes list(hop_list_bytes(mix.outer, hops.size(), generation));
  write_hop_list(list.data(), mix.outer, hops, generation);
  Bytes frame = encapsulated(mix, packet);
  frame[mix.gue_at()] = gue_hlen(static_cast<std::uint16_t>(list.size()));
  frame.insert(frame.begin() + static_cast<std::ptrdiff_t>(mix.inner_at()), list.begin(), list.end());
  const std::size_t udp_bytes = frame.size() - mix.payload_at();
  store(frame.data() + mix.payload_at() + offsetof(UdpHeader, length), be16(udp_bytes));
  std::uint8_t* outer = frame.data() + kEthernetBytes;
  if (mix.outer == Family::ipv4) {
    store(outer + offsetof(Ipv4Header, total_length), be16(sizeof(Ipv4Header) + udp_bytes));
    set_ipv4_checksum(outer);
  } else {
    store(outer + offsetof(Ipv6Header, payload_length), be16(udp_bytes));
    set_udp_checksum(frame, mix);
  }
  return frame;
}

}  // namespace guideway::bpf
