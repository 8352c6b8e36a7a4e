// The steering program (bpf/xsk_steer.bpf.c) as DPDK wants it: as a path to an object file.
//
// The object is part of the executable; it is written to a memfd, so nothing has to be installed and nothing can get
// out of step. Use: "net_af_xdp0,iface=eth1,xdp_prog=" + program.path(). DPDK reads it when the port is probed; after
// that it may go.
// Thread-safety: none.
#pragma once

#include <string>

#include "common/descriptor.h"

namespace guideway::bpf {

class SteerProgram {
 public:
  // Throws std::system_error.
  SteerProgram();
  // Valid in this process, as long as this object lives.
  std::string path() const;

 private:
  Descriptor memory_;
};

// A data plane that was killed leaves the steering program on its interface (packets for VIPs then go to the kernel),
// and DPDK refuses an interface that has an XDP program. Takes ours off, says whether there was one. Throws
// std::runtime_error when somebody else's program is there. REQUIRES: no running data plane uses the interface.
bool remove_left_over_steering(const std::string& interface);

}  // namespace guideway::bpf
