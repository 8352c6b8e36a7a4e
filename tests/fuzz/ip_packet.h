// What a frame holds, read once more and plainly: the fuzz targets' own view, which shares no code with the packet
// path.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "guideway/address.h"
#include "guideway/wire.h"

namespace guideway::fuzz {

using Bytes = std::vector<std::uint8_t>;
using BytesView = std::span<const std::uint8_t>;

// Offsets are from the beginning of the frame.
struct IpPacket {
  std::size_t at = 0;  // of the IP header, behind at most two tags
  std::size_t end = 0;
  Family family = Family::none;
  IpAddress source;
  IpAddress destination;
  std::uint8_t traffic_class = 0;
  std::uint8_t protocol = 0;
  std::size_t protocol_named_at = 0;  // of the byte that says `protocol`
  std::size_t l4_at = 0;
  std::size_t fragment_header_at = 0;  // IPv6; 0: there is none
  std::size_t fragment_offset = 0;
  bool more_fragments = false;

  bool is_fragment() const { return fragment_offset != 0 || more_fragments; }
  std::size_t l4_bytes() const { return end - l4_at; }
  BytesView of(BytesView frame) const { return frame.subspan(at, end - at); }
};

// nullopt: no IP behind at most two tags, or one that contradicts itself.
std::optional<IpPacket> read_ip(BytesView frame);

// RFC 1071, in host order; an odd byte is the upper half of a word.
std::uint32_t ones_sum_of(BytesView bytes);
// Of the L4 part, pseudo header included where the protocol has one: 0xffff if its checksum is right.
std::uint16_t l4_sum(BytesView frame, const IpPacket& packet);
std::uint16_t ipv4_header_sum(BytesView header);  // 0xffff if right

bool is_icmp_error(BytesView frame, const IpPacket& packet);

// Makes lengths and the ICMP checksum right, as far as the frame has them: most packets of the fuzzer would end there.
void repair(Bytes& frame);

}  // namespace guideway::fuzz
