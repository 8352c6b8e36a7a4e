// The stats region of this process: created here, handed to others read-only.
//
// Life: made before the ports are opened, so that its descriptor exists; readers find it `not_ready` until publish().
// Thread-safety: main core; each worker writes only its own WorkerStats.
#pragma once

#include <span>

#include "common/config/config.h"
#include "common/shm/segment_memory.h"
#include "guideway/stats.h"

namespace guideway {

class StatsSegment {
 public:
  // Throws std::system_error.
  StatsSegment(const config::Dataplane& config, const StartDigests& start);

  StatsHeader& header() { return *reinterpret_cast<StatsHeader*>(mapping_.bytes().data()); }
  WorkerStats worker(WorkerId w) { return stats_of(header(), w); }
  PortInfo& port(std::size_t position) { return header().ports[position]; }
  // To hand to others.
  Descriptor read_only_descriptor() const { return shm::reopen(memory_, shm::Access::read_only); }

  // The ports are described: readers may attach.
  void publish();

 private:
  Descriptor memory_;
  shm::Mapping mapping_;
};

}  // namespace guideway
