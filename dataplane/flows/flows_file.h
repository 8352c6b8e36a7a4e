// The flows region of this data plane (guideway/flows.h): a file in the run directory, on a memory file system, so that
// what is remembered of flows outlives the process.
//
// A new data plane makes a new file, takes over the flows of the one that is there, and then puts the new one in its
// place. So whoever is killed, at whatever moment, leaves a file behind that the next one can read. The number of
// workers and the size may be others than before. Which worker will meet which flow is the NIC's choice: with as many
// workers as before it chooses as before; else every worker takes over all flows, and those that it never meets expire.
// Until then they are copies, and of a flow that several workers have the one that met it last is right.
//
// Thread-safety: main core; each worker writes only its own buckets.
#pragma once

#include <string>

#include "common/shm/segment_memory.h"
#include "dataplane/flows/flow_table.h"

namespace guideway {

class FlowsFile {
 public:
  // `flows_max`: of each worker, while half of the places are taken. Throws std::system_error.
  FlowsFile(const std::string& directory, std::uint32_t workers, std::uint32_t flows_max, const FlowTimeouts& timeouts,
            Seconds now);

  std::span<FlowBucket> worker(WorkerId w) { return flows_of(header(), w); }
  std::span<FlowBucket> all_workers() { return flows_of_all(header()); }
  void set_clock(Seconds now) { header().clock_s.store(now.count(), std::memory_order_relaxed); }

  std::uint64_t taken_over() const { return taken_over_; }
  // Why nothing was taken over, if there was something; else empty.
  const std::string& trouble() const { return trouble_; }

 private:
  FlowsHeader& header() { return *reinterpret_cast<FlowsHeader*>(mapping_.bytes().data()); }
  void take_over(const Descriptor& file, const FlowTimeouts& timeouts, Seconds now);

  shm::Mapping mapping_;
  std::uint64_t taken_over_ = 0;
  std::string trouble_;
};

}  // namespace guideway
