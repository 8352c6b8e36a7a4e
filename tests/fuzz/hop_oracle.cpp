#include "tests/fuzz/hop_oracle.h"

#include <algorithm>

namespace guideway::fuzz {
namespace {

constexpr std::size_t kIpAt = 14;
constexpr std::uint8_t kTcp = 6, kIcmp = 1, kIcmp6 = 58;

std::size_t be16(BytesView bytes, std::size_t at) {
  return static_cast<std::size_t>(bytes[at] << 8 | bytes[at + 1]);
}

std::size_t hop_bytes_of(Family outer) {
  return outer == Family::ipv4 ? 4 : 16;
}

IpAddress address_at(BytesView frame, std::size_t at, Family family) {
  return family == Family::ipv4 ? IpAddress::from_v4(load<Be32>(&frame[at])) : load<IpAddress>(&frame[at]);
}

enum class Kind { other, syn, segment, error };

// Whether a quoted packet names both ports of a TCP connection.
bool quotes_tcp(BytesView packet, bool is_ipv4) {
  if (!is_ipv4) return packet.size() >= 44 && packet[0] >> 4 == 6 && packet[6] == kTcp;
  if (packet.size() < 20 || packet[0] >> 4 != 4 || (packet[0] & 15) < 5) return false;
  return packet[9] == kTcp && (be16(packet, 6) & 0x1fff) == 0 &&
         packet.size() >= (packet[0] & 15U) * std::size_t{4} + 4;
}

Kind kind_of(BytesView frame, const Inner& inner) {
  const BytesView packet = frame.subspan(inner.at, inner.end - inner.at);
  if (inner.is_ipv4 && (be16(packet, 6) & 0x3fff) != 0) return Kind::other;
  const std::size_t l4_at = inner.is_ipv4 ? (packet[0] & 15U) * std::size_t{4} : 40;
  const std::uint8_t protocol = packet[inner.is_ipv4 ? 9 : 6];
  const BytesView l4 = packet.subspan(l4_at);
  if (protocol == kTcp && l4.size() >= 20) return (l4[13] & 0x12) == 0x02 ? Kind::syn : Kind::segment;
  if (protocol != (inner.is_ipv4 ? kIcmp : kIcmp6) || l4.size() < 8) return Kind::other;
  const bool is_error = inner.is_ipv4 ? l4[0] == 3 || l4[0] == 11 || l4[0] == 12 : l4[0] >= 1 && l4[0] <= 4;
  return is_error && quotes_tcp(l4.subspan(8), inner.is_ipv4) ? Kind::error : Kind::other;
}

bool is_old(BytesView frame, Family outer, const HopList& list, const std::vector<KnownGeneration>& known) {
  const IpAddress source = address_at(frame, kIpAt + (outer == Family::ipv4 ? 12 : 8), outer);
  const auto same = std::ranges::find(known, source, &KnownGeneration::source);
  if (same == known.end() || !list.generation) return false;
  const std::uint32_t behind = same->generation - *list.generation;
  return behind > 0 && behind < 0x80000000;
}

bool is_backend(const IpAddress& hop, Family outer) {
  if (outer == Family::ipv4) return hop.bytes[12] != 0 && hop.bytes[12] != 127 && hop.bytes[12] < 224;
  const bool is_link_local = hop.bytes[0] == 0xfe && (hop.bytes[1] & 0xc0) == 0x80;
  return hop.bytes[0] != 0 && hop.bytes[0] != 0xff && !is_link_local;
}

// In a checksum: what is summed goes from one value to another.
struct Update {
  std::uint64_t sum = 0;
  void replace(BytesView before, BytesView after) { sum += (0xffff ^ ones_sum_of(before)) + ones_sum_of(after); }
  std::uint16_t of(std::size_t checksum) const {  // RFC 1624, equation 3
    std::uint64_t folded = sum + (0xffff ^ checksum);
    while (folded > 0xffff) folded = (folded & 0xffff) + (folded >> 16);
    return static_cast<std::uint16_t>(0xffff ^ folded);
  }
};

Bytes rewritten(BytesView before, Family outer, const HopList& list, std::size_t hop_at) {
  Bytes frame(before.begin(), before.end());
  const bool is_ipv4 = outer == Family::ipv4;
  const std::size_t destination_at = kIpAt + (is_ipv4 ? 16 : 24), udp_checksum_at = list.at - 6;
  std::swap_ranges(frame.begin(), frame.begin() + 6, frame.begin() + 6);
  std::copy_n(before.begin() + static_cast<std::ptrdiff_t>(hop_at), hop_bytes_of(outer),
              frame.begin() + static_cast<std::ptrdiff_t>(destination_at));
  frame[kIpAt + (is_ipv4 ? 8 : 7)]--;
  frame[list.at + 2]++;
  const auto part = [](BytesView of, std::size_t at, std::size_t bytes) { return of.subspan(at, bytes); };
  Update destination;
  destination.replace(part(before, destination_at, hop_bytes_of(outer)),
                      part(frame, destination_at, hop_bytes_of(outer)));
  if (is_ipv4) {
    Update header = destination;
    header.replace(part(before, kIpAt + 8, 2), part(frame, kIpAt + 8, 2));
    store(&frame[kIpAt + 10], Be16::from_host(header.of(be16(before, kIpAt + 10))));
  }
  if (be16(before, udp_checksum_at) != 0) {
    Update datagram = destination;
    datagram.replace(part(before, list.at + 2, 2), part(frame, list.at + 2, 2));
    const std::uint16_t checksum = datagram.of(be16(before, udp_checksum_at));
    store(&frame[udp_checksum_at], Be16::from_host(checksum == 0 ? 0xffff : checksum));
  }
  return frame;
}

}  // namespace

HopListRead read_hop_list(BytesView frame, std::size_t at, std::size_t words, std::size_t end, Family outer) {
  HopListRead read;
  read.problem = GUIDEWAY_DECAP_MALFORMED;
  if (at + 4 * words > end) return read;
  const std::size_t type = be16(frame, at);
  if (type != (outer == Family::ipv4 ? 0U : 1U)) {
    read.problem = GUIDEWAY_DECAP_UNSUPPORTED;
    return read;
  }
  read.list = {.at = at, .next = frame[at + 2], .count = frame[at + 3], .generation = {}};
  const std::size_t bytes = 4 + read.list.count * hop_bytes_of(outer);
  if (read.list.next > read.list.count || (4 * words != bytes && 4 * words != bytes + 4)) return read;
  if (4 * words == bytes + 4) read.list.generation = load<Be32>(&frame[at + bytes]).host();
  read.problem.reset();
  return read;
}

Chance second_chance(BytesView frame, Family outer, const HopList& list, const Inner& inner,
                     const bpf::DecapSettings& settings, const std::vector<KnownGeneration>& known) {
  const Kind kind = kind_of(frame, inner);
  if (!settings.second_chance || kind == Kind::other) return {GUIDEWAY_DECAP_ACCEPTED_OTHER, {}};
  if (kind == Kind::syn) return {GUIDEWAY_DECAP_ACCEPTED_SYN, {}};
  const std::size_t hop_at = list.at + 4 + list.next * hop_bytes_of(outer);
  if (list.next < list.count) {
    const IpAddress hop = address_at(frame, hop_at, outer);
    const bool is_mapped = outer == Family::ipv6 && hop.is_v4();  // none of IPv4
    if (is_mapped || std::ranges::find(settings.locals, hop) == settings.locals.end()) {
      if (!is_backend(hop, outer) || (frame[0] & 1) != 0) return {GUIDEWAY_DECAP_MALFORMED, {}};
      if (frame[kIpAt + (outer == Family::ipv4 ? 8 : 7)] <= 1) return {GUIDEWAY_DECAP_HOP_EXPIRED, {}};
      return {GUIDEWAY_DECAP_HOP_REFLECTED, rewritten(frame, outer, list, hop_at)};
    }
  }
  if (kind == Kind::segment && is_old(frame, outer, list, known)) return {GUIDEWAY_DECAP_HOP_STALE, {}};
  return {GUIDEWAY_DECAP_ACCEPTED_LAST, {}};
}

}  // namespace guideway::fuzz
