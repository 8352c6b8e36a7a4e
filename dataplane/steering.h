// Keeps the steering programs of AF_XDP ports (bpf/steer_map.h) at the VIPs of the generation in force.
//
// A prefix is steered once every worker follows a generation that serves it, and no longer once every worker follows
// one that does not: before and after, its packets are the kernel's. VIPs are announced only after they are steered.
//
// Thread-safety: main core.
#pragma once

#include <string>
#include <vector>

#include "bpf/steer_map.h"
#include "guideway/tables_view.h"

namespace guideway {

class Steering {
 public:
  // REQUIRES: the ports on these interfaces are open. Throws std::runtime_error.
  explicit Steering(const std::vector<std::string>& interfaces);

  // Cheap when nothing changed. REQUIRES: every worker follows `view`.
  void update(const TablesView& view);

 private:
  std::vector<bpf::SteerMap> maps_;
  Generation steered_ = Generation::none;
};

}  // namespace guideway
