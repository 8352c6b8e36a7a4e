// Packets for the decapsulation tests: what a client sent, and what a load balancer makes of it for a backend, written
// down from the RFCs. (What our own data plane makes of it meets the decapsulation in tests/packet/decap_test.cpp.)
#pragma once

#include <cstddef>
#include <ostream>
#include <string>
#include <vector>

#include "guideway/abi/backend_decap.h"
#include "guideway/address.h"
#include "guideway/units.h"
#include "guideway/wire.h"

namespace guideway::bpf {

using Bytes = std::vector<std::uint8_t>;

inline constexpr std::size_t kEthernetBytes = sizeof(EthernetHeader);

// REQUIRES: it is an address, or a prefix.
IpAddress ip(const char* text);
IpPrefix prefix(const char* text);

// Who talks to whom, by the family of the outer header.
IpAddress load_balancer(Family family);
IpAddress backend(Family family);

void set_ipv4_checksum(std::uint8_t* header);
// Of the TCP segment that is the payload of an IP packet without options or extension headers.
void set_tcp_checksum(Bytes& packet);

// What a client sent: an IP packet with bytes in it that are all different from their neighbours.
Bytes client_packet(Family family, std::size_t payload_bytes = 31);

// The packet behind the Ethernet header that the backend receives.
Bytes framed(const Bytes& packet);

struct Mix {
  Encap encap;
  Family outer;
  Family inner;

  std::size_t ip_bytes() const { return outer == Family::ipv4 ? sizeof(Ipv4Header) : sizeof(Ipv6Header); }
  bool has_udp() const { return encap == Encap::gue0 || encap == Encap::gue1; }
  std::size_t payload_at() const { return kEthernetBytes + ip_bytes(); }
  std::size_t gue_at() const { return payload_at() + sizeof(UdpHeader); }
  std::size_t inner_at() const {
    if (encap == Encap::gre) return payload_at() + sizeof(GreHeader);
    if (encap == Encap::ipip) return payload_at();
    return gue_at() + (encap == Encap::gue0 ? sizeof(GueHeader) : 0);
  }
  guideway_decap_counter counter() const {
    if (encap == Encap::gre) return GUIDEWAY_DECAP_GRE;
    return encap == Encap::ipip ? GUIDEWAY_DECAP_IPIP : GUIDEWAY_DECAP_GUE;
  }
  friend void PrintTo(const Mix& mix, std::ostream* out) { *out << mix.name(); }
  std::string name() const {
    const char* kind = encap == Encap::ipip   ? "ipip_"
                       : encap == Encap::gre  ? "gre_"
                       : encap == Encap::gue0 ? "gue0_"
                                              : "gue1_";
    return kind + std::string(inner == Family::ipv4 ? "4in" : "6in") + (outer == Family::ipv4 ? "4" : "6");
  }
};

// RFC 768; RFC 8200, section 8.1. REQUIRES: the mix has UDP, and `frame` is complete.
void set_udp_checksum(Bytes& frame, const Mix& mix);

// All sixteen.
std::vector<Mix> all_mixes();

// Outer headers as docs/packet_policy.md, section 6, has them, but for the traffic class, which is 0.
Bytes encapsulated(const Mix& mix, const Bytes& packet);

// The same with a hop list (docs/second_chance.md). REQUIRES: the mix is of gue0; hops are of the outer family.
Bytes encapsulated(const Mix& mix, const Bytes& packet, const std::vector<IpAddress>& hops, Generation generation);

}  // namespace guideway::bpf
