// A batch of packets on its way through the worker: all that is between the stages.
//
//   rx → parse → classify → reunite → select → encap → answer → tx
//
// Each stage reads what earlier stages wrote into the Packet and adds its own part; a packet whose verdict is no longer
// `pending` is left alone by later stages (`answer` looks for its own verdict). Stages know no DPDK: a Packet is a
// window onto bytes that the Port owns, so the same stages run over a NIC, a pcap file and a vector in a test.
//
// Ownership: the bytes behind `data` and the `buffer` belong to the Port that received the packet, until the same or
// another Port takes the packet for transmission or drops it. Thread-safety: one worker.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <span>

#include "guideway/address.h"
#include "guideway/stats.h"
#include "guideway/tables_view.h"
#include "guideway/wire.h"

namespace guideway {

// So many that a line fetched ahead is there when its packet's turn comes, and so few that all lines of a batch stay in
// the first cache (perf/budget.md).
inline constexpr std::uint32_t kBatchMax = 64;

using Ns = std::chrono::nanoseconds;  // since any start; grows

enum class Verdict : std::uint8_t {
  pending,  // still on its way
  forward,  // encapsulated: send it out of backend->port
  // Too big for the way to `backend`: send it there in fragments (splitter.h).
  split_outer,  // encapsulated; the outer packet is to be cut
  split_inner,  // not encapsulated; it is to be cut, and each fragment encapsulated
  answer,       // to be turned into our answer, `reason` says why
  reply,        // turned into our answer: send it out of the port it came from
  to_kernel,    // not ours: untouched, to the kernel
  held,         // kept by the fragment table until its first fragment comes
  drop,         // for `reason`
};

enum class PacketKind : std::uint8_t {
  other,           // whatever is none of those below, or not sound
  flow,            // TCP or UDP, with ports
  first_fragment,  // of TCP or UDP; has ports if they are in it
  later_fragment,
  echo_request,
  icmp_error,  // `protocol` and `ports` are those of the flow that it quotes, as a client sends them
};

inline constexpr Counter kNothing{};  // of `reason`

struct alignas(kCacheLineBytes) Packet {
  // Set by the port.
  std::uint8_t* data = nullptr;        // the Ethernet header
  void* buffer = nullptr;              // the port's own handle
  std::uint32_t frame_bytes = 0;       // the whole frame, all segments
  std::uint16_t contiguous_bytes = 0;  // of it at `data`; less than frame_bytes in a multi-segment buffer
  std::uint16_t headroom_bytes = 0;    // free bytes in front of `data`

  // Set by parse.
  std::uint16_t l3_offset = 0;   // of the IP header, from `data`
  std::uint16_t l4_offset = 0;   // of the TCP, UDP or ICMP header, from `data`
  std::uint16_t l3_bytes = 0;    // of the IP packet, as its header says: what follows it is Ethernet padding
  Family family = Family::none;  // none: not IP, or not even that can be told
  IpProto protocol{};
  Ports ports;
  PacketKind kind = PacketKind::other;
  Verdict verdict = Verdict::pending;
  // parse: what is wrong with the packet, should it turn out to be for a VIP; drop, answer: why; forward: a counter
  // that it raises besides. kNothing else.
  Counter reason = kNothing;
  std::uint8_t ingress = 0;  // position of the port that it came from; set by the worker

  // Set by classify, for fragments by reunite.
  VipId vip = VipId::none;
  PoolId pool = PoolId::none;
  Tracking tracking{};  // of the VIP

  // Set by select.
  bool has_hops = false;  // a hop list is to go with it
  const BackendRecord* backend = nullptr;
  std::uint64_t hash = 0;  // of its flow

  const std::uint8_t* l3() const { return data + l3_offset; }
  const std::uint8_t* l4() const { return data + l4_offset; }
  // From the L4 header to the end of the IP packet.
  std::uint32_t l4_bytes() const { return std::uint32_t{l3_offset} + l3_bytes - l4_offset; }
  bool is_whole() const { return std::uint32_t{l3_offset} + l3_bytes <= contiguous_bytes; }
};
static_assert(sizeof(Packet) == kCacheLineBytes);

struct Batch {
  std::uint32_t count = 0;
  MacAddress port_mac;         // of the port that all of it came from; set by the worker
  bool has_fragments = false;  // pending ones, for reunite
  bool has_answers = false;    // verdict `answer`
  std::array<Packet, kBatchMax> packets;

  void clear() {
    count = 0;
    has_fragments = false;
    has_answers = false;
  }

  std::span<Packet> all() { return {packets.data(), count}; }
};

inline void drop(Packet& packet, Counter reason) {
  packet.verdict = Verdict::drop;
  packet.reason = reason;
}

}  // namespace guideway
