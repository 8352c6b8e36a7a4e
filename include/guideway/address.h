// Addresses as values.
//
// IpAddress keeps either family in 16 bytes; an IPv4 address lies in them as RFC 4291, section 2.5.5.2 (IPv4-mapped)
// describes. That form is for storage only: an IPv6 packet whose address happens to be IPv4-mapped is never taken for
// IPv4, because the lookup keys carry the family of the packet (tables.h).
//
// Text conversion needs heap or libc and lives in common/net/address_text.h.
// Thread-safety: plain values.
#pragma once

#include <algorithm>
#include <array>
#include <compare>
#include <cstdint>

#include "guideway/byte_order.h"

namespace guideway {

enum class Family : std::uint8_t { none = 0, ipv4 = 4, ipv6 = 6 };

struct IpAddress {
  std::array<std::uint8_t, 16> bytes{};

  static constexpr IpAddress from_v4(Be32 address) {
    IpAddress ip;
    ip.bytes[10] = ip.bytes[11] = 0xff;
    const auto raw = std::bit_cast<std::array<std::uint8_t, 4>>(address);
    std::copy(raw.begin(), raw.end(), ip.bytes.begin() + 12);
    return ip;
  }
  constexpr bool is_v4() const {
    for (int i = 0; i < 10; i++)
      if (bytes[static_cast<std::size_t>(i)] != 0) return false;
    return bytes[10] == 0xff && bytes[11] == 0xff;
  }
  constexpr Family family() const { return is_v4() ? Family::ipv4 : Family::ipv6; }
  // REQUIRES: is_v4().
  constexpr Be32 v4() const { return std::bit_cast<Be32>(std::array{bytes[12], bytes[13], bytes[14], bytes[15]}); }
  friend constexpr auto operator<=>(const IpAddress&, const IpAddress&) = default;
};
static_assert(sizeof(IpAddress) == 16 && alignof(IpAddress) == 1);

// Addresses with the same first bits. `bits` counts in the family's own terms: 0 … 32, or 0 … 128; the bits behind them
// are 0 in `address`.
struct IpPrefix {
  IpAddress address;
  std::uint8_t bits = 0;

  static constexpr IpPrefix of(const IpAddress& address) {
    return {address, static_cast<std::uint8_t>(address.is_v4() ? 32 : 128)};
  }
  constexpr bool is_host() const { return bits == (address.is_v4() ? 32 : 128); }
  friend constexpr auto operator<=>(const IpPrefix&, const IpPrefix&) = default;
};

struct MacAddress {
  std::array<std::uint8_t, 6> bytes{};
  friend constexpr auto operator<=>(const MacAddress&, const MacAddress&) = default;
};
static_assert(sizeof(MacAddress) == 6 && alignof(MacAddress) == 1);

}  // namespace guideway
