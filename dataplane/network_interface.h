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
};

// Throws StartError when this network namespace has no such interface. `where` names the port for the sentence.
NetworkInterface look_at_interface(const std::string& name, const std::string& where);

struct InterfaceFlags {
  bool up = false;       // the administrator wants it up
  bool running = false;  // and it has a carrier
};
// Neither when there is no such interface.
InterfaceFlags interface_flags(const std::string& name);

}  // namespace guideway
