// One worker: polls its queue pair of every port, runs the stages, sends every packet to its end, and counts.
//
//   network port ─► stages ─┬─ forward ──► network port of the backend; too big: in fragments
//                           ├─ reply ────► network port it came from
//                           ├─ to_kernel ► kernel path of the port it came from
//                           ├─ held ─────► waits in the fragment table, comes back as a batch of its own
//                           └─ drop
//   kernel path ──────────────────────────► network port
//
// Both equations of counters.def hold after every poll(). Knows no DPDK.
//
// Thread-safety: made and used by its own thread. No system call, lock or allocation of ours in poll().
#pragma once

#include <array>
#include <span>

#include "dataplane/batch.h"
#include "dataplane/port.h"
#include "dataplane/splitter.h"
#include "dataplane/stages/stages.h"
#include "guideway/stats.h"

namespace guideway {

// A port as one worker sees it. Ownership: the ports outlive the worker.
struct WorkerPort {
  Port* network = nullptr;
  Port* kernel = nullptr;        // the kernel path, if it is a port of its own
  bool kernel_sees_all = false;  // the kernel got the frame itself: nothing to hand over
  MacAddress mac{};              // what our answers come from
};

// Packets of one batch that share their end, in the order they came.
struct PacketList {
  std::uint32_t count = 0;
  std::array<Packet*, kBatchMax> packets;

  void push(Packet& packet) { packets[count++] = &packet; }
  std::span<Packet* const> all() const { return {packets.data(), count}; }
};

// Where flows are remembered (guideway/flows.h). Ownership: the buckets outlive the worker.
struct WorkerFlows {
  std::span<FlowBucket> own;  // as FlowTable wants them
  std::span<FlowBucket> all;  // of all workers of the data plane
};

struct WorkerSettings {
  std::uint32_t echo_per_second = 1000;
  std::uint32_t errors_per_second = 1000;
  FlowTimeouts flow_timeouts{};
  Identifications identifications{};
};

class Worker {
 public:
  // `ports`: in the order of the configuration, at most kPortsMax.
  Worker(std::span<const WorkerPort> ports, WorkerStats stats, const WorkerFlows& flows,
         const WorkerSettings& settings);
  ~Worker();  // gives waiting packets back
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // One turn: a batch from every port and from every kernel path. `view`: nullptr while there is no generation; then
  // everything goes to the kernel. Once there was one, there is always one.
  void poll(const TablesView* view, Ns now);

 private:
  void poll_network(std::size_t ingress, const TablesView* view, Ns now);
  void poll_kernel(const WorkerPort& port);
  void process_ready(const TablesView& view, Ns now);
  void take_in(std::size_t ingress);
  void end_batch(const WorkerPort& from, const TablesView* view);
  void sort_by_end();
  void sort_forwarded(Packet& packet);
  void forward(const WorkerPort& from, std::size_t egress, const TablesView& view);
  void send_run(const WorkerPort& from, std::size_t egress, std::span<Packet* const> run, const TablesView& view);
  void send_in_fragments(const WorkerPort& from, std::size_t egress, Packet& packet, const TablesView& view);
  void send_replies(const WorkerPort& from);
  void hand_to_kernel(const WorkerPort& from);
  void release_dropped(const WorkerPort& from);
  void report_flows();
  void count_sent(const Packet& packet, const TablesView& view);
  void count(Counter counter, std::uint64_t n) { add(stats_.block->counters[index(counter)], n); }

  Batch batch_;
  std::span<const WorkerPort> ports_;
  WorkerStats stats_;
  Splitter splitter_;
  StagesState stages_;
  PacketList replies_;
  PacketList to_kernel_;
  PacketList dropped_;
  std::array<PacketList, kPortsMax> forward_;  // by egress port; those to be split among them
};

}  // namespace guideway
