// The flows region: which backends flows were given, as it lies in shared memory.
//
//   FlowsHeader │ buckets of worker 0 │ buckets of worker 1 │ …
//
// A file in [control] run_dir, on a memory file system: it outlives the data plane, and the next one takes over what it
// says (dataplane/flows/flows_file.h). Each worker writes its own buckets and nothing else, field by field, so that the
// others may read them meanwhile (dataplane/flows/peer_flows.h); nobody waits for anybody.
//
// A bucket is one cache line of six flows. A flow's home is the bucket that its hash names; when it is full, the flow
// may be a guest of the bucket's neighbour, the other one of its pair.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstdint>
#include <span>

#include "guideway/layout.h"
#include "guideway/segment.h"
#include "guideway/units.h"

namespace guideway {

inline constexpr std::uint32_t kFlowsLayoutVersion = 1;
inline constexpr std::uint32_t kFlowsPerBucket = 6;

enum class FlowState : std::uint8_t {
  free = 0,
  probation = 1,    // nothing but its SYN or QUIC Initial was seen
  established = 2,  // more was seen
  closing = 3,      // a FIN or RST was seen
  datagram = 4,     // UDP, which has no states
};

struct alignas(kCacheLineBytes) FlowBucket {
  std::array<std::uint32_t, kFlowsPerBucket> tag_high;  // bits 32 … 63 of the flow's hash
  std::array<std::uint16_t, kFlowsPerBucket> tag_low;   // bits 16 … 31
  std::array<std::uint16_t, kFlowsPerBucket> backend;   // its stats index
  std::array<std::uint16_t, kFlowsPerBucket> seen_s;    // when its last packet came, the low 16 bits
  // Four bits for each flow: FlowState, and kFlowIsGuest. The top byte counts the flows at home here that are guests of
  // the neighbour.
  std::uint32_t states;
};
static_assert(sizeof(FlowBucket) == kCacheLineBytes);
static_assert(offsetof(FlowBucket, tag_low) == 24 && offsetof(FlowBucket, backend) == 36);
static_assert(offsetof(FlowBucket, seen_s) == 48 && offsetof(FlowBucket, states) == 60);
inline constexpr std::uint32_t kFlowIsGuest = 0x8;
inline constexpr std::uint32_t kOneGuest = 1U << 24;

constexpr std::uint32_t flow_tag_high(std::uint64_t hash) {
  return static_cast<std::uint32_t>(hash >> 32);
}
constexpr std::uint16_t flow_tag_low(std::uint64_t hash) {
  return static_cast<std::uint16_t>(hash >> 16);
}
// Which bucket of a worker's is the flow's home. Its neighbour is `home ^ 1`. REQUIRES: bucket_count is a power of two.
constexpr std::size_t flow_home(std::uint64_t hash, std::size_t bucket_count) {
  return hash & (bucket_count - 1);
}
constexpr bool has_guests_elsewhere(std::uint32_t states) {
  return states >= kOneGuest;
}

// For how long a flow has been silent by a reader's clock. Its worker's may be ahead of that, by the moment between two
// readings or since the main core wrote `clock_s` last. REQUIRES: less than half of what 16 bits of seconds can say.
constexpr std::uint16_t flow_silent_s(std::uint16_t seen_s, std::uint32_t reader_clock_s) {
  const auto silent = static_cast<std::int16_t>(reader_clock_s - seen_s);
  return static_cast<std::uint16_t>(silent > 0 ? silent : 0);
}

struct FlowsHeader {
  SegmentHeader segment;
  std::uint32_t worker_count;
  std::uint32_t buckets_per_worker;    // a power of two, kBucketsPerWorkerMin or more
  std::atomic<std::uint32_t> clock_s;  // what time it is for `seen_s`; written by the main core now and then
  std::uint32_t reserved;
  std::array<std::uint64_t, 6> spare;
};
static_assert(sizeof(FlowsHeader) == 128);

// With so many the whole hash of a flow can be told from where it lies, and it can move to a table of another size.
inline constexpr std::uint32_t kBucketsPerWorkerMin = 1U << 16;
inline constexpr std::uint32_t kBucketsPerWorkerMax = 1U << 24;

constexpr std::uint64_t flows_bytes(std::uint32_t workers, std::uint32_t buckets_per_worker) {
  return sizeof(FlowsHeader) + std::uint64_t{workers} * buckets_per_worker * sizeof(FlowBucket);
}

constexpr std::uint64_t flows_layout_hash() {
  LayoutHash hash;
  hash.constant("kFlowsLayoutVersion", kFlowsLayoutVersion)
      .GUIDEWAY_TYPE(FlowsHeader)
      .GUIDEWAY_FIELD(FlowsHeader, worker_count)
      .GUIDEWAY_FIELD(FlowsHeader, buckets_per_worker)
      .GUIDEWAY_FIELD(FlowsHeader, clock_s)
      .GUIDEWAY_TYPE(FlowBucket)
      .GUIDEWAY_FIELD(FlowBucket, tag_high)
      .GUIDEWAY_FIELD(FlowBucket, tag_low)
      .GUIDEWAY_FIELD(FlowBucket, backend)
      .GUIDEWAY_FIELD(FlowBucket, seen_s)
      .GUIDEWAY_FIELD(FlowBucket, states);
  return hash.value();
}

inline constexpr SegmentExpectation kFlowsSegment{SegmentKind::flows, kFlowsLayoutVersion, flows_layout_hash(),
                                                  sizeof(FlowsHeader)};

// check_segment() and the region's own counts; after `none`, flows_of() stays inside `memory`.
inline AttachError check_flows(std::span<const std::byte> memory) {
  if (const AttachError e = check_segment(memory, kFlowsSegment); e != AttachError::none) return e;
  const auto& header = *reinterpret_cast<const FlowsHeader*>(memory.data());
  const std::uint32_t buckets = header.buckets_per_worker;
  if (header.worker_count > kWorkersMax || !std::has_single_bit(buckets) || buckets < kBucketsPerWorkerMin ||
      buckets > kBucketsPerWorkerMax || flows_bytes(header.worker_count, buckets) > memory.size())
    return AttachError::truncated;
  return AttachError::none;
}

// All workers' buckets, and one worker's. REQUIRES: w < header.worker_count, memory that check_flows() passed.
inline std::span<FlowBucket> flows_of_all(FlowsHeader& header) {
  return {reinterpret_cast<FlowBucket*>(&header + 1), std::size_t{header.worker_count} * header.buckets_per_worker};
}
inline std::span<FlowBucket> flows_of(FlowsHeader& header, WorkerId w) {
  return flows_of_all(header).subspan(std::size_t{index(w)} * header.buckets_per_worker, header.buckets_per_worker);
}

}  // namespace guideway
