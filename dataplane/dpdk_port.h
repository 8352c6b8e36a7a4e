// A queue pair of a DPDK device as a Port.
// Thread-safety: one worker per queue, as DPDK wants it.
#pragma once

#include "dataplane/port.h"

namespace guideway {

class DpdkPort final : public Port {
 public:
  // REQUIRES: the device is started and has the queue.
  DpdkPort(std::uint16_t device, std::uint16_t queue) : device_(device), queue_(queue) {}

  void receive(Batch& batch) override;
  std::uint32_t transmit(Packet* const* packets, std::uint32_t count) override;
  void release(Packet* const* packets, std::uint32_t count) override;

 private:
  std::uint16_t device_;
  std::uint16_t queue_;
};

}  // namespace guideway
