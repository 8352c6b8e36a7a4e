// How a pool's QUIC connection IDs name its backends, as it lies in the tables region: a quic object (tables.h).
//
//   ObjectHeader │ QuicDecoders: shapes, keys │ QuicServerEntry[], a power of two: server ID → backend
//
// The top three bits of a connection ID say which of eight layouts it has. docs/quic.md draws them.
// quic_server_id.h and quic_route.h read it.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "guideway/aes.h"
#include "guideway/byte_order.h"
#include "guideway/units.h"

namespace guideway {

enum class QuicLayoutKind : std::uint8_t {
  none = 0,         // such a connection ID names nobody
  plain = 1,        // QUIC-LB, not encrypted
  single_pass = 2,  // QUIC-LB, encrypted as one block: server ID and nonce have 16 bytes
  four_pass = 3,    // QUIC-LB, encrypted, of other sizes
  katran_16 = 4,    // Katran version 1: 16 bits
  katran_24 = 5,    // version 2
  katran_32 = 6,    // version 3
};

inline constexpr std::uint32_t kQuicServerIdBytesMax = 15;
inline constexpr std::uint32_t kQuicNonceBytesMin = 4;
inline constexpr std::uint32_t kQuicBodyBytesMax = 19;  // server ID and nonce: all but the first byte of 20

// What one value of the top three bits means.
struct QuicShape {
  QuicLayoutKind kind = QuicLayoutKind::none;
  std::uint8_t server_id_bytes = 0;  // QUIC-LB; else 0
  std::uint8_t nonce_bytes = 0;      // QUIC-LB; else 0
  std::uint8_t reserved = 0;

  constexpr std::uint32_t body_bytes() const { return std::uint32_t{server_id_bytes} + nonce_bytes; }
  friend constexpr bool operator==(const QuicShape&, const QuicShape&) = default;
};
static_assert(sizeof(QuicShape) == 4 && offsetof(QuicShape, nonce_bytes) == 2);

constexpr std::uint32_t quic_layout_of(std::uint8_t first_byte) {
  return first_byte >> 5;
}
inline constexpr std::size_t kQuicLayoutsMax = 8;
using QuicShapes = std::array<QuicShape, kQuicLayoutsMax>;

// As configured: the shapes with the secrets of those that are encrypted.
struct QuicLayout {
  QuicShape shape;
  Block16 secret{};
  friend constexpr bool operator==(const QuicLayout&, const QuicLayout&) = default;
};
using QuicLayouts = std::array<QuicLayout, kQuicLayoutsMax>;

// Katran looks at the top two bits; 0 is no version.
inline constexpr QuicLayouts kKatranLayouts = [] {
  QuicLayouts layouts{};
  layouts[0b010].shape.kind = layouts[0b011].shape.kind = QuicLayoutKind::katran_16;
  layouts[0b100].shape.kind = layouts[0b101].shape.kind = QuicLayoutKind::katran_24;
  layouts[0b110].shape.kind = layouts[0b111].shape.kind = QuicLayoutKind::katran_32;
  return layouts;
}();

// As published.
struct QuicDecoders {
  QuicShapes shapes;
  std::uint8_t spare[32];
  // single_pass: of the decryption; four_pass: of the encryption, which undoes itself; else zeros.
  std::array<aes::RoundKeys, kQuicLayoutsMax> keys;
};
static_assert(sizeof(QuicDecoders) == 1472 && offsetof(QuicDecoders, keys) == 64);

// A server ID, whatever the layout that carried it; those of Katran are 4 bytes in network byte order.
struct QuicServerId {
  std::array<std::uint8_t, kQuicServerIdBytesMax> bytes{};  // zeros behind
  std::uint8_t size_bytes = 0;                              // 0: none
  friend constexpr auto operator<=>(const QuicServerId&, const QuicServerId&) = default;
  // As numbers: compared byte by byte, g++ 12 calls memcmp().
  friend constexpr bool operator==(const QuicServerId& a, const QuicServerId& b) {
    return std::bit_cast<Uint128>(a) == std::bit_cast<Uint128>(b);
  }
};
static_assert(sizeof(QuicServerId) == 16 && alignof(QuicServerId) == 1);

constexpr QuicServerId katran_server_id(std::uint32_t number) {
  QuicServerId id;
  for (unsigned i = 0; i < 4; i++) id.bytes[i] = static_cast<std::uint8_t>(number >> (24 - 8 * i));
  id.size_bytes = 4;
  return id;
}

// Open addressing, linear probing, at most half full.
struct QuicServerEntry {
  QuicServerId key;  // size_bytes 0: the entry is free
  BackendId backend{};
  std::uint8_t spare[14]{};
};
static_assert(sizeof(QuicServerEntry) == 32 && offsetof(QuicServerEntry, backend) == 16);

// What is fit to be used: quic_server_id.h relies on it.
constexpr bool is_sound(QuicShape shape) {
  const bool sizes = shape.server_id_bytes >= 1 && shape.server_id_bytes <= kQuicServerIdBytesMax &&
                     shape.nonce_bytes >= kQuicNonceBytesMin && shape.body_bytes() <= kQuicBodyBytesMax;
  switch (shape.kind) {
    case QuicLayoutKind::plain:
      return sizes;
    case QuicLayoutKind::single_pass:
      return sizes && shape.body_bytes() == sizeof(Block16);
    case QuicLayoutKind::four_pass:
      return sizes && shape.body_bytes() != sizeof(Block16);
    case QuicLayoutKind::none:
    case QuicLayoutKind::katran_16:
    case QuicLayoutKind::katran_24:
    case QuicLayoutKind::katran_32:
      return shape.body_bytes() == 0;
  }
  return false;
}
constexpr bool are_sound(const QuicShapes& shapes) {
  for (const QuicShape shape : shapes)
    if (!is_sound(shape)) return false;
  return true;
}

// A quic object that open_generation() has found sound. What bounds the lookups lies here, out of the writer's reach.
struct QuicView {
  const QuicServerEntry* entries = nullptr;
  std::uint32_t mask = 0;
  std::uint32_t probes = 0;
  const QuicDecoders* decoders = nullptr;  // for the keys
  QuicShapes shapes{};
};

}  // namespace guideway
