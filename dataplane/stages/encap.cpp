// Outer headers. The backend's record holds them complete but for what depends on the packet; a leaf for each outer
// family and kind copies them in front and fills the rest in.
//
//   frame before:  Ethernet │ inner IP … │ padding
//   frame after:   Ethernet │ outer IP │ [UDP │ [GUE]] │ inner IP …
//
// RFC 2003 (4in4), RFC 2473 (… in6), RFC 4213 (6in4); GUE: draft-ietf-intarea-gue-09. DSCP is copied, and so is ECN
// (RFC 6040, section 4.1, normal mode).
#include "dataplane/stages/stages.h"

namespace guideway {
namespace {

template <Family kFamily, Encap kEncap>
struct Outer {
  static constexpr bool kIpv4 = kFamily == Family::ipv4;
  static constexpr bool kUdp = kEncap != Encap::ipip;
  static constexpr std::uint16_t kIpAt = sizeof(EthernetHeader);
  static constexpr std::uint16_t kUdpAt = kIpAt + (kIpv4 ? sizeof(Ipv4Header) : sizeof(Ipv6Header));
  static constexpr std::uint16_t kGueAt = kUdpAt + (kUdp ? sizeof(UdpHeader) : 0);
  static constexpr std::uint16_t kBytes = kGueAt + (kEncap == Encap::gue0 ? sizeof(GueHeader) : 0);
  static_assert(kBytes <= sizeof(BackendRecord::outer));
};

std::uint8_t traffic_class_of(const Packet& packet) {
  const std::uint8_t* ip = packet.data + packet.l3_offset;
  if (packet.family == Family::ipv4) return ip[offsetof(Ipv4Header, tos)];
  return static_cast<std::uint8_t>(load<Be32>(ip).host() >> 20);
}

constexpr std::uint16_t fold(std::uint64_t sum) {
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(sum);
}

// Ones' complement sum (RFC 1071) in the byte order of memory, unfolded.
std::uint64_t ones_sum(const std::uint8_t* bytes, std::uint32_t count) {
  std::uint64_t sum = 0;
  for (; count >= 4; bytes += 4, count -= 4) sum += load<std::uint32_t>(bytes);
  if (count >= 2) {
    sum += load<std::uint16_t>(bytes);
    bytes += 2;
    count -= 2;
  }
  return count == 1 ? sum + *bytes : sum;
}

void fill_ipv4(std::uint8_t* ip, std::uint32_t template_sum, std::uint16_t bytes, std::uint8_t tos, IpProto protocol) {
  const Be16 length = Be16::from_host(bytes);
  // The template was summed with these three zero; `tos` and `protocol` are the second bytes of their words.
  const std::uint64_t sum = std::uint64_t{template_sum} + length.raw() + (std::uint64_t{tos} << 8) +
                            (static_cast<std::uint64_t>(protocol) << 8);
  ip[offsetof(Ipv4Header, tos)] = tos;
  ip[offsetof(Ipv4Header, protocol)] = static_cast<std::uint8_t>(protocol);
  store(ip + offsetof(Ipv4Header, total_length), length);
  store(ip + offsetof(Ipv4Header, checksum), static_cast<std::uint16_t>(~fold(sum)));
}

void fill_ipv6(std::uint8_t* ip, std::uint16_t payload_bytes, std::uint8_t traffic_class, IpProto next_header,
               std::uint32_t entropy) {
  // RFC 6438: the flow label lets routers spread tunnels.
  store(ip, Be32::from_host(0x6U << 28 | std::uint32_t{traffic_class} << 20 | (entropy & 0xfffff)));
  store(ip + offsetof(Ipv6Header, payload_length), Be16::from_host(payload_bytes));
  ip[offsetof(Ipv6Header, next_header)] = static_cast<std::uint8_t>(next_header);
}

// Over IPv4 the checksum is left zero (RFC 768); over IPv6 it is computed over everything (RFC 8200, section 8.1).
template <bool kIpv4>
void fill_udp(std::uint8_t* udp, std::uint16_t bytes, std::uint32_t entropy) {
  store(udp, Be16::from_host(gue_source_port(entropy)));
  store(udp + offsetof(UdpHeader, length), Be16::from_host(bytes));
  if constexpr (!kIpv4) {
    const std::uint8_t* addresses = udp - 2 * sizeof(Block16);
    const std::uint64_t sum = ones_sum(addresses, 2 * sizeof(Block16) + bytes) + Be16::from_host(bytes).raw() +
                              Be16::from_host(static_cast<std::uint16_t>(IpProto::udp)).raw();
    const auto checksum = static_cast<std::uint16_t>(~fold(sum));
    store(udp + offsetof(UdpHeader, checksum), checksum == 0 ? std::uint16_t{0xffff} : checksum);
  }
}

template <Family kFamily, Encap kEncap>
void put_in_front(Packet& packet) {
  using O = Outer<kFamily, kEncap>;
  const BackendRecord& backend = *packet.backend;
  const auto outer_ip_bytes = static_cast<std::uint32_t>(O::kBytes - O::kIpAt + packet.l3_bytes);
  if (outer_ip_bytes > backend.path_mtu_bytes) return drop(packet, Counter::drop_too_big);
  if (packet.headroom_bytes + packet.l3_offset < O::kBytes) return drop(packet, Counter::drop_no_headroom);
  if (O::kUdp && !O::kIpv4 && packet.l3_offset + packet.l3_bytes > packet.contiguous_bytes)
    return drop(packet, Counter::drop_segmented);

  const std::uint8_t traffic_class = traffic_class_of(packet);
  const IpProto inner = packet.family == Family::ipv4 ? IpProto::ipip : IpProto::ipv6;
  const IpProto carried = O::kUdp ? IpProto::udp : inner;
  std::uint8_t* front = packet.data + packet.l3_offset - O::kBytes;
  std::memcpy(front, backend.outer, O::kBytes);
  if constexpr (O::kIpv4)
    fill_ipv4(front + O::kIpAt, backend.outer_sum, static_cast<std::uint16_t>(outer_ip_bytes), traffic_class, carried);
  else
    fill_ipv6(front + O::kIpAt, static_cast<std::uint16_t>(outer_ip_bytes - sizeof(Ipv6Header)), traffic_class, carried,
              packet.entropy);
  if constexpr (kEncap == Encap::gue0)
    front[O::kGueAt + offsetof(GueHeader, protocol)] = static_cast<std::uint8_t>(inner);
  if constexpr (O::kUdp)
    fill_udp<O::kIpv4>(front + O::kUdpAt, static_cast<std::uint16_t>(O::kBytes - O::kUdpAt + packet.l3_bytes),
                       packet.entropy);

  packet.headroom_bytes = static_cast<std::uint16_t>(packet.headroom_bytes + packet.l3_offset - O::kBytes);
  packet.contiguous_bytes = static_cast<std::uint16_t>(
      std::min<std::uint32_t>(packet.contiguous_bytes - packet.l3_offset, packet.l3_bytes) + O::kBytes);
  packet.frame_bytes = O::kBytes + std::uint32_t{packet.l3_bytes};
  packet.data = front;
  packet.verdict = Verdict::forward;
}

template <Family kFamily>
void encap_packet(Packet& packet) {
  switch (packet.backend->encap) {
    case Encap::ipip:
      return put_in_front<kFamily, Encap::ipip>(packet);
    case Encap::gue0:
      return put_in_front<kFamily, Encap::gue0>(packet);
    case Encap::gue1:
      return put_in_front<kFamily, Encap::gue1>(packet);
  }
  drop(packet, Counter::drop_no_backend);  // a record scribbled over after it was validated
}

}  // namespace

void encap(Batch& batch) {
  for (Packet& packet : batch.all()) {
    if (packet.verdict != Verdict::pending) continue;
    if (packet.backend->outer_family == Family::ipv4)
      encap_packet<Family::ipv4>(packet);
    else
      encap_packet<Family::ipv6>(packet);
  }
}

}  // namespace guideway
