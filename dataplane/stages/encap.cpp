// Outer headers. A template holds them complete but for what depends on the backend or the packet; a leaf for each
// outer family and kind copies it in front and fills the rest in.
//
//   frame before:  Ethernet [tags] │ inner IP … │ padding
//   frame after:   Ethernet [tags] │ outer IP │ [UDP [│ GUE [│ hops]]] or [GRE] │ inner IP …
//                  (l2dsr: nothing but another Ethernet header)
//
// RFC 2003 (4in4), RFC 2473 (… in6), RFC 4213 (6in4); GUE: draft-ietf-intarea-gue-09; GRE: RFC 2784, RFC 7676. DSCP is
// copied or set, and ECN copied (RFC 6040, section 4.1, normal mode).
#include "dataplane/stages/checksum.h"
#include "dataplane/stages/hops.h"
#include "dataplane/stages/service.h"
#include "dataplane/stages/stages.h"

namespace guideway {
namespace {

constexpr std::uint32_t kIpv6MtuMin = 1280;  // RFC 8200, section 5
constexpr std::uint32_t kL3BytesMax = 65535;

// The outer headers behind Ethernet, without hops; offsets from the outer IP header.
template <Family kFamily, Encap kEncap>
struct Outer {
  static constexpr bool kIpv4 = kFamily == Family::ipv4;
  static constexpr bool kUdp = kEncap == Encap::gue0 || kEncap == Encap::gue1;
  static constexpr bool kSourceVaries = kEncap == Encap::ipip || kEncap == Encap::gre;
  static constexpr std::uint16_t kIpBytes = kIpv4 ? sizeof(Ipv4Header) : sizeof(Ipv6Header);
  static constexpr std::uint16_t kTunnelBytes =
      kUdp ? sizeof(UdpHeader) + (kEncap == Encap::gue0 ? sizeof(GueHeader) : 0)
           : (kEncap == Encap::gre ? sizeof(GreHeader) : 0);
  static constexpr std::uint16_t kBytes = kIpBytes + kTunnelBytes;
  static constexpr std::uint16_t kGueAt = kIpBytes + sizeof(UdpHeader);
  static_assert(sizeof(EthernetHeader) + 2 * sizeof(VlanTag) + kBytes <= sizeof(OuterTemplate::header));
};

std::uint8_t traffic_class_of(const Packet& packet) {
  const std::uint8_t* ip = packet.l3();
  if (packet.family == Family::ipv4) return ip[offsetof(Ipv4Header, tos)];
  return static_cast<std::uint8_t>(load<Be32>(ip).host() >> 20);
}

bool may_be_fragmented(const Packet& packet) {
  if (packet.family == Family::ipv6) return packet.l3_bytes <= kIpv6MtuMin;
  return (load<Ipv4Header>(packet.l3()).flags_fragment.host() & kIpv4DontFragment) == 0;
}

// docs/packet_policy.md, section 7. True: put the outer headers in front all the same, the packet is cut behind them.
bool goes_on_too_big(Packet& packet, Oversize oversize) {
  if (!may_be_fragmented(packet)) {
    packet.verdict = Verdict::answer;
    packet.reason = Counter::drop_too_big;
    return false;
  }
  if (oversize == Oversize::fragment_inner && packet.family == Family::ipv4) {
    packet.verdict = Verdict::split_inner;
    return false;
  }
  if (oversize != Oversize::drop) return true;
  drop(packet, Counter::drop_too_big);
  return false;
}

// What the template of an outer IPv4 header leaves open, but for its checksum. Addresses and length as they lie in the
// header; plain numbers, because g++ 12 does not keep BigEndian members in registers.
struct Ipv4Filling {
  std::uint32_t source_bits;
  std::uint32_t destination;
  std::uint32_t length;
  std::uint32_t tos;
  std::uint32_t protocol;
};

// The template was summed with all of these zero; `tos` and `protocol` are the second bytes of their words. Words are
// added two at a time: 2^16 is 1 in ones' complement (RFC 1071, section 2 (C)).
[[gnu::always_inline]] inline std::uint16_t ipv4_checksum(std::uint32_t template_sum, const Ipv4Filling& filling) {
  const std::uint64_t sum = std::uint64_t{template_sum} + filling.source_bits + filling.destination + filling.length +
                            ((filling.tos + filling.protocol) << 8);
  return header_checksum_of(static_cast<std::uint32_t>((sum & 0xffff) + ((sum >> 16) & 0xffff) + (sum >> 32)));
}

// The last four bytes of a source address, which the template has zero where the flow's entropy goes.
void fill_source(std::uint8_t* last, std::uint32_t bits) {
  store(last, load<std::uint32_t>(last) | bits);
}

void fill_ipv4(std::uint8_t* ip, std::uint32_t template_sum, const Ipv4Filling& filling) {
  ip[offsetof(Ipv4Header, tos)] = static_cast<std::uint8_t>(filling.tos);
  ip[offsetof(Ipv4Header, protocol)] = static_cast<std::uint8_t>(filling.protocol);
  store(ip + offsetof(Ipv4Header, total_length), static_cast<std::uint16_t>(filling.length));
  store(ip + offsetof(Ipv4Header, checksum), ipv4_checksum(template_sum, filling));
  fill_source(ip + offsetof(Ipv4Header, source), filling.source_bits);
  store(ip + offsetof(Ipv4Header, destination), filling.destination);
}

std::uint64_t bits_of(const MacAddress& mac) {
  return load<std::uint32_t>(mac.bytes.data()) | std::uint64_t{load<std::uint16_t>(mac.bytes.data() + 4)} << 32;
}

// Where a field of an IPv4 header behind Ethernet begins: in which word of the frame, and at which of its bits.
constexpr std::size_t word_of(std::size_t ipv4_field) {
  return (sizeof(EthernetHeader) + ipv4_field) / sizeof(std::uint64_t);
}
constexpr std::size_t bit_of(std::size_t ipv4_field) {
  return 8 * ((sizeof(EthernetHeader) + ipv4_field) % sizeof(std::uint64_t));
}
static_assert(word_of(offsetof(Ipv4Header, tos)) == 1 && word_of(offsetof(Ipv4Header, total_length)) == 2 &&
              word_of(offsetof(Ipv4Header, protocol)) == 2 && word_of(offsetof(Ipv4Header, checksum)) == 3 &&
              word_of(offsetof(Ipv4Header, source)) == 3 && word_of(offsetof(Ipv4Header, destination)) == 3 &&
              bit_of(offsetof(Ipv4Header, source)) == 16 && bit_of(offsetof(Ipv4Header, destination)) == 48);

// Ethernet without tags and the IPv4 header behind it, as put_ip() makes them. Put together in registers, the 34 bytes
// take five stores instead of eleven.
[[gnu::always_inline]] inline void put_ethernet_ipv4(std::uint8_t* front, const std::uint8_t* header,
                                                     std::uint32_t template_sum, const MacAddress& next_hop,
                                                     const Ipv4Filling& filling) {
  const auto word = [&](std::size_t i) { return load<std::uint64_t>(header + i * sizeof(std::uint64_t)); };
  const auto put_word = [&](std::size_t i, std::uint64_t bits) { store(front + i * sizeof bits, bits); };
  const std::uint64_t checksum = ipv4_checksum(template_sum, filling);
  put_word(0, word(0) | bits_of(next_hop));
  put_word(1, word(1) | std::uint64_t{filling.tos} << bit_of(offsetof(Ipv4Header, tos)));
  put_word(2, word(2) | std::uint64_t{filling.length} << bit_of(offsetof(Ipv4Header, total_length)) |
                  std::uint64_t{filling.protocol} << bit_of(offsetof(Ipv4Header, protocol)));
  put_word(3, word(3) | checksum << bit_of(offsetof(Ipv4Header, checksum)) |
                  std::uint64_t{filling.source_bits} << bit_of(offsetof(Ipv4Header, source)) |
                  std::uint64_t{filling.destination} << bit_of(offsetof(Ipv4Header, destination)));
  store(front + 4 * sizeof(std::uint64_t), static_cast<std::uint16_t>(filling.destination >> 16));
}

void fill_ipv6(std::uint8_t* ip, const Block16& destination, std::uint16_t payload_bytes, std::uint8_t traffic_class,
               IpProto next_header, std::uint32_t entropy) {
  // RFC 6438: the flow label lets routers spread tunnels.
  store(ip, Be32::from_host(0x6U << 28 | std::uint32_t{traffic_class} << 20 | (entropy & 0xfffff)));
  store(ip + offsetof(Ipv6Header, payload_length), Be16::from_host(payload_bytes));
  ip[offsetof(Ipv6Header, next_header)] = static_cast<std::uint8_t>(next_header);
  store(ip + offsetof(Ipv6Header, destination), destination);
}

// Over IPv4 the checksum is left zero (RFC 768); over IPv6 it is computed over everything (RFC 8200, section 8.1): from
// the template, because what has just been written cannot be read back at once, and what was filled in: `gue_filled_in`
// is the GUE header's share.
template <typename O>
void fill_udp(std::uint8_t* udp, const std::uint8_t* ip_template, const Block16& destination, std::uint16_t bytes,
              std::uint32_t entropy, std::uint16_t gue_filled_in) {
  const Be16 source_port = Be16::from_host(gue_source_port(entropy));
  const Be16 length = Be16::from_host(bytes);
  store(udp, source_port);
  store(udp + offsetof(UdpHeader, length), length);
  if constexpr (!O::kIpv4) {
    const std::uint64_t filled_in = std::uint64_t{source_port.raw()} + length.raw() + gue_filled_in;
    const std::uint64_t sum =
        filled_in + ones_sum(ip_template + O::kIpBytes, O::kTunnelBytes) +
        ones_sum(udp + O::kTunnelBytes, std::uint32_t{bytes} - O::kTunnelBytes) +
        pseudo_sum(ip_template + offsetof(Ipv6Header, source), Family::ipv6, bytes, IpProto::udp) +
        ones_sum(destination.data(), sizeof destination);
    const std::uint16_t checksum = checksum_of(sum);
    store(udp + offsetof(UdpHeader, checksum), checksum == 0 ? std::uint16_t{0xffff} : checksum);
  }
}

constexpr std::uint16_t kEthernetBytesMax = sizeof(EthernetHeader) + 2 * sizeof(VlanTag);

// Read once and bounded, whatever the template says by now.
std::uint16_t ethernet_bytes(const OuterTemplate& outer) {
  return std::min<std::uint16_t>(outer.ip_at, kEthernetBytesMax);
}

// What is known of a packet's outer headers before they are written.
struct Filling {
  std::uint32_t entropy;
  std::uint16_t outer_ip_bytes;
  std::uint16_t hops_bytes;
  std::uint8_t traffic_class;
  bool inner4;

  IpProto inner() const { return inner4 ? IpProto::ipip : IpProto::ipv6; }
};

template <Encap kEncap>
[[gnu::always_inline]] inline IpProto carried_in(const Filling& filling) {
  if (kEncap == Encap::ipip) return filling.inner();
  return kEncap == Encap::gre ? IpProto::gre : IpProto::udp;
}

template <typename O>
[[gnu::always_inline]] inline std::uint32_t source_bits(const OuterTemplate& outer, const Filling& filling) {
  return O::kSourceVaries ? Be32::from_host(filling.entropy).raw() & outer.source_entropy.raw() : 0;
}

template <Encap kEncap>
[[gnu::always_inline]] inline Ipv4Filling ipv4_filling(const OuterTemplate& outer, const IpAddress& destination,
                                                       const Filling& filling) {
  return {source_bits<Outer<Family::ipv4, kEncap>>(outer, filling), destination.v4().raw(),
          Be16::from_host(filling.outer_ip_bytes).raw(), filling.traffic_class,
          static_cast<std::uint32_t>(carried_in<kEncap>(filling))};
}

// Ethernet with its tags, and IP.
template <Family kFamily, Encap kEncap>
[[gnu::always_inline]] inline void put_ip(std::uint8_t* front, const OuterTemplate& outer, const BackendRecord& backend,
                                          const Filling& filling, std::uint16_t ip_at) {
  using O = Outer<kFamily, kEncap>;
  std::uint8_t* ip = front + ip_at;
  std::memcpy(front, outer.header, ip_at + O::kIpBytes);
  store(front + offsetof(EthernetHeader, destination), backend.next_hop);
  if constexpr (O::kIpv4) return fill_ipv4(ip, outer.ipv4_sum, ipv4_filling<kEncap>(outer, backend.address, filling));
  fill_ipv6(ip, backend.address.bytes, static_cast<std::uint16_t>(filling.outer_ip_bytes - sizeof(Ipv6Header)),
            filling.traffic_class, carried_in<kEncap>(filling), filling.entropy);
  if constexpr (O::kSourceVaries) fill_source(ip + offsetof(Ipv6Header, source) + 12, source_bits<O>(outer, filling));
}

// What is between the outer IP header and hops or inner packet. `ip_template`: that IP header, as the template has it.
template <Family kFamily, Encap kEncap>
[[gnu::always_inline]] inline void put_tunnel(std::uint8_t* ip, const std::uint8_t* ip_template,
                                              const BackendRecord& backend, const Filling& filling) {
  using O = Outer<kFamily, kEncap>;
  std::memcpy(ip + O::kIpBytes, ip_template + O::kIpBytes, O::kTunnelBytes);
  if constexpr (kEncap == Encap::gre)
    store(ip + O::kIpBytes + offsetof(GreHeader, protocol),
          Be16::from_host(static_cast<std::uint16_t>(filling.inner4 ? EtherType::ipv4 : EtherType::ipv6)));
  std::uint16_t gue_filled_in = 0;  // its first two bytes, as they lie there
  if constexpr (kEncap == Encap::gue0) {
    gue_filled_in =
        static_cast<std::uint16_t>(gue_hlen(filling.hops_bytes) | static_cast<unsigned>(filling.inner()) << 8);
    store(ip + O::kGueAt, gue_filled_in);
  }
  if constexpr (O::kUdp)
    fill_udp<O>(ip + O::kIpBytes, ip_template, backend.address.bytes,
                static_cast<std::uint16_t>(filling.outer_ip_bytes - O::kIpBytes), filling.entropy, gue_filled_in);
}

// The frame now begins `front_bytes` before the inner packet, and ends with it. The frame.
std::uint8_t* reshape(Packet& packet, std::uint16_t front_bytes) {
  packet.data = packet.data + packet.l3_offset - front_bytes;
  packet.headroom_bytes = static_cast<std::uint16_t>(packet.headroom_bytes + packet.l3_offset - front_bytes);
  packet.contiguous_bytes = static_cast<std::uint16_t>(
      std::min<std::uint32_t>(packet.contiguous_bytes - packet.l3_offset, packet.l3_bytes) + front_bytes);
  packet.frame_bytes = front_bytes + std::uint32_t{packet.l3_bytes};
  return packet.data;
}

template <Family kFamily, Encap kEncap>
std::uint32_t outer_ip_bytes_of(const Packet& packet, std::span<const std::uint8_t> hops) {
  return static_cast<std::uint32_t>(Outer<kFamily, kEncap>::kBytes + hops.size()) + packet.l3_bytes;
}

// `hops`: as hop_list_of() gives them; only behind a GUE header. `ip_at_or_constant`: where the IP header is in the
// template; nearly always it is right behind Ethernet, and then how much to copy is known beforehand.
template <Family kFamily, Encap kEncap>
[[gnu::always_inline]] inline void write_outer(Packet& packet, const OuterTemplate& outer,
                                               std::span<const std::uint8_t> hops, auto ip_at_or_constant) {
  using O = Outer<kFamily, kEncap>;
  const auto hops_bytes = static_cast<std::uint16_t>(hops.size());
  const auto outer_ip_bytes = static_cast<std::uint16_t>(outer_ip_bytes_of<kFamily, kEncap>(packet, hops));
  const std::uint16_t ip_at = ip_at_or_constant;
  const auto front_bytes = static_cast<std::uint16_t>(ip_at + O::kBytes + hops_bytes);
  if (packet.headroom_bytes + packet.l3_offset < front_bytes) return drop(packet, Counter::drop_no_headroom);
  if (O::kUdp && !O::kIpv4 && !packet.is_whole()) return drop(packet, Counter::drop_segmented);

  const BackendRecord& backend = *packet.backend;
  const Filling filling{entropy_of(packet.hash), outer_ip_bytes, hops_bytes,
                        static_cast<std::uint8_t>((traffic_class_of(packet) & outer.tos_keep) | outer.tos_set),
                        packet.family == Family::ipv4};
  std::uint8_t* front = reshape(packet, front_bytes);
  constexpr bool kUntagged = !std::is_same_v<decltype(ip_at_or_constant), std::uint16_t>;
  if constexpr (kUntagged && O::kIpv4)
    put_ethernet_ipv4(front, outer.header, outer.ipv4_sum, backend.next_hop,
                      ipv4_filling<kEncap>(outer, backend.address, filling));
  else
    put_ip<kFamily, kEncap>(front, outer, backend, filling, ip_at);
  if (hops_bytes > 0) std::memcpy(front + ip_at + O::kBytes, hops.data(), hops_bytes);
  put_tunnel<kFamily, kEncap>(front + ip_at, outer.header + ip_at, backend, filling);
}

// Apart from the others: what is called for few packets would cost registers, and so stores, for all.
template <Family kFamily, Encap kEncap>
[[gnu::noinline]] void write_outer_behind_tags(Packet& packet, const OuterTemplate& outer,
                                               std::span<const std::uint8_t> hops) {
  write_outer<kFamily, kEncap>(packet, outer, hops, ethernet_bytes(outer));
}
template <Family kFamily, Encap kEncap>
[[gnu::noinline]] void put_too_big_in_front(Packet& packet, const OuterTemplate& outer,
                                            std::span<const std::uint8_t> hops) {
  if (!goes_on_too_big(packet, outer.oversize)) return;
  if (outer_ip_bytes_of<kFamily, kEncap>(packet, hops) > kL3BytesMax) return drop(packet, Counter::drop_too_big);
  packet.verdict = Verdict::split_outer;
  write_outer_behind_tags<kFamily, kEncap>(packet, outer, hops);
}

template <Family kFamily, Encap kEncap>
[[gnu::always_inline]] inline void put_in_front_of(Packet& packet, const OuterTemplate& outer,
                                                   std::span<const std::uint8_t> hops) {
  packet.verdict = Verdict::forward;
  if (outer_ip_bytes_of<kFamily, kEncap>(packet, hops) > outer.path_mtu_bytes) [[unlikely]]
    return put_too_big_in_front<kFamily, kEncap>(packet, outer, hops);
  if (outer.ip_at != sizeof(EthernetHeader)) [[unlikely]]
    return write_outer_behind_tags<kFamily, kEncap>(packet, outer, hops);
  constexpr std::integral_constant<std::uint16_t, sizeof(EthernetHeader)> kBehindEthernet;
  write_outer<kFamily, kEncap>(packet, outer, hops, kBehindEthernet);
}
template <Family kFamily, Encap kEncap>
[[gnu::noinline]] void put_in_front(Packet& packet, const OuterTemplate& outer) {
  put_in_front_of<kFamily, kEncap>(packet, outer, {});
}

// Ethernet and the port's tags; nearly always without tags, and then of a fixed size.
void put_ethernet(std::uint8_t* front, const OuterTemplate& outer, std::uint16_t bytes) {
  if (bytes == sizeof(EthernetHeader)) [[likely]]
    std::memcpy(front, outer.header, sizeof(EthernetHeader));
  else
    std::memcpy(front, outer.header, bytes);
}

// Nothing but another Ethernet header; its type says what family the packet is of.
void redirect(Packet& packet, const OuterTemplate& outer) {
  packet.verdict = Verdict::forward;
  if (packet.l3_bytes > outer.path_mtu_bytes) [[unlikely]] {
    if (packet.family == Family::ipv6 && may_be_fragmented(packet)) return drop(packet, Counter::drop_too_big);
    const auto oversize = outer.oversize == Oversize::drop ? Oversize::drop : Oversize::fragment_inner;
    if (!goes_on_too_big(packet, oversize)) return;
  }
  const std::uint16_t ip_at = ethernet_bytes(outer);
  if (packet.headroom_bytes + packet.l3_offset < ip_at) return drop(packet, Counter::drop_no_headroom);
  std::uint8_t* front = reshape(packet, ip_at);
  put_ethernet(front, outer, ip_at);
  store(front + offsetof(EthernetHeader, destination), packet.backend->next_hop);
  const EtherType type = packet.family == Family::ipv4 ? EtherType::ipv4 : EtherType::ipv6;
  store(front + ip_at - sizeof(Be16), Be16::from_host(static_cast<std::uint16_t>(type)));
}

template <Family kFamily>
void encap_for_family(Packet& packet, const OuterTemplate& outer) {
  switch (outer.encap) {
    case Encap::ipip:
      return put_in_front<kFamily, Encap::ipip>(packet, outer);
    case Encap::gue0:
      return put_in_front<kFamily, Encap::gue0>(packet, outer);
    case Encap::gue1:
      return put_in_front<kFamily, Encap::gue1>(packet, outer);
    case Encap::gre:
      return put_in_front<kFamily, Encap::gre>(packet, outer);
    case Encap::l2dsr:
      return redirect(packet, outer);
  }
  drop(packet, Counter::drop_no_backend);  // a template scribbled over after it was validated
}

// The frame has the source address of the port it would leave by: it was ours, and came back. As a number: compared
// byte by byte, g++ 12 calls memcmp(). The first two of the eight bytes belong to the destination.
bool sent_by_ourselves(const Packet& packet, const OuterTemplate& outer) {
  constexpr std::size_t kAt = offsetof(EthernetHeader, source) - 2;
  const std::uint64_t differing = load<std::uint64_t>(packet.data + kAt) ^ load<std::uint64_t>(outer.header + kAt);
  return differing >> 16 == 0;
}

void encap_with_hops(Packet& packet, const OuterTemplate& outer, const TablesView& view) {
  const HopList hops = hop_list_of(packet, view);
  if (outer.family == Family::ipv4)
    put_in_front_of<Family::ipv4, Encap::gue0>(packet, outer, hops.all());
  else
    put_in_front_of<Family::ipv6, Encap::gue0>(packet, outer, hops.all());
}

}  // namespace

void encap_packet(Packet& packet, const OuterTemplate& outer) {
  if (outer.family == Family::ipv4)
    encap_for_family<Family::ipv4>(packet, outer);
  else
    encap_for_family<Family::ipv6>(packet, outer);
}

void encap(Batch& batch, const TablesView& view) {
  for (Packet& packet : batch.all()) {
    if (packet.verdict != Verdict::pending) continue;
    const OuterTemplate* outer = outer_of(view, *packet.backend);
    if (outer == nullptr) [[unlikely]]
      drop(packet, Counter::drop_no_backend);  // a record scribbled over since select looked at it
    else if (sent_by_ourselves(packet, *outer)) [[unlikely]]
      drop(packet, Counter::drop_returned);
    else if (packet.has_hops) [[unlikely]]
      encap_with_hops(packet, *outer, view);
    else
      encap_packet(packet, *outer);
    if (packet.verdict == Verdict::answer) [[unlikely]]
      batch.has_answers = true;
  }
}

}  // namespace guideway
