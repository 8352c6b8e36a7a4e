// Bytes of BGP messages written by hand from the RFCs, for the tests of this directory.
#pragma once

#include <string>
#include <string_view>

#include "common/net/address_text.h"
#include "dataplane/announce/bgp_message.h"

namespace guideway::bgp {

// "ff 00 1d" → bytes; spaces are for the reader.
inline Bytes hex(std::string_view text) {
  Bytes bytes;
  std::string digits;
  for (const char c : text) {
    if (c == ' ') continue;
    digits += c;
    if (digits.size() < 2) continue;
    bytes.push_back(static_cast<std::uint8_t>(std::stoi(digits, nullptr, 16)));
    digits.clear();
  }
  return bytes;
}

inline Bytes operator+(Bytes a, const Bytes& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

inline const Bytes kMarker = hex("ffffffff ffffffff ffffffff ffffffff");
// AS 65001, hold time 3 s, router id 10.255.0.1; multiprotocol IPv4 and IPv6 unicast, route refresh, 4-octet AS.
inline const Bytes kPeerOpen = kMarker + hex("0033 01 04 fde9 0003 0aff0001 16 02 14"
                                             "01 04 0001 00 01  01 04 0002 00 01  02 00  41 04 0000fde9");
inline const Bytes kKeepalive = kMarker + hex("0013 04");
inline const Bytes kRefreshIpv4 = kMarker + hex("0017 05 0001 00 01");
inline const Bytes kRefreshIpv6 = kMarker + hex("0017 05 0002 00 01");
// A route of the peer: 198.51.100.0/24, next hop 192.0.2.9.
inline const Bytes kPeerUpdate = kMarker + hex("0030 02 0000 0015 40 01 01 00  40 02 00  40 03 04 c0000209"
                                               "40 05 04 00000064 18 c63364");

inline IpAddress ip(std::string_view text) {
  return parse_ip(text).value();
}
inline IpPrefix prefix(std::string_view text) {
  std::string why;
  return parse_prefix(text, why).value();
}

}  // namespace guideway::bgp
