// The extension headers between an IPv6 header and what it carries (RFC 8200, section 4).
// Thread-safety: pure functions.
#pragma once

#include <cstddef>
#include <cstdint>

#include "guideway/wire.h"

namespace guideway {

inline constexpr std::uint32_t kIpv6ExtensionsMax = 8;

// Offsets are from the IPv6 header.
struct Ipv6Chain {
  enum class End : std::uint8_t { payload, truncated, too_many };
  End end = End::payload;
  IpProto protocol{};                 // of the payload; in a later fragment what the fragment header says
  std::uint32_t payload_at = 0;       // payload: where it begins
  std::uint32_t next_header_at = 0;   // of the byte that names `protocol`
  std::uint32_t fragment_at = 0;      // of the fragment header; 0: there is none
  std::uint16_t fragment_offset = 0;  // in bytes
  bool more_fragments = false;

  // A fragment header alone does not make a fragment (RFC 6946).
  bool is_fragment() const { return fragment_offset != 0 || more_fragments; }
};

constexpr bool is_ipv6_extension(IpProto protocol) {
  return protocol == IpProto::hop_by_hop || protocol == IpProto::routing || protocol == IpProto::fragment ||
         protocol == IpProto::destination_options;
}

namespace detail {

// Whether headers may follow: not in a later fragment, whose payload is cut out of the middle, nor in a fragment of a
// fragment, which nobody sends.
inline bool step_over_fragment_header(const std::uint8_t* ip, std::uint32_t at, Ipv6Chain& chain) {
  const std::uint16_t offset_more = load<Ipv6Fragment>(ip + at).offset_more.host();
  const std::uint16_t offset = offset_more & kIpv6FragmentOffsetMask;
  const bool more = (offset_more & kIpv6MoreFragments) != 0;
  if (offset == 0 && !more) return true;  // RFC 6946
  if (chain.is_fragment()) {
    chain.protocol = IpProto::fragment;
    return false;
  }
  chain.fragment_at = at;
  chain.fragment_offset = offset;
  chain.more_fragments = more;
  return offset == 0;
}

}  // namespace detail

// REQUIRES: `bytes` bytes at `ip`, at least those of an IPv6 header.
inline Ipv6Chain walk_ipv6_chain(const std::uint8_t* ip, std::uint32_t bytes) {
  Ipv6Chain chain;
  chain.next_header_at = offsetof(Ipv6Header, next_header);
  chain.payload_at = sizeof(Ipv6Header);
  chain.protocol = static_cast<IpProto>(ip[chain.next_header_at]);
  for (std::uint32_t count = 0; is_ipv6_extension(chain.protocol); count++) {
    const std::uint32_t at = chain.payload_at;
    const bool fragment = chain.protocol == IpProto::fragment;
    if (count == kIpv6ExtensionsMax) return chain.end = Ipv6Chain::End::too_many, chain;
    if (at + sizeof(Ipv6Extension) > bytes) return chain.end = Ipv6Chain::End::truncated, chain;
    const auto header = load<Ipv6Extension>(ip + at);
    chain.payload_at = at + 8 * (fragment ? 1U : 1U + header.length);
    if (chain.payload_at > bytes) return chain.end = Ipv6Chain::End::truncated, chain;
    chain.next_header_at = at;
    chain.protocol = static_cast<IpProto>(header.next_header);
    if (fragment && !detail::step_over_fragment_header(ip, at, chain)) break;
  }
  return chain;
}

}  // namespace guideway
