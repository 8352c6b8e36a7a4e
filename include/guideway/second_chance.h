// The hop list in a GUE header (variant 0): further backends that may have a packet's connection, and the generation of
// the tables that named them. docs/second_chance.md is the contract, with a drawing.
//
//   GUE header, hlen in words │ HopListHeader │ hop 0 │ hop 1 │ … │ generation │ inner packet
//                             └───────────── private data, hlen words ─────────┘
//
// A load balancer writes it once with write_hop_list(); backends count `next_hop` up (bpf/second_chance.bpf.h).
// Thread-safety: pure functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "guideway/abi/second_chance.h"
#include "guideway/address.h"
#include "guideway/byte_order.h"
#include "guideway/units.h"

namespace guideway {

inline constexpr std::size_t kGueWordBytes = GUIDEWAY_GUE_WORD_BYTES;

struct HopListHeader {
  Be16 type;  // GUIDEWAY_HOPS_…
  std::uint8_t next_hop;
  std::uint8_t hop_count;
};
static_assert(sizeof(HopListHeader) == kGueWordBytes * GUIDEWAY_HOPS_HEADER_WORDS);
static_assert(alignof(HopListHeader) == 1);
static_assert(offsetof(HopListHeader, type) == 0 && offsetof(HopListHeader, next_hop) == 2);
static_assert(offsetof(HopListHeader, hop_count) == 3);

// The lower 32 bits of the generation, compared as serial numbers (RFC 1982).
using HopGeneration = Be32;
static_assert(sizeof(HopGeneration) == kGueWordBytes * GUIDEWAY_HOPS_GENERATION_WORDS);

// A load balancer writes at most so many: the slot's owner, or one of these, is the packet's destination. Four of IPv6
// behind two VLAN tags would not fit the 128 bytes that DPDK leaves free in front of a frame.
inline constexpr std::size_t kHopsMax = 4;
constexpr std::size_t hops_max(Family outer) {
  return outer == Family::ipv4 ? kHopsMax : 3;
}

constexpr std::uint16_t hop_bytes(Family outer) {
  return GUIDEWAY_GUE_WORD_BYTES * (outer == Family::ipv4 ? GUIDEWAY_HOPS_IPV4_WORDS : GUIDEWAY_HOPS_IPV6_WORDS);
}
static_assert(hop_bytes(Family::ipv4) == sizeof(Be32) && hop_bytes(Family::ipv6) == sizeof(IpAddress));

// What write_hop_list() writes.
constexpr std::uint16_t hop_list_bytes(Family outer, std::size_t hops, Generation generation) {
  const std::size_t generation_bytes = generation == Generation::none ? 0 : sizeof(HopGeneration);
  return static_cast<std::uint16_t>(sizeof(HopListHeader) + hops * hop_bytes(outer) + generation_bytes);
}

// How the GUE header says so: its `variant_control_hlen`. REQUIRES: a multiple of 4, at most 124.
constexpr std::uint8_t gue_hlen(std::uint16_t private_bytes) {
  return static_cast<std::uint8_t>(private_bytes / GUIDEWAY_GUE_WORD_BYTES);
}
static_assert(gue_hlen(hop_list_bytes(Family::ipv6, hops_max(Family::ipv6), Generation{1})) <= GUIDEWAY_GUE_HLEN_MAX);

// Writes a list whose first hop is next, and returns its length in bytes. Without a generation (`none`) it is exactly
// GLB's. REQUIRES: hop_list_bytes(…) bytes at `at`, which lies behind the GUE header; at most hops_max(outer), all of
// the outer header's family.
inline std::uint16_t write_hop_list(std::uint8_t* at, Family outer, std::span<const IpAddress> hops,
                                    Generation generation) {
  const std::uint8_t* const begin = at;
  store(at, HopListHeader{.type = Be16::from_host(outer == Family::ipv4 ? GUIDEWAY_HOPS_IPV4 : GUIDEWAY_HOPS_IPV6),
                          .next_hop = 0,
                          .hop_count = static_cast<std::uint8_t>(hops.size())});
  at += sizeof(HopListHeader);
  for (const IpAddress& hop : hops) {
    if (outer == Family::ipv4)
      store(at, hop.v4());
    else
      store(at, hop);
    at += hop_bytes(outer);
  }
  if (generation != Generation::none) {
    store(at, HopGeneration::from_host(static_cast<std::uint32_t>(number(generation))));
    at += sizeof(HopGeneration);
  }
  return static_cast<std::uint16_t>(at - begin);
}

}  // namespace guideway
