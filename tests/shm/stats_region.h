// A stats region in plain memory, for tests that need pins.
#pragma once

#include <new>
#include <vector>

#include "guideway/stats.h"

namespace guideway::shm {

class StatsRegion {
 public:
  explicit StatsRegion(std::uint32_t workers) : memory_(stats_bytes(workers, 0, 0) / sizeof(Line)) {
    header().worker_count = workers;
  }
  StatsHeader& header() { return *reinterpret_cast<StatsHeader*>(memory_.data()); }

 private:
  struct alignas(kCacheLineBytes) Line {
    std::byte bytes[kCacheLineBytes];
  };
  std::vector<Line> memory_;
};

}  // namespace guideway::shm
