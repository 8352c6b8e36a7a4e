// Where packets come from and go to: the seam between the stages and the world. A DPDK port, its kernel path, or
// vectors in a test.
//
// One Port object serves one queue pair of one device and belongs to one worker. Virtual calls happen once per batch.
#pragma once

#include <cstdint>

#include "dataplane/batch.h"

namespace guideway {

inline constexpr std::uint16_t kNewPacketHeadroom = 128;

class Port {
 public:
  Port() = default;
  Port(const Port&) = delete;
  Port& operator=(const Port&) = delete;
  virtual ~Port() = default;

  // Fills an empty batch with up to kBatchMax packets, verdict pending, the fields under "set by the port" set.
  virtual void receive(Batch& batch) = 0;
  // Takes packets for transmission, in order, from the front. Returns how many it took; the rest is still the caller's.
  // `data`, `frame_bytes` say what to send.
  virtual std::uint32_t transmit(Packet* const* packets, std::uint32_t count) = 0;
  // Makes an empty packet to be filled, sent by this port or released to it: frame_bytes 0, kNewPacketHeadroom bytes in
  // front of `data` and room for `frame_bytes` behind it. False: there is no such buffer.
  virtual bool allocate(Packet& packet, std::uint32_t frame_bytes) = 0;
  // Gives the buffers of packets back to where they came from.
  virtual void release(Packet* const* packets, std::uint32_t count) = 0;
};

}  // namespace guideway
