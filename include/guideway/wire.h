// Headers as they lie on the wire. Each struct is followed by its size; all have alignment 1, so they may be read with
// load<T>() at any offset.
#pragma once

#include <cstdint>

#include "guideway/address.h"
#include "guideway/byte_order.h"

namespace guideway {

enum class EtherType : std::uint16_t {
  ipv4 = 0x0800,
  arp = 0x0806,
  vlan = 0x8100,  // IEEE 802.1Q
  ipv6 = 0x86dd,
  qinq = 0x88a8,  // IEEE 802.1ad
};

enum class IpProto : std::uint8_t {
  hop_by_hop = 0,
  icmp = 1,
  ipip = 4,  // RFC 2003
  tcp = 6,
  udp = 17,
  ipv6 = 41,  // RFC 2473
  routing = 43,
  fragment = 44,
  gre = 47,
  esp = 50,
  ah = 51,
  icmpv6 = 58,
  none = 59,
  destination_options = 60,
};

struct EthernetHeader {
  MacAddress destination;
  MacAddress source;
  Be16 ether_type;
};
static_assert(sizeof(EthernetHeader) == 14);

struct VlanTag {  // IEEE 802.1Q, section 9.6, behind the EtherType that announces it
  Be16 control;
  Be16 ether_type;
};
static_assert(sizeof(VlanTag) == 4);
inline constexpr std::uint16_t kVlanIdMask = 0x0fff;

struct Ipv4Header {  // RFC 791, section 3.1
  std::uint8_t version_ihl;
  std::uint8_t tos;
  Be16 total_length;
  Be16 id;
  Be16 flags_fragment;
  std::uint8_t ttl;
  std::uint8_t protocol;
  Be16 checksum;
  Be32 source;
  Be32 destination;
};
static_assert(sizeof(Ipv4Header) == 20);
inline constexpr std::uint16_t kIpv4DontFragment = 0x4000;
inline constexpr std::uint16_t kIpv4MoreFragments = 0x2000;
inline constexpr std::uint16_t kIpv4FragmentOffsetMask = 0x1fff;

struct Ipv6Header {  // RFC 8200, section 3
  Be32 version_class_label;
  Be16 payload_length;
  std::uint8_t next_header;
  std::uint8_t hop_limit;
  std::array<std::uint8_t, 16> source;
  std::array<std::uint8_t, 16> destination;
};
static_assert(sizeof(Ipv6Header) == 40);

struct Ports {  // the first four bytes of TCP and of UDP
  Be16 source;
  Be16 destination;
};
static_assert(sizeof(Ports) == 4);

struct TcpHeader {  // RFC 9293, section 3.1
  Ports ports;
  Be32 sequence;
  Be32 acknowledgement;
  std::uint8_t data_offset;
  std::uint8_t flags;
  Be16 window;
  Be16 checksum;
  Be16 urgent;
};
static_assert(sizeof(TcpHeader) == 20);
inline constexpr std::uint8_t kTcpFin = 0x01, kTcpSyn = 0x02, kTcpRst = 0x04, kTcpAck = 0x10;

struct UdpHeader {  // RFC 768
  Ports ports;
  Be16 length;
  Be16 checksum;
};
static_assert(sizeof(UdpHeader) == 8);

struct IcmpHeader {  // RFC 792; RFC 4443, section 2.1
  std::uint8_t type;
  std::uint8_t code;
  Be16 checksum;
  Be32 rest;  // identifier and sequence number, MTU, pointer …
};
static_assert(sizeof(IcmpHeader) == 8);
enum class Icmp4 : std::uint8_t {
  unreachable = 3,
  echo_request = 8,
  echo_reply = 0,
  time_exceeded = 11,
  parameter = 12
};
enum class Icmp6 : std::uint8_t {
  unreachable = 1,
  too_big = 2,
  time_exceeded = 3,
  parameter = 4,
  echo_request = 128,
  echo_reply = 129,
};

struct Ipv6Extension {  // RFC 8200, sections 4.3, 4.4 and 4.6: how all but the fragment header begin
  std::uint8_t next_header;
  std::uint8_t length;  // in units of 8 bytes, the first not counted
  std::uint8_t data[6];
};
static_assert(sizeof(Ipv6Extension) == 8);

struct Ipv6Fragment {  // RFC 8200, section 4.5
  std::uint8_t next_header;
  std::uint8_t reserved;
  Be16 offset_more;
  Be32 id;
};
static_assert(sizeof(Ipv6Fragment) == 8);
inline constexpr std::uint16_t kIpv6FragmentOffsetMask = 0xfff8;
inline constexpr std::uint16_t kIpv6MoreFragments = 0x0001;

struct GreHeader {  // RFC 2784, section 2.1: no checksum, no options
  Be16 flags_version;
  Be16 protocol;  // an EtherType
};
static_assert(sizeof(GreHeader) == 4);

struct GueHeader {  // draft-ietf-intarea-gue-09, section 3.1: variant 0, no optional fields
  std::uint8_t variant_control_hlen;
  std::uint8_t protocol;
  Be16 flags;
};
static_assert(sizeof(GueHeader) == 4);
inline constexpr std::uint16_t kGuePort = 6080;
// The outer source port spreads flows over the ephemeral range (RFC 6335, section 6).
constexpr std::uint16_t gue_source_port(std::uint32_t entropy) {
  return static_cast<std::uint16_t>(0xc000 | (entropy & 0x3fff));
}

// How a packet is carried to its backend.
enum class Encap : std::uint8_t {
  ipip = 1,   // RFC 2003, RFC 2473: 4in4, 6in4, 4in6, 6in6
  gue0 = 2,   // GUE variant 0: UDP, then a GueHeader that names the inner protocol
  gue1 = 3,   // GUE variant 1: UDP, then the inner IP header directly
  gre = 4,    // RFC 2784, RFC 7676
  l2dsr = 5,  // nothing but another destination MAC address
};

// As the configuration names it.
constexpr const char* to_text(Encap encap) {
  switch (encap) {
    case Encap::ipip:
      return "ipip";
    case Encap::gue0:
      return "gue";
    case Encap::gue1:
      return "gue1";
    case Encap::gre:
      return "gre";
    case Encap::l2dsr:
      return "l2dsr";
  }
  return "unknown";
}

}  // namespace guideway
