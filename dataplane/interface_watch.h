// Whether the kernel's interface below an AF_XDP or AF_PACKET port still brings packets. DPDK does not know: it opened
// sockets on an interface, and calls the link up whatever becomes of that.
//
// The interface is known by its index: a new name does no harm, and a new interface of the old name is another one, to
// which no socket of ours is bound. An XDP program that was taken off is attached again.
// Thread-safety: main core.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "bpf/attached_program.h"
#include "guideway/stats.h"

namespace guideway {

class InterfaceWatch {
 public:
  // `where`: the port, for sentences. `has_program`: an XDP program brings the packets. REQUIRES: the port is open.
  // Throws std::runtime_error.
  InterfaceWatch(std::string where, std::string interface, unsigned index, bool has_program);

  // Looks at the interface each time, and once a second at its program, for which the kernel has to be asked about all
  // interfaces.
  PortState look(std::chrono::steady_clock::time_point now);
  // Why the last look() did not find it up: a sentence for the operator.
  const std::string& why() const { return why_; }

 private:
  PortState look_at_interface();
  PortState look_at_program();

  std::string where_;
  std::string interface_;
  unsigned index_;
  std::optional<bpf::AttachedProgram> program_;
  std::string why_;
  bool lost_ = false;  // for good: our sockets went with it
  PortState program_state_ = PortState::up;
  std::chrono::steady_clock::time_point program_looked_at_{};
};

}  // namespace guideway
