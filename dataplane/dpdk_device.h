// A DPDK Ethernet device: opened by its device string, with one queue pair per worker, closed on destruction.
//
// Thread-safety: main core; the queues themselves belong to the workers (dpdk_port.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "guideway/address.h"

struct rte_mempool;

namespace guideway {

class DpdkDevice {
 public:
  struct Settings {
    std::string where;   // for sentences: "port \"wan\""
    std::string device;  // DPDK device string, complete
    std::uint16_t queue_pairs = 1;
    std::uint16_t rx_descriptors = 1024;
    std::uint16_t tx_descriptors = 1024;
    std::uint32_t buffers_per_queue = 0;  // of the device's own buffer pool
    std::uint16_t mtu_bytes = 0;          // 0: as the device has it
  };

  // Opens and starts it. Throws StartError.
  explicit DpdkDevice(const Settings& settings);
  ~DpdkDevice();
  DpdkDevice(const DpdkDevice&) = delete;
  DpdkDevice& operator=(const DpdkDevice&) = delete;

  std::uint16_t id() const { return id_; }
  MacAddress mac() const;
  // Best effort: not every device can change its address.
  void set_mac(const MacAddress& mac);
  std::uint16_t mtu_bytes() const { return mtu_bytes_; }
  rte_mempool* buffers() const { return buffers_; }
  bool link_up() const;

 private:
  void probe(const Settings& settings);
  void configure(const Settings& settings);
  void set_up_queues(const Settings& settings);

  std::uint16_t id_ = 0;
  std::uint16_t mtu_bytes_ = 0;
  bool is_pci_ = false;
  rte_mempool* buffers_ = nullptr;
};

}  // namespace guideway
