// All ports of the configuration: opened with one queue pair per worker, each with its kernel path.
// Thread-safety: main core; what of_worker() gives belongs to that worker.
#pragma once

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
  void describe(StatsSegment& stats) const;
  // Looks at the links and tells the stats region; an event for each that changed.
  void watch_links(StatsSegment& stats) const;
  // In the order of the configuration.
  std::vector<WorkerPort> of_worker(WorkerId worker) const;
  // The network interfaces whose packets for VIPs have to be steered to us.
  std::vector<std::string> steered_interfaces() const;

 private:
  struct Open;
  std::vector<std::unique_ptr<Open>> ports_;
};

}  // namespace guideway
