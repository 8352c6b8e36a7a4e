#include "tests/fuzz/decap_oracle.h"

#include <algorithm>

#include "tests/fuzz/fuzz_tables.h"

namespace guideway::fuzz {
namespace {

constexpr std::size_t kEthernetBytes = 14;
constexpr std::uint8_t kIpip = 4, kUdp = 17, kIpv6 = 41, kFragment = 44, kGre = 47;

std::size_t be16(BytesView bytes, std::size_t at) {
  return static_cast<std::size_t>(bytes[at] << 8 | bytes[at + 1]);
}

struct Outer {
  Family family = Family::none;
  IpAddress source, destination;
  std::uint8_t protocol = 0;
  unsigned ecn = 0;
  std::size_t at = 0;   // of what it carries
  std::size_t end = 0;  // of the packet, as the header says
  bool is_fragment = false;
  bool is_later_fragment = false;
  std::optional<HopList> hops;
};

std::optional<Outer> read_outer(BytesView frame) {
  Outer outer;
  const BytesView ip = frame.subspan(kEthernetBytes);
  if (be16(frame, 12) == 0x0800 && ip.size() >= 20 && ip[0] >> 4 == 4 && (ip[0] & 15) >= 5) {
    outer.family = Family::ipv4;
    outer.source = IpAddress::from_v4(load<Be32>(&ip[12]));
    outer.destination = IpAddress::from_v4(load<Be32>(&ip[16]));
    outer.protocol = ip[9];
    outer.ecn = ip[1] & 3;
    outer.at = kEthernetBytes + (ip[0] & 15U) * std::size_t{4};
    outer.end = kEthernetBytes + be16(ip, 2);
    outer.is_fragment = (be16(ip, 6) & 0x3fff) != 0;
    outer.is_later_fragment = (be16(ip, 6) & 0x1fff) != 0;
    return outer;
  }
  if (be16(frame, 12) != 0x86dd || ip.size() < 40 || ip[0] >> 4 != 6) return std::nullopt;
  outer.family = Family::ipv6;
  outer.source = load<IpAddress>(&ip[8]);
  outer.destination = load<IpAddress>(&ip[24]);
  outer.protocol = ip[6];
  outer.ecn = ip[1] >> 4 & 3;
  outer.at = kEthernetBytes + 40;
  outer.end = outer.at + be16(ip, 4);
  if (outer.protocol != kFragment) return outer;
  if (ip.size() < 48) return std::nullopt;
  outer.protocol = ip[40];
  outer.at += 8;
  outer.is_fragment = true;
  outer.is_later_fragment = (be16(ip, 42) & 0xfff8) != 0;
  return outer;
}

bool is_encapsulated(BytesView frame, const Outer& outer, const bpf::DecapSettings& settings) {
  if (outer.protocol == kIpip || outer.protocol == kIpv6) return settings.ipip;
  if (outer.protocol == kGre) return settings.gre;
  return outer.protocol == kUdp && settings.gue_port != 0 && !outer.is_later_fragment && outer.at + 8 <= frame.size() &&
         be16(frame, outer.at + 2) == settings.gue_port;
}

Decapsulated drop(guideway_decap_counter reason) {
  return {reason, {}};
}

bool udp_checksum_is_right(BytesView frame, const Outer& outer, std::size_t udp_bytes) {
  const bool ipv4 = outer.family == Family::ipv4;
  const BytesView addresses = frame.subspan(kEthernetBytes + (ipv4 ? 12 : 8), ipv4 ? 8 : 32);
  std::uint64_t sum = ones_sum_of(addresses) + std::uint64_t{ones_sum_of(frame.subspan(outer.at, udp_bytes))};
  sum += kUdp + udp_bytes;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return sum == 0xffff;
}

// What GUE or GRE carries; opens `outer` up to the inner packet.
std::optional<guideway_decap_counter> open_gue(BytesView frame, Outer& outer) {
  if (outer.at + 12 > frame.size()) return GUIDEWAY_DECAP_MALFORMED;
  const std::size_t udp_bytes = be16(frame, outer.at + 4);
  if (udp_bytes < 12 || outer.at + udp_bytes > outer.end) return GUIDEWAY_DECAP_MALFORMED;
  if (be16(frame, outer.at + 6) != 0 && !udp_checksum_is_right(frame, outer, udp_bytes))
    return GUIDEWAY_DECAP_BAD_CHECKSUM;
  const BytesView gue = frame.subspan(outer.at + 8);
  outer.end = outer.at + udp_bytes;
  outer.at += 8;
  if (gue[0] >> 4 == 4 || gue[0] >> 4 == 6) {  // variant 1
    outer.protocol = gue[0] >> 4 == 4 ? kIpip : kIpv6;
    return std::nullopt;
  }
  if (gue[0] > 31 || gue[2] != 0 || gue[3] != 0) return GUIDEWAY_DECAP_UNSUPPORTED;
  outer.protocol = gue[1];
  outer.at += 4;
  const std::size_t words = gue[0];
  if (words > 0) {
    const HopListRead read = read_hop_list(frame, outer.at, words, outer.end, outer.family);
    if (read.problem) return read.problem;
    outer.hops = read.list;
    outer.at += 4 * words;
  }
  if (outer.protocol != kIpip && outer.protocol != kIpv6) return GUIDEWAY_DECAP_UNSUPPORTED;
  return std::nullopt;
}

std::optional<guideway_decap_counter> open_gre(BytesView frame, Outer& outer) {
  if (outer.at + 4 > outer.end) return GUIDEWAY_DECAP_MALFORMED;
  const std::size_t flags = be16(frame, outer.at), type = be16(frame, outer.at + 2);
  if ((flags & 0xfc07) != 0 || (type != 0x0800 && type != 0x86dd)) return GUIDEWAY_DECAP_UNSUPPORTED;
  outer.protocol = type == 0x0800 ? kIpip : kIpv6;
  outer.at += 4;
  return std::nullopt;
}

std::size_t inner_end(BytesView frame, const Outer& outer) {
  return outer.at + (outer.protocol == kIpip ? be16(frame, outer.at + 2) : 40 + be16(frame, outer.at + 4));
}

bool is_inner_sound(BytesView frame, const Outer& outer) {
  const BytesView inner = frame.subspan(outer.at);
  if (outer.protocol == kIpip)
    return inner.size() >= 20 && inner[0] >> 4 == 4 && (inner[0] & 15) >= 5 &&
           be16(inner, 2) >= (inner[0] & 15U) * std::size_t{4} && outer.at + be16(inner, 2) <= outer.end;
  return inner.size() >= 40 && inner[0] >> 4 == 6 && outer.at + 40 + be16(inner, 4) <= outer.end;
}

// RFC 6040, figure 4. Rows: inner; columns: outer; 4: drop.
// The fuzzer reads this section: so it keeps an input for each pair, in IPv4 and in IPv6, which no branch tells apart.
__attribute__((section("__libfuzzer_extra_counters"))) std::uint8_t seen_ecn[2][4][4];
constexpr unsigned kEcn[4][4] = {{0, 0, 0, 4}, {1, 1, 1, 3}, {2, 1, 2, 3}, {3, 3, 3, 3}};

void set_ecn(Bytes& packet, unsigned ecn) {
  if (packet[0] >> 4 == 6) {
    packet[1] = static_cast<std::uint8_t>((packet[1] & 0xcfU) | ecn << 4);
    return;
  }
  const std::size_t before = be16(packet, 0);
  packet[1] = static_cast<std::uint8_t>((packet[1] & 0xfcU) | ecn);
  if (be16(packet, 0) == before) return;
  std::size_t sum = (0xffff ^ be16(packet, 10)) + (0xffff ^ before) + be16(packet, 0);  // RFC 1624, equation 3
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  store(&packet[10], Be16::from_host(static_cast<std::uint16_t>(0xffff ^ sum)));
}

// Of a packet that is taken for ours.
guideway_decap_counter accepted_from(std::uint8_t carrier) {
  return carrier == kUdp ? GUIDEWAY_DECAP_GUE : carrier == kGre ? GUIDEWAY_DECAP_GRE : GUIDEWAY_DECAP_IPIP;
}

Decapsulated unpacked(BytesView frame, const Outer& outer, guideway_decap_counter counter) {
  Bytes packet(frame.begin() + static_cast<std::ptrdiff_t>(outer.at), frame.end());
  const unsigned inner_ecn = outer.protocol == kIpip ? packet[1] & 3U : packet[1] >> 4 & 3U;
  seen_ecn[outer.protocol == kIpip ? 0 : 1][inner_ecn][outer.ecn] = 1;
  const unsigned ecn = kEcn[inner_ecn][outer.ecn];
  if (ecn == 4) return drop(GUIDEWAY_DECAP_CONGESTION);
  set_ecn(packet, ecn);
  Bytes whole(frame.begin(), frame.begin() + kEthernetBytes);
  store(&whole[12], Be16::from_host(outer.protocol == kIpip ? 0x0800 : 0x86dd));
  whole.insert(whole.end(), packet.begin(), packet.end());
  return {counter, whole};
}

}  // namespace

Decapsulated decapsulate(BytesView frame, const bpf::DecapSettings& settings,
                         const std::vector<KnownGeneration>& known) {
  auto outer = read_outer(frame);
  // An IPv6 address that happens to be IPv4-mapped is none of IPv4.
  const auto is_mapped = [&](const IpAddress& address) { return outer->family == Family::ipv6 && address.is_v4(); };
  const auto covers_source = [&](const IpPrefix& prefix) {
    return !is_mapped(outer->source) && covers(prefix, outer->source);
  };
  if (!outer || !is_encapsulated(frame, *outer, settings) || is_mapped(outer->destination) ||
      std::ranges::find(settings.locals, outer->destination) == settings.locals.end())
    return {GUIDEWAY_DECAP_PASSED, {frame.begin(), frame.end()}};
  if (std::ranges::none_of(settings.sources, covers_source)) return drop(GUIDEWAY_DECAP_STRANGER);
  if (outer->end < outer->at || outer->end > frame.size()) return drop(GUIDEWAY_DECAP_MALFORMED);
  const BytesView header = frame.subspan(kEthernetBytes, outer->at - kEthernetBytes);
  if (outer->family == Family::ipv4 && ipv4_header_sum(header) != 0xffff) return drop(GUIDEWAY_DECAP_BAD_CHECKSUM);
  if (outer->is_fragment) return drop(GUIDEWAY_DECAP_FRAGMENT);

  const std::uint8_t carrier = outer->protocol;
  std::optional<guideway_decap_counter> problem;
  if (carrier == kUdp) problem = open_gue(frame, *outer);
  if (carrier == kGre) problem = open_gre(frame, *outer);
  if (problem) return drop(*problem);
  if (!is_inner_sound(frame, *outer)) return drop(GUIDEWAY_DECAP_MALFORMED);

  if (!outer->hops) return unpacked(frame, *outer, accepted_from(carrier));
  const Inner inner{.at = outer->at, .end = inner_end(frame, *outer), .is_ipv4 = outer->protocol == kIpip};
  const Chance chance = second_chance(frame, outer->family, *outer->hops, inner, settings, known);
  if (chance.counter < GUIDEWAY_DECAP_PASSED) return unpacked(frame, *outer, chance.counter);
  return {chance.counter, chance.passed_on};
}

}  // namespace guideway::fuzz
