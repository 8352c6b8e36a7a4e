// One worker: polls its queue pair of every port, runs the stages, sends every packet to its end, and counts.
//
//   network port ─► stages ─┬─ forward ──► network port of the backend
//                           ├─ to_kernel ► kernel path of the port it came from
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
#include "guideway/stats.h"

namespace guideway {

// A port as one worker sees it. Ownership: the ports outlive the worker.
struct WorkerPort {
  Port* network = nullptr;
  Port* kernel = nullptr;        // the kernel path, if it is a port of its own
  bool kernel_sees_all = false;  // the kernel got the frame itself: nothing to hand over
};

// Packets of one batch that share their end, in the order they came.
struct PacketList {
  std::uint32_t count = 0;
  std::array<Packet*, kBatchMax> packets;

  void push(Packet& packet) { packets[count++] = &packet; }
  std::span<Packet* const> all() const { return {packets.data(), count}; }
};

class Worker {
 public:
  // `ports`: in the order of the configuration, at most kPortsMax.
  Worker(std::span<const WorkerPort> ports, WorkerStats stats);

  // One turn: a batch from every port and from every kernel path. `view`: nullptr while there is no generation; then
  // everything goes to the kernel.
  void poll(const TablesView* view);

 private:
  void poll_network(const WorkerPort& port, const TablesView* view);
  void poll_kernel(const WorkerPort& port);
  void count_received();
  void sort_by_end();
  void forward(const WorkerPort& from, std::size_t egress, const TablesView& view);
  void hand_to_kernel(const WorkerPort& from);
  void release_dropped(const WorkerPort& from);
  void count_traffic(const Packet& packet, const TablesView& view);
  void count(Counter counter, std::uint64_t n) { add(stats_.block->counters[index(counter)], n); }

  std::span<const WorkerPort> ports_;
  WorkerStats stats_;
  Batch batch_;
  std::array<PacketList, kPortsMax> forward_;  // by egress port
  PacketList to_kernel_;
  PacketList dropped_;
};

}  // namespace guideway
