// How packets that are not ours to balance reach the kernel, per port (docs/dataplane.md draws the kinds).
// Thread-safety: pure functions.
#pragma once

#include <cstddef>
#include <string>

#include "common/config/config.h"

namespace guideway {

enum class KernelPathKind {
  none,    // nowhere: they are dropped
  copy,    // the kernel gets every frame of the interface itself (AF_PACKET)
  steer,   // only packets for VIPs are taken from the kernel (AF_XDP)
  device,  // a DPDK device whose other end is a kernel interface
};
const char* to_text(KernelPathKind kind);

struct KernelPath {
  KernelPathKind kind = KernelPathKind::none;
  std::string device;     // for `device`: its DPDK device string
  std::string interface;  // what stands for the port in routes and neighbours; empty if nothing does
};

// What the configuration says, "auto" resolved. `position`: of the port in the configuration, names interfaces that we
// make. `has_vhost_net`: whether the kernel offers /dev/vhost-net. Throws StartError when the kind does not go with the
// device.
KernelPath kernel_path_of(const config::Port& port, std::size_t position, bool has_vhost_net);

}  // namespace guideway
