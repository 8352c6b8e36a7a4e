// The Internet checksum (RFC 1071), summed in the byte order of memory: its result is stored as it is.
// Thread-safety: pure functions.
#pragma once

#include <cstdint>

#include "guideway/byte_order.h"
#include "guideway/wire.h"

namespace guideway {

constexpr std::uint16_t fold(std::uint64_t sum) {
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(sum);
}

// Unfolded; less than 2^35.
inline std::uint64_t ones_sum(const std::uint8_t* bytes, std::uint32_t count) {
  Uint128 sums[2]{};  // two, so that one addition does not wait for the other
  for (; count >= 16; bytes += 16, count -= 16) {
    sums[0] += load<std::uint64_t>(bytes);
    sums[1] += load<std::uint64_t>(bytes + 8);
  }
  const auto halves = [](Uint128 sum) {
    const auto low = static_cast<std::uint64_t>(sum);
    return (low & 0xffffffff) + (low >> 32) + static_cast<std::uint64_t>(sum >> 64);
  };
  std::uint64_t sum = halves(sums[0]) + halves(sums[1]);
  for (; count >= 4; bytes += 4, count -= 4) sum += load<std::uint32_t>(bytes);
  if (count >= 2) {
    sum += load<std::uint16_t>(bytes);
    bytes += 2;
    count -= 2;
  }
  return count == 1 ? sum + *bytes : sum;
}

constexpr std::uint16_t checksum_of(std::uint64_t sum) {
  return static_cast<std::uint16_t>(~fold(sum));
}

// Of at most 2^16 words of 16 bits, such as a header has.
constexpr std::uint16_t header_checksum_of(std::uint32_t sum) {
  sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~(sum + (sum >> 16)));
}

// What the pseudo header adds (RFC 9293, section 3.1; RFC 8200, section 8.1), of the addresses as they lie in the IP
// header. REQUIRES: 8 or 32 bytes at `addresses`.
inline std::uint64_t pseudo_sum(const std::uint8_t* addresses, Family family, std::uint32_t l4_bytes,
                                IpProto protocol) {
  return ones_sum(addresses, family == Family::ipv4 ? 8 : 32) + Be32::from_host(l4_bytes).raw() +
         Be16::from_host(static_cast<std::uint16_t>(protocol)).raw();
}

}  // namespace guideway
