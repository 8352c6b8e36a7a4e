#include "dataplane/flows/flows_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <system_error>

namespace guideway {
namespace {

[[noreturn]] void fail(int error, const std::string& what) {
  throw std::system_error(error, std::generic_category(), what);
}

std::uint32_t buckets_for(std::uint32_t flows_max) {
  return std::clamp(std::bit_ceil(flows_max / kFlowsPerBucketAim), kBucketsPerWorkerMin, kBucketsPerWorkerMax);
}

Descriptor create_file(const std::string& path, std::uint64_t size_bytes) {
  Descriptor file(open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!file.valid()) fail(errno, "creating " + path);
  if (const int error = shm::reserve(file, size_bytes); error != 0)
    fail(error, "making " + path + " " + std::to_string(size_bytes) +
                    " bytes large; make room there, or lower [flows] max_per_worker");
  return file;
}

// What the flows of one table of before become in the tables of now.
class Mover {
 public:
  Mover(FlowTable& to, Seconds clock_before, Seconds now) : to_(to), clock_before_(clock_before), now_(now) {}

  void move(std::span<const FlowBucket> from) {
    for (std::size_t at = 0; at < from.size(); at++)
      for (std::uint32_t i = 0; i < kFlowsPerBucket; i++) move_one(from[at], at, i);
  }

 private:
  void move_one(const FlowBucket& bucket, std::size_t at, std::uint32_t i) {
    const std::uint32_t bits = bucket.states >> (4 * i);
    const auto state = static_cast<FlowState>(bits & 0x7);
    if (state == FlowState::free) return;
    const std::uint64_t home = (bits & kFlowIsGuest) != 0 ? at ^ 1 : at;
    const std::uint64_t hash = std::uint64_t{bucket.tag_high[i]} << 32 | std::uint64_t{bucket.tag_low[i]} << 16 |
                               (home & (kBucketsPerWorkerMin - 1));
    const Seconds silent{flow_silent_s(bucket.seen_s[i], clock_before_.count())};
    to_.take_over(hash, bucket.backend[i], state, silent, now_);
  }

  FlowTable& to_;
  Seconds clock_before_;
  Seconds now_;
};

}  // namespace

FlowsFile::FlowsFile(const std::string& directory, std::uint32_t workers, std::uint32_t flows_max,
                     const FlowTimeouts& timeouts, Seconds now) {
  const std::string path = directory + "/flows";
  const std::string aside = path + ".new";
  const std::uint32_t buckets = buckets_for(flows_max);
  const Descriptor file = create_file(aside, flows_bytes(workers, buckets));
  mapping_ = shm::map_whole(file, shm::Access::read_write);
  if (!mapping_.valid()) fail(ENOMEM, "mapping " + aside);

  FlowsHeader& flows = header();
  flows.segment.kind = kFlowsSegment.kind;
  flows.segment.layout_version = kFlowsSegment.layout_version;
  flows.segment.layout_hash = kFlowsSegment.layout_hash;
  flows.segment.size_bytes = mapping_.bytes().size();
  flows.segment.creator_pid = static_cast<std::uint32_t>(getpid());
  flows.worker_count = workers;
  flows.buckets_per_worker = buckets;
  set_clock(now);
  if (const Descriptor before(open(path.c_str(), O_RDWR | O_CLOEXEC)); before.valid()) take_over(before, timeouts, now);
  flows.segment.magic.store(kSegmentMagic, std::memory_order_release);
  if (rename(aside.c_str(), path.c_str()) != 0) fail(errno, "renaming " + aside + " to " + path);
}

void FlowsFile::take_over(const Descriptor& file, const FlowTimeouts& timeouts, Seconds now) {
  const shm::Mapping old = shm::map_whole(file, shm::Access::read_write);
  if (!old.valid()) {
    trouble_ = "they cannot be mapped";
    return;
  }
  if (const AttachError error = check_flows(old.bytes()); error != AttachError::none) {
    trouble_ = to_text(error);
    return;
  }
  auto& before = *reinterpret_cast<FlowsHeader*>(old.bytes().data());
  const Seconds clock_before{before.clock_s.load(std::memory_order_relaxed)};
  for (std::uint32_t w = 0; w < header().worker_count; w++) {
    FlowTable table(worker(WorkerId{w}), {}, timeouts);
    Mover mover(table, clock_before, now);
    for (std::uint32_t from = 0; from < before.worker_count; from++)
      if (from == w || before.worker_count != header().worker_count) mover.move(flows_of(before, WorkerId{from}));
    taken_over_ += table.usage().flows;
  }
}

}  // namespace guideway
