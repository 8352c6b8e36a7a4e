// All ports of the configuration: opened with one queue pair per worker, each with its kernel path.
// Thread-safety: main core; what of_worker() gives belongs to that worker.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "common/config/config.h"
#include "dataplane/stats_segment.h"
#include "dataplane/worker.h"

namespace guideway {

class PortSet {
 public:
  // Throws StartError.
  explicit PortSet(const config::Dataplane& config);
  ~PortSet();

  // Fills in the stats region's PortInfo.
  void describe(StatsSegment& stats);
  // Looks whether ports are up and tells the stats region; an event for each that changed.
  void watch(StatsSegment& stats, std::chrono::steady_clock::time_point now);
  // Whether packets can come in at all, as of the last watch().
  bool any_up() const;
  // In the order of the configuration.
  std::vector<WorkerPort> of_worker(WorkerId worker) const;
  // The network interfaces whose packets for VIPs have to be steered to us.
  std::vector<std::string> steered_interfaces() const;

 private:
  struct Open;
  std::vector<std::unique_ptr<Open>> ports_;
};

}  // namespace guideway
