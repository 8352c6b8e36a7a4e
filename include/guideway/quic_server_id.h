// A connection ID → the server ID in it.
//
// QUIC-LB: draft-ietf-quic-load-balancers-21, sections 3 and 5. Katran: the layouts of its servers' connection IDs.
// docs/quic.md draws them all and has test vectors.
//
// Thread-safety: pure functions. REQUIRES of all of them: shapes that are_sound().
#pragma once

#include <algorithm>
#include <array>
#include <cstring>
#include <span>

#include "guideway/aes.h"
#include "guideway/byte_order.h"
#include "guideway/quic_tables.h"

namespace guideway {

// Katran's servers make connection IDs of 8 bytes, and it does not look at shorter ones.
inline constexpr std::uint32_t kKatranConnectionIdBytesMin = 8;

namespace detail {

// Which bytes of a block belong to one half of what the four passes encrypt. An odd length puts the byte in the middle
// into both halves: its upper four bits into the left, its lower four into the right one.
struct QuicHalf {
  std::uint32_t at;  // of its first byte in the body
  Block16 mask{};

  static constexpr QuicHalf left(std::uint32_t body_bytes) {
    QuicHalf half{0, mask_of(body_bytes)};
    if (body_bytes % 2 != 0) half.mask[body_bytes / 2] = 0xf0;
    return half;
  }
  static constexpr QuicHalf right(std::uint32_t body_bytes) {
    QuicHalf half{body_bytes / 2, mask_of(body_bytes)};
    if (body_bytes % 2 != 0) half.mask[0] = 0x0f;
    return half;
  }

 private:
  static constexpr Block16 mask_of(std::uint32_t body_bytes) {
    Block16 mask{};
    std::fill_n(mask.begin(), (body_bytes + 1) / 2, std::uint8_t{0xff});
    return mask;
  }
};

using QuicBody = std::array<std::uint8_t, 32>;  // 19 bytes of server ID and nonce; a half may be read as a block

inline Block16 masked(const Block16& block, const Block16& mask) {
  Block16 out{};
  for (std::size_t i = 0; i < out.size(); i++) out[i] = static_cast<std::uint8_t>(block[i] & mask[i]);
  return out;
}

// Undoes pass `pass`, which mixed `other` into `half`.
inline void undo_pass(const aes::RoundKeys& keys, std::uint32_t body_bytes, std::uint8_t pass, const Block16& other,
                      const QuicHalf& half, Block16& value) {
  Block16 expanded = other;
  expanded[14] = static_cast<std::uint8_t>(body_bytes);
  expanded[15] = pass;
  value = aes::exclusive_or(value, masked(aes::encrypt(keys, expanded), half.mask));
}

// Section 5.5.2: a Feistel network of four rounds backwards. The first round is needed only for a server ID that
// reaches into the right half.
inline QuicBody decrypt_four_pass(const aes::RoundKeys& keys, QuicShape shape, const QuicBody& body) {
  const std::uint32_t bytes = shape.body_bytes();
  const QuicHalf left_half = QuicHalf::left(bytes);
  const QuicHalf right_half = QuicHalf::right(bytes);
  Block16 left = masked(load<Block16>(body.data()), left_half.mask);
  Block16 right = masked(load<Block16>(body.data() + right_half.at), right_half.mask);
  undo_pass(keys, bytes, 4, right, left_half, left);
  undo_pass(keys, bytes, 3, left, right_half, right);
  undo_pass(keys, bytes, 2, right, left_half, left);
  if (2U * shape.server_id_bytes > bytes) undo_pass(keys, bytes, 1, left, right_half, right);
  QuicBody plain{};
  store(plain.data(), left);
  for (std::size_t i = 0; i < right.size(); i++)
    plain[right_half.at + i] = static_cast<std::uint8_t>(plain[right_half.at + i] | right[i]);
  return plain;
}

inline QuicBody decrypt_body(const aes::RoundKeys& keys, QuicShape shape, const QuicBody& body) {
  if (shape.kind == QuicLayoutKind::four_pass) return decrypt_four_pass(keys, shape, body);
  if (shape.kind == QuicLayoutKind::plain) return body;
  QuicBody plain{};
  store(plain.data(), aes::decrypt(keys, load<Block16>(body.data())));
  return plain;
}

inline QuicServerId quic_lb_server_id_in(const aes::RoundKeys& keys, QuicShape shape,
                                         std::span<const std::uint8_t> connection_id) {
  if (connection_id.size() < 1 + shape.body_bytes()) return {};
  QuicBody body{};
  std::memcpy(body.data(), connection_id.data() + 1, shape.body_bytes());
  const QuicBody plain = decrypt_body(keys, shape, body);
  QuicServerId id;
  id.size_bytes = shape.server_id_bytes;
  std::memcpy(id.bytes.data(), plain.data(), shape.server_id_bytes);
  return id;
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
