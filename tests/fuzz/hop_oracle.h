// What must become of a packet with a hop list on a backend whose kernel has no sockets, written down plainly from
// docs/second_chance.md.
#pragma once

#include <optional>
#include <vector>

#include "bpf/decap_program.h"
#include "tests/fuzz/ip_packet.h"

namespace guideway::fuzz {

// What the backend has learned of a load balancer.
struct KnownGeneration {
  IpAddress source;
  std::uint32_t generation;
};

struct HopList {
  std::size_t at = 0;  // offset in the frame, as all others
  unsigned next = 0;
  unsigned count = 0;
  std::optional<std::uint32_t> generation;
};

struct HopListRead {
  std::optional<guideway_decap_counter> problem;
  HopList list;
};
// Private data of `words` words, in a datagram that ends at `end`.
HopListRead read_hop_list(BytesView frame, std::size_t at, std::size_t words, std::size_t end, Family outer);

struct Inner {
  std::size_t at;
  std::size_t end;
  bool is_ipv4;
};

struct Chance {
  guideway_decap_counter counter;
  Bytes passed_on;  // empty: it is not
};
Chance second_chance(BytesView frame, Family outer, const HopList& list, const Inner& inner,
                     const bpf::DecapSettings& settings, const std::vector<KnownGeneration>& known);

}  // namespace guideway::fuzz
