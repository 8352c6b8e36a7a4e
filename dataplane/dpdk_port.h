// A queue pair of a DPDK device as a Port.
// Thread-safety: one worker per queue, as DPDK wants it.
#pragma once

#include "dataplane/port.h"

struct rte_mempool;

namespace guideway {

class DpdkPort final : public Port {
 public:
  // REQUIRES: the device is started and has the queue. `buffers`: what the queue receives into.
  DpdkPort(std::uint16_t device, std::uint16_t queue, rte_mempool* buffers)
      : device_(device), queue_(queue), buffers_(buffers) {}

  void receive(Batch& batch) override;
  std::uint32_t transmit(Packet* const* packets, std::uint32_t count) override;
  bool allocate(Packet& packet, std::uint32_t frame_bytes) override;
  void release(Packet* const* packets, std::uint32_t count) override;

 private:
  std::uint16_t device_;
  std::uint16_t queue_;
  rte_mempool* buffers_;
};

}  // namespace guideway
