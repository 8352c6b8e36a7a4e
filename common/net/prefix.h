// Arithmetic of prefixes. Thread-safety: pure functions.
#pragma once

#include "guideway/address.h"

namespace guideway {

// The prefix of that length which holds `address`. REQUIRES: `bits` of its family.
IpPrefix prefix_of(const IpAddress& address, std::uint8_t bits);

bool contains(const IpPrefix& prefix, const IpAddress& address);
// One of the two holds the other.
bool overlap(const IpPrefix& a, const IpPrefix& b);

}  // namespace guideway
