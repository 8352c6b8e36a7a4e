// Keeps the steering programs of AF_XDP ports (bpf/steer_map.h) at the VIPs of the generation in force.
//
// A prefix is steered once every worker follows a generation that serves it, and no longer once every worker follows
// one that does not: before and after, its packets are the kernel's. VIPs are announced only after they are steered:
// what a map does not take, for want of memory perhaps, is tried again every second.
//
// Thread-safety: main core.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "bpf/steer_map.h"
#include "guideway/tables_view.h"

namespace guideway {

class Steering {
 public:
  // REQUIRES: the ports on these interfaces are open. Throws std::runtime_error.
  explicit Steering(const std::vector<std::string>& interfaces);

  // Whether all VIPs of `view` are steered, and no others. Cheap when nothing changed. REQUIRES: every worker follows
  // `view`.
  bool update(const TablesView& view, std::chrono::steady_clock::time_point now);

 private:
  bool set(const TablesView& view, bool is_first_try);

  std::vector<bpf::SteerMap> maps_;
  Generation steered_ = Generation::none;
  Generation refused_ = Generation::none;  // not all maps took its VIPs
  std::chrono::steady_clock::time_point try_again_at_{};
};

}  // namespace guideway
