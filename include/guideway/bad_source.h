// Sources that no packet for a VIP may have (docs/packet_policy.md, section 2).
//
// Thread-safety: pure functions.
#pragma once

#include <algorithm>
#include <array>
#include <bit>

#include "guideway/aes.h"
#include "guideway/byte_order.h"

namespace guideway {

// RFC 1122, section 3.2.1.3: this host, loopback, multicast and broadcast; RFC 3927, section 2.6.2: link-local.
struct AddressRange4 {
  std::uint32_t first, last;
};
inline constexpr std::array<AddressRange4, 5> kBadSources4{{{0x00000000, 0x00000000},
                                                            {0x7f000000, 0x7fffffff},
                                                            {0xa9fe0000, 0xa9feffff},
                                                            {0xe0000000, 0xefffffff},
                                                            {0xffffffff, 0xffffffff}}};

// By the first byte of an address: whether there is a bad one with it. One look tells that of nearly all packets.
inline constexpr std::array<std::uint64_t, 4> kMayBeBadSource4 = [] {
  std::array<std::uint64_t, 4> may_be_bad{};
  for (const AddressRange4& range : kBadSources4)
    for (std::uint32_t byte = range.first >> 24; byte <= range.last >> 24; byte++)
      may_be_bad[byte / 64] |= std::uint64_t{1} << (byte % 64);
  return may_be_bad;
}();

// An attacker's "land" packet has source and destination equal.
inline bool is_bad_source(Be32 source, Be32 destination) {
  const std::uint32_t address = source.host();
  const std::uint32_t byte = address >> 24;
  const bool may_be_bad = (kMayBeBadSource4[byte / 64] >> (byte % 64) & 1) != 0;
  const auto has_it = [address](const AddressRange4& range) { return range.first <= address && address <= range.last; };
  return source == destination || (may_be_bad && std::ranges::any_of(kBadSources4, has_it));
}

// RFC 4291, sections 2.5.2, 2.5.3, 2.5.6 and 2.7.
inline bool is_bad_source(const Block16& source, const Block16& destination) {
  const auto halves = std::bit_cast<std::array<Be64, 2>>(source);
  const std::uint64_t high = halves[0].host();
  if (high == 0 && halves[1].host() <= 1) return true;  // :: and ::1
  return high >> 56 == 0xff || high >> 54 == 0xfe80U >> 6 || source == destination;
}

}  // namespace guideway
