// The workers as threads on their cores, and whether they are alive.
// Thread-safety: main core.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <vector>

#include "common/shm/tables_reader.h"
#include "dataplane/flows/flows_file.h"
#include "dataplane/port_set.h"
#include "dataplane/stats_segment.h"

namespace guideway {

using SteadyTime = std::chrono::steady_clock::time_point;

// Tells by its heartbeat whether a worker is alive.
class HeartbeatWatch {
 public:
  HeartbeatWatch(std::chrono::milliseconds timeout, SteadyTime now) : timeout_(timeout), changed_at_(now) {}
  // `heartbeat`: as it is now. False when it has not changed for longer than the timeout.
  bool alive(std::uint64_t heartbeat, SteadyTime now) {
    if (heartbeat != last_) changed_at_ = now;
    last_ = heartbeat;
    return now - changed_at_ <= timeout_;
  }

 private:
  std::chrono::milliseconds timeout_;
  std::uint64_t last_ = 0;
  SteadyTime changed_at_;
};

class WorkerGroup {
 public:
  // All of them outlive the group.
  WorkerGroup(const config::Config& config, const PortSet& ports, StatsSegment& stats, FlowsFile& flows,
              shm::Gatekeeper& gatekeeper);
  ~WorkerGroup();

  void start(SteadyTime now);
  bool started() const { return !watches_.empty(); }
  // How many are alive; an event for each that fell silent or came back.
  std::uint32_t count_alive(SteadyTime now);
  std::uint32_t size() const { return static_cast<std::uint32_t>(seats_.size()); }
  // Waits until all have returned.
  void stop();

 private:
  struct Seat;
  static int work(void* seat);

  std::chrono::milliseconds heartbeat_timeout_;
  std::vector<std::unique_ptr<Seat>> seats_;
  std::vector<HeartbeatWatch> watches_;
  std::vector<bool> alive_;
  std::atomic<bool> stop_{false};
};

}  // namespace guideway
