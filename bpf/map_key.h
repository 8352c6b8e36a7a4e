// Addresses and prefixes to keys of BPF maps (guideway/abi/ip_prefix.h) and back.
// Thread-safety: pure functions.
#pragma once

#include <algorithm>

#include "guideway/abi/ip_prefix.h"
#include "guideway/address.h"

namespace guideway::bpf {

inline constexpr guideway_present kPresent = 1;
inline constexpr std::uint32_t kKeyFamilyBits = 32;
inline constexpr std::uint32_t kKeyMappedBits = 96;  // in front of an IPv4 address in its IPv4-mapped form

inline guideway_address key_of(const IpAddress& address) {
  guideway_address key{.family = static_cast<std::uint32_t>(address.family()), .bytes = {}};
  std::ranges::copy(address.bytes, key.bytes);
  return key;
}

inline IpAddress address_of(const guideway_address& key) {
  IpAddress address;
  std::ranges::copy(key.bytes, address.bytes.begin());
  return address;
}

inline guideway_prefix key_of(const IpPrefix& prefix) {
  const std::uint32_t mapped_bits = prefix.address.is_v4() ? kKeyMappedBits : 0;
  return {.bits = kKeyFamilyBits + mapped_bits + prefix.bits, .address = key_of(prefix.address)};
}

inline IpPrefix prefix_of(const guideway_prefix& key) {
  const std::uint32_t mapped_bits = key.address.family == 4 ? kKeyMappedBits : 0;
  return {.address = address_of(key.address),
          .bits = static_cast<std::uint8_t>(key.bits - kKeyFamilyBits - mapped_bits)};
}

}  // namespace guideway::bpf
