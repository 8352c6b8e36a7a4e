// The start of a QUIC packet: does it begin a flow, or does it carry a connection ID that a server chose?
//
//   long header    1 v v v v v v v │ version (4) │ length n (1) │ destination connection ID (n) │ …
//   short header   0 v v v v v v v │ destination connection ID, whose length only its maker knows │ …
//
// These fields are in all versions (RFC 8999, section 5); v depends on the version. Of versions 1 (RFC 9000, section
// 17.2) and 2 (RFC 9369, section 3.2) we know which packets still carry a connection ID that the client made up:
// Initial and 0-RTT. Of other versions we do not.
//
// Thread-safety: pure functions.
#pragma once

#include <cstdint>
#include <span>

#include "guideway/byte_order.h"

namespace guideway {

inline constexpr std::uint32_t kQuicVersion1 = 0x00000001;
inline constexpr std::uint32_t kQuicVersion2 = 0x6b3343cf;
inline constexpr std::size_t kQuicConnectionIdBytesMax = 20;  // RFC 9000, section 17.2

enum class QuicPacketKind : std::uint8_t {
  malformed,     // it ends before its connection ID does, or says more than a connection ID can have
  new_flow,      // the connection ID may be the client's
  long_header,   // the connection ID is the server's, and whole
  short_header,  // it begins with the server's connection ID; where that ends is not written
};

struct QuicPacket {
  QuicPacketKind kind = QuicPacketKind::malformed;
  std::span<const std::uint8_t> connection_id;  // short_header: all that follows the first byte
};

namespace detail {

// Bits 4 and 5 of a long header's first byte.
constexpr bool is_initial_or_0rtt(std::uint32_t version, std::uint8_t type) {
  return version == kQuicVersion1 ? type == 0 || type == 1 : type == 1 || type == 2;
}

inline QuicPacket read_long_header(std::span<const std::uint8_t> payload) {
  constexpr std::size_t kVersionAt = 1;
  constexpr std::size_t kLengthAt = 5;
  constexpr std::size_t kConnectionIdAt = 6;
  if (payload.size() < kVersionAt + sizeof(Be32)) return {};
  const std::uint32_t version = load<Be32>(payload.data() + kVersionAt).host();
  if (version != kQuicVersion1 && version != kQuicVersion2) return {QuicPacketKind::new_flow, {}};
  if (is_initial_or_0rtt(version, payload[0] >> 4 & 3)) return {QuicPacketKind::new_flow, {}};
  if (payload.size() < kConnectionIdAt) return {};
  const std::size_t bytes = payload[kLengthAt];
  if (bytes > kQuicConnectionIdBytesMax || bytes > payload.size() - kConnectionIdAt) return {};
  return {QuicPacketKind::long_header, payload.subspan(kConnectionIdAt, bytes)};
}

}  // namespace detail

// Of the payload of a UDP packet, or of its beginning.
inline QuicPacket read_quic_packet(std::span<const std::uint8_t> payload) {
  if (payload.empty()) return {};
  if ((payload[0] & 0x80) != 0) return detail::read_long_header(payload);
  return {QuicPacketKind::short_header, payload.subspan(1)};
}

}  // namespace guideway
