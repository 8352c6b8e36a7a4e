// A batch of packets on its way through the worker: all that is between the stages.
//
//   rx → parse → classify → select → encap → tx
//
// Each stage reads what earlier stages wrote into the Packet and adds its own part; a packet whose verdict is no longer
// `pending` is left alone by later stages. Stages know no DPDK: a Packet is a window onto bytes that the Port owns, so
// the same stages run over a NIC, a pcap file and a vector in a test.
//
// Ownership: the bytes behind `data` and the `buffer` belong to the Port that received the packet, until the same or
// another Port takes the packet for transmission or drops it. Thread-safety: one worker.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "guideway/address.h"
#include "guideway/stats.h"
#include "guideway/tables_view.h"
#include "guideway/wire.h"

namespace guideway {

inline constexpr std::uint32_t kBatchMax = 32;  // 32 prefetched random lines cost 6–13 ns each, one alone 158–372 ns

enum class Verdict : std::uint8_t {
  pending,    // still on its way
  forward,    // encapsulated: send it out of backend->port
  to_kernel,  // not ours: untouched, to the kernel
  drop,       // for `reason`
};

struct alignas(kCacheLineBytes) Packet {
  // Set by the port.
  std::uint8_t* data = nullptr;        // the Ethernet header
  void* buffer = nullptr;              // the port's own handle
  std::uint32_t frame_bytes = 0;       // the whole frame, all segments
  std::uint16_t contiguous_bytes = 0;  // of it at `data`; less than frame_bytes in a multi-segment buffer
  std::uint16_t headroom_bytes = 0;    // free bytes in front of `data`

  // Set by parse.
  std::uint16_t l3_offset = 0;   // of the IP header, from `data`
  std::uint16_t l4_offset = 0;   // of the TCP or UDP header, from `data`
  std::uint16_t l3_bytes = 0;    // of the IP packet, as its header says: what follows it is Ethernet padding
  Family family = Family::none;  // none: not IP, or not even that can be told
  IpProto protocol{};
  Ports ports;
  Verdict verdict = Verdict::pending;
  // parse: what is wrong with the packet, should it turn out to be for a VIP; drop: the reason. 0 (rx_packets):
  // nothing.
  Counter reason{};

  // Set by classify.
  VipId vip = VipId::none;
  PoolId pool = PoolId::none;

  // Set by select.
  const BackendRecord* backend = nullptr;
  std::uint32_t entropy = 0;  // for outer source ports and flow labels
};
static_assert(sizeof(Packet) == kCacheLineBytes);

struct Batch {
  std::uint32_t count = 0;
  std::array<Packet, kBatchMax> packets;

  std::span<Packet> all() { return {packets.data(), count}; }
};

inline void drop(Packet& packet, Counter reason) {
  packet.verdict = Verdict::drop;
  packet.reason = reason;
}

}  // namespace guideway
