#include "tests/bpf/decap_packets.h"

#include <gtest/gtest.h>

#include "common/net/address_text.h"
#include "common/tables/image.h"
#include "dataplane/stages/stages.h"

namespace guideway::bpf {
namespace {

constexpr std::size_t kHeadroomBytes = 128;

std::uint16_t checksum_of(const std::uint8_t* bytes, std::size_t count) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < count; i += 2) sum += load<Be16>(bytes + i).host();
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

}  // namespace

IpAddress ip(const char* text) {
  return parse_ip(text).value();
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
  store(header + offsetof(Ipv4Header, checksum), Be16::from_host(checksum_of(header, bytes)));
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
  for (const Encap encap : {Encap::ipip, Encap::gue0, Encap::gue1})
    for (const Family outer : {Family::ipv4, Family::ipv6})
      for (const Family inner : {Family::ipv4, Family::ipv6}) mixes.push_back({encap, outer, inner});
  return mixes;
}

Bytes encapsulated(const Mix& mix, const Bytes& packet) {
  const Egress egress{.port = 0,
                      .source_mac = {{2, 0, 0, 0, 0, 2}},
                      .next_hop_mac = {{2, 0, 0, 0, 0, 3}},
                      .source = load_balancer(mix.outer),
                      .path_mtu_bytes = 9000};
  DesiredTables tables;
  tables.pools.push_back(
      {.encap = mix.encap,
       .slot_count = 7,
       .backends = {{.address = backend(mix.outer), .weight = 1, .stats_index = 0, .egress = egress}}});
  const TableImage image = ImageBuilder().build(tables);
  const auto record = load<BackendRecord>(reinterpret_cast<const std::uint8_t*>(image.pools[0].backends->bytes.data()) +
                                          elements_offset_bytes(ObjectKind::backends));

  Bytes room(kHeadroomBytes);
  const Bytes frame = framed(packet);
  room.insert(room.end(), frame.begin(), frame.end());
  Batch batch;
  batch.count = 1;
  Packet& on_its_way = batch.packets[0];
  on_its_way.data = room.data() + kHeadroomBytes;
  on_its_way.frame_bytes = static_cast<std::uint32_t>(frame.size());
  on_its_way.contiguous_bytes = static_cast<std::uint16_t>(frame.size());
  on_its_way.headroom_bytes = kHeadroomBytes;
  on_its_way.l3_offset = kEthernetBytes;
  on_its_way.l3_bytes = static_cast<std::uint16_t>(packet.size());
  on_its_way.family = mix.inner;
  on_its_way.backend = &record;
  on_its_way.entropy = 0xabcde;
  encap(batch);
  EXPECT_EQ(on_its_way.verdict, Verdict::forward);
  return {on_its_way.data, on_its_way.data + on_its_way.frame_bytes};
}

}  // namespace guideway::bpf
