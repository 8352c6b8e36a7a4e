// A DPDK device with one transmit queue and one or more receive queues, for the traffic generator.
// Thread-safety: one thread. The DPDK environment must have been started, and outlives it.
#pragma once

#include <rte_mbuf.h>

#include <span>
#include <string>

#include "guideway/wire.h"

namespace guideway::perf {

class TrialPort {
 public:
  // The device as DPDK names it (net_memif0,…), in the network namespace of that name if it is not empty.
  // Throws std::runtime_error.
  TrialPort(const std::string& device, const std::string& netns, std::uint16_t receive_queues);
  ~TrialPort();
  TrialPort(const TrialPort&) = delete;
  TrialPort& operator=(const TrialPort&) = delete;

  bool is_up() const;
  MacAddress mac() const;
  // Fills `buffers` with empty ones; false if there are not so many.
  bool allocate(std::span<rte_mbuf*> buffers);
  // Takes all buffers; how many the device took of them.
  std::uint32_t transmit(std::span<rte_mbuf*> buffers);
  // How many were received, of all queues; the caller frees them.
  std::uint32_t receive(std::span<rte_mbuf*> buffers);

 private:
  std::uint16_t id_ = 0;
  std::uint16_t receive_queues_;
  rte_mempool* buffers_ = nullptr;
};

}  // namespace guideway::perf
