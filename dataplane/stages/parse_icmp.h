// ICMP as far as parse looks into it: echo requests, and which flow an error quotes.
// Thread-safety: pure function.
#pragma once

#include "dataplane/batch.h"

namespace guideway {

// REQUIRES: ICMP in IPv4 or ICMPv6 in IPv6; l3 and l4 offsets and l3_bytes are set. Sets kind, or reason; for an error
// `protocol` and `ports` become those of the flow that is quoted, from the client's side.
void parse_icmp(Packet& packet);

// Where the packet that an error quotes begins (RFC 792; RFC 4443, section 3: all errors have 8 bytes in front).
inline const std::uint8_t* quoted_packet(const Packet& packet) {
  return packet.l4() + sizeof(IcmpHeader);
}

}  // namespace guideway
