#include "common/net/prefix.h"

namespace guideway {

IpPrefix prefix_of(const IpAddress& address, std::uint8_t bits) {
  IpPrefix prefix{address, bits};
  for (std::size_t bit = (address.is_v4() ? 96U : 0U) + bits; bit < 128; bit++)
    prefix.address.bytes[bit / 8] = static_cast<std::uint8_t>(prefix.address.bytes[bit / 8] & ~(0x80U >> bit % 8));
  return prefix;
}

bool contains(const IpPrefix& prefix, const IpAddress& address) {
  return prefix.address.family() == address.family() && prefix_of(address, prefix.bits) == prefix;
}

bool overlap(const IpPrefix& a, const IpPrefix& b) {
  return a.bits <= b.bits ? contains(a, b.address) : contains(b, a.address);
}

}  // namespace guideway
