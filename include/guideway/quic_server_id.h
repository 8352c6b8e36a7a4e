// A connection ID → the server ID in it.
//
// QUIC-LB: draft-ietf-quic-load-balancers-21, sections 3 and 5. Katran: the layouts of its servers' connection IDs.
// docs/quic.md draws them all and has test vectors.
//
// Thread-safety: pure functions. REQUIRES of all of them: shapes that are_sound().
#pragma once

#include <array>
#include <bit>
#include <cstring>
#include <span>

#include "guideway/aes.h"
#include "guideway/byte_order.h"
#include "guideway/quic_tables.h"

namespace guideway {

// Katran's servers make connection IDs of 8 bytes, and it does not look at shorter ones.
inline constexpr std::uint32_t kKatranConnectionIdBytesMin = 8;

namespace detail {

constexpr Uint128 lower_bytes(std::uint32_t count) {
  return (Uint128{1} << 8 * count) - 1;
}

// One half of what the four passes encrypt. An odd length puts the byte in the middle into both halves: its upper four
// bits into the left, its lower four into the right one.
struct QuicHalf {
  std::uint32_t at;  // of its first byte in the body
  Uint128 mask;      // its bits

  static constexpr QuicHalf left(std::uint32_t body_bytes) {
    const Uint128 upper_bits = body_bytes % 2 != 0 ? Uint128{0xf0} << 8 * (body_bytes / 2) : 0;
    return {0, lower_bytes(body_bytes / 2) | upper_bits};
  }
  static constexpr QuicHalf right(std::uint32_t body_bytes) {
    const Uint128 not_its_own = body_bytes % 2 != 0 ? 0xf0 : 0;
    return {body_bytes / 2, lower_bytes((body_bytes + 1) / 2) & ~not_its_own};
  }
};

// Undoes pass `pass`, which mixed `other` into `half`, whose value is `value`.
inline Uint128 undo_pass(const aes::RoundKeys& keys, std::uint32_t body_bytes, std::uint32_t pass, Uint128 other,
                         const QuicHalf& half, Uint128 value) {
  const Uint128 expanded = other | Uint128{pass << 8 | body_bytes} << 112;
  return value ^ (aes::encrypt(keys, expanded) & half.mask);
}

// Section 5.5.2: a Feistel network of four rounds backwards. The first round is needed only for a server ID that
// reaches into the right half.
inline Uint128 decrypt_four_pass(const aes::RoundKeys& keys, QuicShape shape, const std::uint8_t* body) {
  const std::uint32_t bytes = shape.body_bytes();
  const QuicHalf left_half = QuicHalf::left(bytes);
  const QuicHalf right_half = QuicHalf::right(bytes);
  Uint128 left = load<Uint128>(body) & left_half.mask;
  Uint128 right = load<Uint128>(body + right_half.at) & right_half.mask;
  left = undo_pass(keys, bytes, 4, right, left_half, left);
  right = undo_pass(keys, bytes, 3, left, right_half, right);
  left = undo_pass(keys, bytes, 2, right, left_half, left);
  if (2U * shape.server_id_bytes > bytes) right = undo_pass(keys, bytes, 1, left, right_half, right);
  return left | right << 8 * right_half.at;
}

// Server ID and nonce, as far as a server ID can reach. Reads kQuicBodyReadBytes.
inline constexpr std::size_t kQuicBodyReadBytes = kQuicBodyBytesMax / 2 + sizeof(Uint128);
inline Uint128 decrypt_body(const aes::RoundKeys& keys, QuicShape shape, const std::uint8_t* body) {
  if (shape.kind == QuicLayoutKind::four_pass) return decrypt_four_pass(keys, shape, body);
  if (shape.kind == QuicLayoutKind::plain) return load<Uint128>(body);
  return aes::decrypt(keys, load<Uint128>(body));
}

inline QuicServerId quic_lb_server_id_in(const aes::RoundKeys& keys, QuicShape shape,
                                         std::span<const std::uint8_t> connection_id) {
  if (connection_id.size() < 1 + shape.body_bytes()) return {};
  const std::uint8_t* body = connection_id.data() + 1;
  std::array<std::uint8_t, kQuicBodyReadBytes> padded{};
  if (connection_id.size() < 1 + kQuicBodyReadBytes) {  // what follows may not be ours to read
    std::memcpy(padded.data(), body, connection_id.size() - 1);
    body = padded.data();
  }
  const Uint128 id = decrypt_body(keys, shape, body) & lower_bytes(shape.server_id_bytes);
  return std::bit_cast<QuicServerId>(id | Uint128{shape.server_id_bytes} << 8 * kQuicServerIdBytesMax);
}

inline QuicServerId katran_server_id_in(QuicLayoutKind kind, std::span<const std::uint8_t> connection_id) {
  if (connection_id.size() < kKatranConnectionIdBytesMin) return {};
  const std::uint64_t bits = load<Be64>(connection_id.data()).host();
  switch (kind) {
    case QuicLayoutKind::katran_16:
      return katran_server_id(static_cast<std::uint32_t>(bits >> 46 & 0xffff));
    case QuicLayoutKind::katran_24:
      return katran_server_id(static_cast<std::uint32_t>(bits >> 32 & 0xffffff));
    default:
      return katran_server_id(static_cast<std::uint32_t>(bits >> 24));
  }
}

}  // namespace detail

// The server ID in a connection ID, which may have further bytes behind it; none (size 0) if it is too short or of no
// layout that the pool has.
inline QuicServerId quic_server_id(const QuicView& quic, std::span<const std::uint8_t> connection_id) {
  if (connection_id.empty()) return {};
  const std::uint32_t layout = quic_layout_of(connection_id[0]);
  const QuicShape shape = quic.shapes[layout];
  switch (shape.kind) {
    case QuicLayoutKind::none:
      return {};
    case QuicLayoutKind::plain:
    case QuicLayoutKind::single_pass:
    case QuicLayoutKind::four_pass:
      return detail::quic_lb_server_id_in(quic.decoders->keys[layout], shape, connection_id);
    case QuicLayoutKind::katran_16:
    case QuicLayoutKind::katran_24:
    case QuicLayoutKind::katran_32:
      return detail::katran_server_id_in(shape.kind, connection_id);
  }
  return {};
}

}  // namespace guideway
