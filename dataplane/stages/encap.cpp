// Outer headers. The backend's record holds them complete but for what depends on the packet; a leaf for each outer
// family and kind copies them in front and fills the rest in.
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
  static_assert(sizeof(EthernetHeader) + 2 * sizeof(VlanTag) + kBytes <= sizeof(BackendRecord::outer));
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

[[gnu::always_inline]] inline void fill_ipv4(std::uint8_t* ip, std::uint32_t template_sum, Be32 source_bits,
                                             std::uint16_t bytes, std::uint8_t tos, IpProto protocol) {
  const Be16 length = Be16::from_host(bytes);
  // The template was summed with all of these zero; `tos` and `protocol` are the second bytes of their words.
  const std::uint32_t second_bytes = std::uint32_t{tos} + static_cast<std::uint32_t>(protocol);
  const std::uint32_t sum =
      template_sum + (source_bits.raw() & 0xffff) + (source_bits.raw() >> 16) + length.raw() + (second_bytes << 8);
  ip[offsetof(Ipv4Header, tos)] = tos;
  ip[offsetof(Ipv4Header, protocol)] = static_cast<std::uint8_t>(protocol);
  store(ip + offsetof(Ipv4Header, total_length), length);
  store(ip + offsetof(Ipv4Header, checksum), header_checksum_of(sum));
}

void fill_ipv6(std::uint8_t* ip, std::uint16_t payload_bytes, std::uint8_t traffic_class, IpProto next_header,
               std::uint32_t entropy) {
  // RFC 6438: the flow label lets routers spread tunnels.
  store(ip, Be32::from_host(0x6U << 28 | std::uint32_t{traffic_class} << 20 | (entropy & 0xfffff)));
  store(ip + offsetof(Ipv6Header, payload_length), Be16::from_host(payload_bytes));
  ip[offsetof(Ipv6Header, next_header)] = static_cast<std::uint8_t>(next_header);
}

// The last four bytes of a source address, which the template has zero where the flow's entropy goes.
void fill_source(std::uint8_t* last, Be32 bits) {
  store(last, load<std::uint32_t>(last) | bits.raw());
}

// Over IPv4 the checksum is left zero (RFC 768); over IPv6 it is computed over everything (RFC 8200, section 8.1): from
// the template, because what has just been written cannot be read back at once, and what was filled in: `gue_filled_in`
// is the GUE header's share.
template <typename O>
void fill_udp(std::uint8_t* udp, const std::uint8_t* ip_template, std::uint16_t bytes, std::uint32_t entropy,
              std::uint16_t gue_filled_in) {
  const Be16 source_port = Be16::from_host(gue_source_port(entropy));
  const Be16 length = Be16::from_host(bytes);
  store(udp, source_port);
  store(udp + offsetof(UdpHeader, length), length);
  if constexpr (!O::kIpv4) {
    const std::uint64_t filled_in = std::uint64_t{source_port.raw()} + length.raw() + gue_filled_in;
    const std::uint64_t sum = filled_in + ones_sum(ip_template + O::kIpBytes, O::kTunnelBytes) +
                              ones_sum(udp + O::kTunnelBytes, std::uint32_t{bytes} - O::kTunnelBytes) +
                              pseudo_sum(ip_template + offsetof(Ipv6Header, source), Family::ipv6, bytes, IpProto::udp);
    const std::uint16_t checksum = checksum_of(sum);
    store(udp + offsetof(UdpHeader, checksum), checksum == 0 ? std::uint16_t{0xffff} : checksum);
  }
}

constexpr std::uint16_t kEthernetBytesMax = sizeof(EthernetHeader) + 2 * sizeof(VlanTag);

// Read once and bounded, whatever the record says by now.
std::uint16_t ethernet_bytes(const BackendRecord& backend) {
  return std::min<std::uint16_t>(backend.ip_at, kEthernetBytesMax);
}

// What the template leaves open.
template <Family kFamily, Encap kEncap>
[[gnu::always_inline]] inline void fill(std::uint8_t* ip, const Packet& packet, std::uint16_t outer_ip_bytes,
                                        std::uint8_t traffic_class, std::uint16_t hops_bytes) {
  using O = Outer<kFamily, kEncap>;
  const BackendRecord& backend = *packet.backend;
  const std::uint32_t entropy = entropy_of(packet.hash);
  const bool inner4 = packet.family == Family::ipv4;
  const IpProto inner = inner4 ? IpProto::ipip : IpProto::ipv6;
  const IpProto carried = O::kUdp ? IpProto::udp : kEncap == Encap::gre ? IpProto::gre : inner;
  const auto source_bits =
      O::kSourceVaries ? Be32::from_raw(Be32::from_host(entropy).raw() & backend.source_entropy.raw()) : Be32{};
  if constexpr (O::kIpv4)
    fill_ipv4(ip, backend.outer_sum, source_bits, outer_ip_bytes, traffic_class, carried);
  else
    fill_ipv6(ip, static_cast<std::uint16_t>(outer_ip_bytes - sizeof(Ipv6Header)), traffic_class, carried, entropy);
  if constexpr (O::kSourceVaries)
    fill_source(ip + (O::kIpv4 ? offsetof(Ipv4Header, source) : offsetof(Ipv6Header, source) + 12), source_bits);
  if constexpr (kEncap == Encap::gre)
    store(ip + O::kIpBytes + offsetof(GreHeader, protocol),
          Be16::from_host(static_cast<std::uint16_t>(inner4 ? EtherType::ipv4 : EtherType::ipv6)));
  std::uint16_t gue_filled_in = 0;  // its first two bytes, as they lie there
  if constexpr (kEncap == Encap::gue0) {
    gue_filled_in = static_cast<std::uint16_t>(gue_hlen(hops_bytes) | static_cast<unsigned>(inner) << 8);
    store(ip + O::kGueAt, gue_filled_in);
  }
  if constexpr (O::kUdp)
    fill_udp<O>(ip + O::kIpBytes, backend.outer + ethernet_bytes(backend),
                static_cast<std::uint16_t>(outer_ip_bytes - O::kIpBytes), entropy, gue_filled_in);
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
[[gnu::always_inline]] inline void write_outer(Packet& packet, std::span<const std::uint8_t> hops,
                                               auto ip_at_or_constant) {
  using O = Outer<kFamily, kEncap>;
  const BackendRecord& backend = *packet.backend;
  const auto hops_bytes = static_cast<std::uint16_t>(hops.size());
  const auto outer_ip_bytes = static_cast<std::uint16_t>(outer_ip_bytes_of<kFamily, kEncap>(packet, hops));
  const std::uint16_t ip_at = ip_at_or_constant;
  const auto front_bytes = static_cast<std::uint16_t>(ip_at + O::kBytes + hops_bytes);
  if (packet.headroom_bytes + packet.l3_offset < front_bytes) return drop(packet, Counter::drop_no_headroom);
  if (O::kUdp && !O::kIpv4 && !packet.is_whole()) return drop(packet, Counter::drop_segmented);

  const auto traffic_class = static_cast<std::uint8_t>((traffic_class_of(packet) & backend.tos_keep) | backend.tos_set);
  std::uint8_t* front = reshape(packet, front_bytes);
  std::memcpy(front, backend.outer, ip_at + O::kBytes);
  if (hops_bytes > 0) std::memcpy(front + ip_at + O::kBytes, hops.data(), hops_bytes);
  fill<kFamily, kEncap>(front + ip_at, packet, outer_ip_bytes, traffic_class, hops_bytes);
}

// Apart from the others: what is called for few packets would cost registers, and so stores, for all.
template <Family kFamily, Encap kEncap>
[[gnu::noinline]] void write_outer_behind_tags(Packet& packet, std::span<const std::uint8_t> hops) {
  write_outer<kFamily, kEncap>(packet, hops, ethernet_bytes(*packet.backend));
}
template <Family kFamily, Encap kEncap>
[[gnu::noinline]] void put_too_big_in_front(Packet& packet, std::span<const std::uint8_t> hops) {
  if (!goes_on_too_big(packet, packet.backend->oversize)) return;
  if (outer_ip_bytes_of<kFamily, kEncap>(packet, hops) > kL3BytesMax) return drop(packet, Counter::drop_too_big);
  packet.verdict = Verdict::split_outer;
  write_outer_behind_tags<kFamily, kEncap>(packet, hops);
}

template <Family kFamily, Encap kEncap>
[[gnu::always_inline]] inline void put_in_front_of(Packet& packet, std::span<const std::uint8_t> hops) {
  const BackendRecord& backend = *packet.backend;
  packet.verdict = Verdict::forward;
  if (outer_ip_bytes_of<kFamily, kEncap>(packet, hops) > backend.path_mtu_bytes) [[unlikely]]
    return put_too_big_in_front<kFamily, kEncap>(packet, hops);
  if (backend.ip_at != sizeof(EthernetHeader)) [[unlikely]]
    return write_outer_behind_tags<kFamily, kEncap>(packet, hops);
  constexpr std::integral_constant<std::uint16_t, sizeof(EthernetHeader)> kBehindEthernet;
  write_outer<kFamily, kEncap>(packet, hops, kBehindEthernet);
}
template <Family kFamily, Encap kEncap>
[[gnu::noinline]] void put_in_front(Packet& packet) {
  put_in_front_of<kFamily, kEncap>(packet, {});
}

// Ethernet and the port's tags; nearly always without tags, and then of a fixed size.
void put_ethernet(std::uint8_t* front, const BackendRecord& backend, std::uint16_t bytes) {
  if (bytes == sizeof(EthernetHeader)) [[likely]]
    std::memcpy(front, backend.outer, sizeof(EthernetHeader));
  else
    std::memcpy(front, backend.outer, bytes);
}

// Nothing but another Ethernet header; its type says what family the packet is of.
void redirect(Packet& packet) {
  const BackendRecord& backend = *packet.backend;
  packet.verdict = Verdict::forward;
  if (packet.l3_bytes > backend.path_mtu_bytes) [[unlikely]] {
    if (packet.family == Family::ipv6 && may_be_fragmented(packet)) return drop(packet, Counter::drop_too_big);
    const auto oversize = backend.oversize == Oversize::drop ? Oversize::drop : Oversize::fragment_inner;
    if (!goes_on_too_big(packet, oversize)) return;
  }
  const std::uint16_t ip_at = ethernet_bytes(backend);
  if (packet.headroom_bytes + packet.l3_offset < ip_at) return drop(packet, Counter::drop_no_headroom);
  std::uint8_t* front = reshape(packet, ip_at);
  put_ethernet(front, backend, ip_at);
  const EtherType type = packet.family == Family::ipv4 ? EtherType::ipv4 : EtherType::ipv6;
  store(front + ip_at - sizeof(Be16), Be16::from_host(static_cast<std::uint16_t>(type)));
}

template <Family kFamily>
void encap_for_family(Packet& packet) {
  switch (packet.backend->encap) {
    case Encap::ipip:
      return put_in_front<kFamily, Encap::ipip>(packet);
    case Encap::gue0:
      return put_in_front<kFamily, Encap::gue0>(packet);
    case Encap::gue1:
      return put_in_front<kFamily, Encap::gue1>(packet);
    case Encap::gre:
      return put_in_front<kFamily, Encap::gre>(packet);
    case Encap::l2dsr:
      return redirect(packet);
  }
  drop(packet, Counter::drop_no_backend);  // a record scribbled over after it was validated
}

void encap_with_hops(Packet& packet, const TablesView& view) {
  const HopList hops = hop_list_of(packet, view);
  if (packet.backend->outer_family == Family::ipv4)
    put_in_front_of<Family::ipv4, Encap::gue0>(packet, hops.all());
  else
    put_in_front_of<Family::ipv6, Encap::gue0>(packet, hops.all());
}

}  // namespace

void encap_packet(Packet& packet) {
  if (packet.backend->outer_family == Family::ipv4)
    encap_for_family<Family::ipv4>(packet);
  else
    encap_for_family<Family::ipv6>(packet);
}

void encap(Batch& batch, const TablesView& view) {
  for (Packet& packet : batch.all()) {
    if (packet.verdict != Verdict::pending) continue;
    if (packet.has_hops) [[unlikely]]
      encap_with_hops(packet, view);
    else
      encap_packet(packet);
    if (packet.verdict == Verdict::answer) [[unlikely]]
      batch.has_answers = true;
  }
}

}  // namespace guideway
