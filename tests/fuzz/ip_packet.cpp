#include "tests/fuzz/ip_packet.h"

#include <algorithm>

namespace guideway::fuzz {
namespace {

constexpr std::uint8_t kIcmp = 1, kIcmp6 = 58;

std::uint16_t be16(BytesView bytes, std::size_t at) {
  return static_cast<std::uint16_t>(bytes[at] << 8 | bytes[at + 1]);
}

bool is_extension(std::uint8_t protocol) {
  return protocol == 0 || protocol == 43 || protocol == 44 || protocol == 60;
}

// 0: no IP.
std::size_t ip_offset(BytesView frame, std::uint16_t& type) {
  for (std::size_t at = 12; at + 2 <= frame.size() && at <= 20; at += 4) {
    type = be16(frame, at);
    if (type == 0x0800 || type == 0x86dd) return at + 2;
    if (type != 0x8100 && type != 0x88a8) return 0;
  }
  return 0;
}

std::optional<IpPacket> read_ipv4(BytesView frame, std::size_t at) {
  if (frame.size() < at + 20 || frame[at] >> 4 != 4) return std::nullopt;
  const std::size_t header_bytes = (frame[at] & 0xfU) * std::size_t{4};
  IpPacket packet;
  packet.at = at;
  packet.end = at + be16(frame, at + 2);
  if (header_bytes < 20 || packet.end < at + header_bytes || packet.end > frame.size()) return std::nullopt;
  packet.family = Family::ipv4;
  packet.source = IpAddress::from_v4(load<Be32>(&frame[at + 12]));
  packet.destination = IpAddress::from_v4(load<Be32>(&frame[at + 16]));
  packet.traffic_class = frame[at + 1];
  packet.protocol_named_at = at + 9;
  packet.protocol = frame[at + 9];
  packet.l4_at = at + header_bytes;
  packet.fragment_offset = (be16(frame, at + 6) & 0x1fffU) * std::size_t{8};
  packet.more_fragments = (frame[at + 6] & 0x20) != 0;
  return packet;
}

std::optional<IpPacket> read_ipv6(BytesView frame, std::size_t at) {
  if (frame.size() < at + 40 || frame[at] >> 4 != 6) return std::nullopt;
  IpPacket packet;
  packet.at = at;
  packet.end = at + 40 + be16(frame, at + 4);
  if (packet.end > frame.size()) return std::nullopt;
  packet.family = Family::ipv6;
  packet.source = load<IpAddress>(&frame[at + 8]);
  packet.destination = load<IpAddress>(&frame[at + 24]);
  packet.traffic_class = static_cast<std::uint8_t>(be16(frame, at) >> 4);
  packet.protocol_named_at = at + 6;
  packet.l4_at = at + 40;
  packet.protocol = frame[at + 6];
  while (is_extension(packet.protocol) && packet.fragment_offset == 0) {
    const std::size_t here = packet.l4_at;
    if (here + 8 > packet.end) return std::nullopt;
    const bool fragment = packet.protocol == 44;
    packet.l4_at += fragment ? 8 : 8 * (std::size_t{frame[here + 1]} + 1);
    if (packet.l4_at > packet.end) return std::nullopt;
    if (fragment) {
      packet.fragment_header_at = here;
      packet.fragment_offset = be16(frame, here + 2) & 0xfff8U;
      packet.more_fragments = packet.more_fragments || (frame[here + 3] & 1) != 0;
    }
    packet.protocol_named_at = here;
    packet.protocol = frame[here];
  }
  return packet;
}

std::uint16_t folded(std::uint64_t sum) {
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(sum);
}

void set_be16(Bytes& frame, std::size_t at, std::size_t value) {
  store(&frame[at], Be16::from_host(static_cast<std::uint16_t>(std::min<std::size_t>(value, 0xffff))));
}

}  // namespace

std::optional<IpPacket> read_ip(BytesView frame) {
  std::uint16_t type = 0;
  const std::size_t at = ip_offset(frame, type);
  if (at == 0) return std::nullopt;
  return type == 0x0800 ? read_ipv4(frame, at) : read_ipv6(frame, at);
}

std::uint32_t ones_sum_of(BytesView bytes) {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i + 1 < bytes.size(); i += 2) sum += be16(bytes, i);
  if (bytes.size() % 2 == 1) sum += std::uint64_t{bytes.back()} << 8;
  return folded(sum);
}

std::uint16_t l4_sum(BytesView frame, const IpPacket& packet) {
  std::uint64_t sum = ones_sum_of(frame.subspan(packet.l4_at, packet.l4_bytes()));
  if (packet.family == Family::ipv6)
    sum += ones_sum_of(frame.subspan(packet.at + 8, 32));
  else if (packet.protocol != kIcmp)
    sum += ones_sum_of(frame.subspan(packet.at + 12, 8));
  if (packet.family == Family::ipv6 || packet.protocol != kIcmp) sum += packet.protocol + packet.l4_bytes();
  return folded(sum);
}

std::uint16_t ipv4_header_sum(BytesView header) {
  return folded(ones_sum_of(header));
}

bool is_icmp_error(BytesView frame, const IpPacket& packet) {
  if (packet.fragment_offset != 0 || packet.l4_bytes() < 8) return false;
  const std::uint8_t type = frame[packet.l4_at];
  if (packet.family == Family::ipv4)
    return packet.protocol == kIcmp && (type == 3 || type == 4 || type == 5 || type == 11 || type == 12);
  return packet.protocol == kIcmp6 && type < 128;
}

void repair(Bytes& frame) {
  std::uint16_t type = 0;
  const std::size_t at = ip_offset(frame, type);
  if (at == 0) return;
  if (type == 0x0800 && frame.size() >= at + 20) set_be16(frame, at + 2, frame.size() - at);
  if (type == 0x86dd && frame.size() >= at + 40) set_be16(frame, at + 4, frame.size() - at - 40);
  const auto packet = read_ip(frame);
  const bool has_icmp = packet && !packet->is_fragment() && packet->l4_bytes() >= 8 &&
                        packet->protocol == (packet->family == Family::ipv4 ? kIcmp : kIcmp6);
  if (!has_icmp) return;
  set_be16(frame, packet->l4_at + 2, 0);
  set_be16(frame, packet->l4_at + 2, static_cast<std::uint16_t>(~l4_sum(frame, *packet)));
}

}  // namespace guideway::fuzz
