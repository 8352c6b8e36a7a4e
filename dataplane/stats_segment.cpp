#include "dataplane/stats_segment.h"

#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <system_error>

namespace guideway {
namespace {

std::size_t size_bytes_of(const config::Dataplane& config) {
  return stats_bytes(static_cast<std::uint32_t>(config.worker_cores.size()), config.vips_max, config.backends_max);
}

}  // namespace

StatsSegment::StatsSegment(const config::Dataplane& config, const StartDigests& start)
    : memory_(shm::create_sealed_memory("guideway-stats", size_bytes_of(config))),
      mapping_(shm::map_whole(memory_, shm::Access::read_write)) {
  if (!mapping_.valid()) throw std::system_error(ENOMEM, std::generic_category(), "mapping the stats region");
  StatsHeader& stats = header();
  stats.segment.kind = kStatsSegment.kind;
  stats.segment.layout_version = kStatsSegment.layout_version;
  stats.segment.layout_hash = kStatsSegment.layout_hash;
  stats.segment.size_bytes = mapping_.bytes().size();
  stats.segment.created_unix_ns =
      static_cast<std::uint64_t>(std::chrono::nanoseconds(std::chrono::system_clock::now().time_since_epoch()).count());
  stats.segment.creator_pid = static_cast<std::uint32_t>(getpid());
  stats.worker_count = static_cast<std::uint32_t>(config.worker_cores.size());
  stats.vip_capacity = config.vips_max;
  stats.backend_capacity = config.backends_max;
  stats.port_count = static_cast<std::uint32_t>(config.ports.size());
  stats.start = start;
  for (std::uint32_t w = 0; w < stats.worker_count; w++) worker(WorkerId{w}).block->lcore = config.worker_cores[w];
}

void StatsSegment::publish() {
  header().segment.magic.store(kSegmentMagic, std::memory_order_release);
}

}  // namespace guideway
