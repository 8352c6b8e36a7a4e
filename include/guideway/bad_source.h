// Sources that no packet for a VIP may have (docs/packet_policy.md, section 2).
//
// Thread-safety: pure functions.
#pragma once

#include <array>
#include <bit>

#include "guideway/aes.h"
#include "guideway/byte_order.h"

namespace guideway {

// RFC 1122, section 3.2.1.3, and RFC 3927, section 2.6.2; an attacker's "land" packet has source and destination equal.
inline bool is_bad_source(Be32 source, Be32 destination) {
  const std::uint32_t address = source.host();
  const std::uint32_t first = address >> 24;
  return address == 0 || first == 127 || (first >= 224 && first < 240) || address == 0xffffffff ||
         address >> 16 == (169U << 8 | 254U) || source == destination;
}

// RFC 4291, sections 2.5.2, 2.5.3, 2.5.6 and 2.7.
inline bool is_bad_source(const Block16& source, const Block16& destination) {
  const auto halves = std::bit_cast<std::array<Be64, 2>>(source);
  const std::uint64_t high = halves[0].host();
  if (high == 0 && halves[1].host() <= 1) return true;  // :: and ::1
  return high >> 56 == 0xff || high >> 54 == 0xfe80U >> 6 || source == destination;
}

}  // namespace guideway
