// The stats region: what the data plane tells everybody, as it lies in shared memory.
//
//   StatsHeader │ WorkerBlock 0 │ vips 0 │ backends 0 │ flows 0 │ WorkerBlock 1 │ …
//
// The data plane creates it (a new one for each process) and is its only writer: each worker writes its own cache
// lines, the main core the header. Everybody else maps it read-only. All numbers are 64-bit counts, monotonic but for
// the gauges of counters.def, written with plain relaxed stores by their one owner; a reader may see one counter ahead
// of another by a burst.
//
// Pins say which generations may be in use, so that the control plane knows what it may reuse (docs/shm_contract.md):
//   a pin of g: "I may be reading generation g or any later one"; kPinAttaching: "I may be reading anything";
//   kPinNone: "I read nothing". The writer reads the gatekeeper's pin BEFORE the workers' pins.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "guideway/address.h"
#include "guideway/layout.h"
#include "guideway/segment.h"
#include "guideway/units.h"

namespace guideway {

inline constexpr std::uint32_t kStatsLayoutVersion = 4;
inline constexpr std::uint32_t kPortsMax = 16;

enum class Counter : std::uint8_t {
#define COUNTER(name, unit, sentence) name,
#define GAUGE(name, unit, sentence) name,
#define DROP(name, sentence) drop_##name,
#include "guideway/counters.def"
#undef COUNTER
#undef GAUGE
#undef DROP
};
struct CounterInfo {
  std::string_view name;
  std::string_view unit;
  std::string_view sentence;
  bool is_drop;
  bool is_gauge;  // also falls; all others only grow
};
inline constexpr auto kCounters = std::to_array<CounterInfo>({
#define COUNTER(name, unit, sentence) {#name, #unit, sentence, false, false},
#define GAUGE(name, unit, sentence) {#name, #unit, sentence, false, true},
#define DROP(name, sentence) {"drop_" #name, "packets", sentence, true, false},
#include "guideway/counters.def"
#undef COUNTER
#undef GAUGE
#undef DROP
});
inline constexpr std::size_t kCounterCount = kCounters.size();
inline constexpr std::size_t kCounterCapacity = 128;  // room to grow without moving what follows
static_assert(kCounterCount <= kCounterCapacity);
constexpr std::uint32_t index(Counter c) {
  return static_cast<std::uint32_t>(c);
}

inline constexpr std::uint64_t kPinAttaching = 0;
inline constexpr std::uint64_t kPinNone = ~std::uint64_t{0};

struct Traffic {
  std::atomic<std::uint64_t> packets;
  std::atomic<std::uint64_t> bytes;
};
static_assert(sizeof(Traffic) == 16);

// Adds to a number that only the calling thread writes: no locked instruction.
inline void add(std::atomic<std::uint64_t>& owned, std::uint64_t n) {
  owned.store(owned.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
}

// Text of the main core that may change: guarded by a version that is odd while it is being written.
struct StatsText {
  std::atomic<std::uint32_t> version;
  std::array<std::atomic<char>, 124> text;
};
static_assert(sizeof(StatsText) == 128);

enum class SpeakerState : std::uint32_t {
  off = 0,
  idle = 1,
  connecting = 2,
  open_sent = 3,
  open_confirm = 4,
  established = 5
};

enum class PortState : std::uint32_t {
  down = 0,
  up = 1,
  gone = 2,         // the kernel's interface below it; never up again
  replaced = 3,     // the same, and another interface has its name
  not_steered = 4,  // the interface is up, but its XDP program is not ours any more
};

struct PortInfo {
  char name[32];         // as configured, zero-terminated
  char device[32];       // the beginning of its DPDK device name
  char kernel_name[16];  // the kernel interface that stands for it in routes and neighbours; empty if none
  MacAddress mac;
  std::uint16_t mtu_bytes;
  std::atomic<PortState> state;  // VIPs are announced while a port is up
  std::uint32_t queue_count;
};
static_assert(sizeof(PortInfo) == 96);

// Of what a data plane takes from its file when it starts: equal sections give equal numbers.
struct StartDigests {
  std::uint64_t dataplane;
  std::uint64_t flows;  // without settle_after, which takes effect at a reload
  std::uint64_t bgp;
};
static_assert(sizeof(StartDigests) == 24);

struct StatsHeader {
  SegmentHeader segment;
  std::uint32_t worker_count;
  std::uint32_t vip_capacity;      // elements of each worker's `vips`
  std::uint32_t backend_capacity;  // elements of each worker's `backends` and `flows`
  std::uint32_t port_count;
  StartDigests start;
  std::array<std::uint64_t, 3> spare0;
  // Written by the main core:
  alignas(kCacheLineBytes) std::atomic<std::uint64_t> gatekeeper_pin;
  std::atomic<std::uint64_t> active_generation;     // what the workers are told to use; 0 = none
  std::atomic<std::uint64_t> rejected_generation;   // the last one the gatekeeper refused; 0 = none
  std::atomic<std::uint64_t> main_heartbeat;        // grows at least every 100 ms
  std::atomic<std::uint64_t> announced_generation;  // whose VIPs the BGP speaker announces; 0 = none
  std::atomic<SpeakerState> speaker_state;
  std::atomic<std::uint32_t> workers_alive;  // whose heartbeat the main core finds fresh
  std::array<std::uint64_t, 2> spare1;
  StatsText rejected_reason;
  StatsText speaker_error;  // why the session is not established
  std::array<PortInfo, kPortsMax> ports;
};
static_assert(sizeof(StatsHeader) == 128 + 64 + 256 + 16 * 96);

struct WorkerBlock {
  alignas(kCacheLineBytes) std::atomic<std::uint64_t> pin;
  std::atomic<std::uint64_t> heartbeat;  // loops of the worker, idle ones included
  std::uint32_t lcore;
  std::uint32_t reserved;
  std::array<std::uint64_t, 5> spare;
  std::array<std::atomic<std::uint64_t>, kCounterCapacity> counters;
};
static_assert(sizeof(WorkerBlock) == 64 + 8 * kCounterCapacity);

constexpr std::size_t round_up_to_line(std::size_t bytes) {
  return (bytes + kCacheLineBytes - 1) / kCacheLineBytes * kCacheLineBytes;
}
constexpr std::size_t worker_stride_bytes(std::uint32_t vip_capacity, std::uint32_t backend_capacity) {
  return sizeof(WorkerBlock) + round_up_to_line(vip_capacity * sizeof(Traffic)) +
         round_up_to_line(backend_capacity * sizeof(Traffic)) +
         round_up_to_line(backend_capacity * sizeof(std::atomic<std::uint32_t>));
}
constexpr std::size_t stats_bytes(std::uint32_t workers, std::uint32_t vip_capacity, std::uint32_t backend_capacity) {
  return sizeof(StatsHeader) + workers * worker_stride_bytes(vip_capacity, backend_capacity);
}

// One worker's part of the region. REQUIRES of stats_of(): w < header.worker_count, a segment that check_stats()
// passed.
struct WorkerStats {
  WorkerBlock* block = nullptr;
  std::span<Traffic> vips;
  std::span<Traffic> backends;
  std::span<std::atomic<std::uint32_t>> flows;  // in the flow table now, by backend
};
inline WorkerStats stats_of(StatsHeader& header, WorkerId w) {
  auto* base = reinterpret_cast<std::byte*>(&header) + sizeof(StatsHeader) +
               index(w) * worker_stride_bytes(header.vip_capacity, header.backend_capacity);
  auto* vips = base + sizeof(WorkerBlock);
  auto* backends = vips + round_up_to_line(header.vip_capacity * sizeof(Traffic));
  auto* flows = backends + round_up_to_line(header.backend_capacity * sizeof(Traffic));
  return {reinterpret_cast<WorkerBlock*>(base),
          {reinterpret_cast<Traffic*>(vips), header.vip_capacity},
          {reinterpret_cast<Traffic*>(backends), header.backend_capacity},
          {reinterpret_cast<std::atomic<std::uint32_t>*>(flows), header.backend_capacity}};
}

constexpr std::uint64_t stats_layout_hash() {
  LayoutHash hash;
  hash.constant("kStatsLayoutVersion", kStatsLayoutVersion)
      .GUIDEWAY_TYPE(StatsHeader)
      .GUIDEWAY_FIELD(StatsHeader, worker_count)
      .GUIDEWAY_FIELD(StatsHeader, vip_capacity)
      .GUIDEWAY_FIELD(StatsHeader, backend_capacity)
      .GUIDEWAY_FIELD(StatsHeader, port_count)
      .GUIDEWAY_FIELD(StatsHeader, start)
      .GUIDEWAY_FIELD(StatsHeader, gatekeeper_pin)
      .GUIDEWAY_FIELD(StatsHeader, active_generation)
      .GUIDEWAY_FIELD(StatsHeader, rejected_generation)
      .GUIDEWAY_FIELD(StatsHeader, main_heartbeat)
      .GUIDEWAY_FIELD(StatsHeader, announced_generation)
      .GUIDEWAY_FIELD(StatsHeader, speaker_state)
      .GUIDEWAY_FIELD(StatsHeader, workers_alive)
      .GUIDEWAY_FIELD(StatsHeader, rejected_reason)
      .GUIDEWAY_FIELD(StatsHeader, speaker_error)
      .GUIDEWAY_FIELD(StatsHeader, ports)
      .GUIDEWAY_TYPE(StartDigests)
      .GUIDEWAY_FIELD(StartDigests, dataplane)
      .GUIDEWAY_FIELD(StartDigests, flows)
      .GUIDEWAY_FIELD(StartDigests, bgp)
      .GUIDEWAY_TYPE(PortInfo)
      .GUIDEWAY_FIELD(PortInfo, name)
      .GUIDEWAY_FIELD(PortInfo, device)
      .GUIDEWAY_FIELD(PortInfo, kernel_name)
      .GUIDEWAY_FIELD(PortInfo, mac)
      .GUIDEWAY_FIELD(PortInfo, mtu_bytes)
      .GUIDEWAY_FIELD(PortInfo, state)
      .GUIDEWAY_FIELD(PortInfo, queue_count)
      .GUIDEWAY_TYPE(WorkerBlock)
      .GUIDEWAY_FIELD(WorkerBlock, pin)
      .GUIDEWAY_FIELD(WorkerBlock, heartbeat)
      .GUIDEWAY_FIELD(WorkerBlock, lcore)
      .GUIDEWAY_FIELD(WorkerBlock, counters);
  for (const CounterInfo& counter : kCounters) hash.type(counter.name, sizeof(std::uint64_t));
  return hash.value();
}

inline constexpr SegmentExpectation kStatsSegment{SegmentKind::stats, kStatsLayoutVersion, stats_layout_hash(),
                                                  sizeof(StatsHeader)};

// check_segment() and the region's own counts; after `none`, stats_of() stays inside `memory`.
inline AttachError check_stats(std::span<const std::byte> memory) {
  if (const AttachError e = check_segment(memory, kStatsSegment); e != AttachError::none) return e;
  const auto& header = *reinterpret_cast<const StatsHeader*>(memory.data());
  if (header.worker_count > kWorkersMax || header.port_count > kPortsMax) return AttachError::truncated;
  if (stats_bytes(header.worker_count, header.vip_capacity, header.backend_capacity) > memory.size())
    return AttachError::truncated;
  return AttachError::none;
}

}  // namespace guideway
