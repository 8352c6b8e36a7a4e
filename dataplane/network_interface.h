// What the kernel knows of a network interface that a DPDK device sits on.
// Thread-safety: pure functions over the kernel's state.
#pragma once

#include <cstdint>
#include <string>

namespace guideway {

struct NetworkInterface {
  unsigned index = 0;
  std::uint16_t mtu_bytes = 0;
  std::uint32_t receive_queues = 1;
  bool up = false;
};

// Throws StartError when this network namespace has no such interface. `where` names the port for the sentence.
NetworkInterface look_at_interface(const std::string& name, const std::string& where);

}  // namespace guideway
