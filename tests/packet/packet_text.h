// Packets as text: a line per header, from the outside in. tests/packet/README.md lists headers and fields.
//
//   eth src=02:00:00:00:00:0c dst=02:00:00:00:00:01
//   ipv4 src=198.51.100.7 dst=203.0.113.10 ttl=63
//   tcp sport=40000 dport=80 flags=S
//   payload 16
//
// What a line does not say is filled in as a sound sender would: lengths, checksums, the number of the next header. A
// field that is given is taken as it is, so that malformed packets can be written, too.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "tests/packet/packet_line.h"

namespace guideway::packet_text {

using Bytes = std::vector<std::uint8_t>;

// What "inner" may stand for: IP packets that came, by the name that the case gives them; "" is the last one.
using InnerPackets = std::map<std::string, Bytes>;

// Throws TextError.
Bytes build_packet(std::span<const Line> lines, const InnerPackets& inner = {});

}  // namespace guideway::packet_text
