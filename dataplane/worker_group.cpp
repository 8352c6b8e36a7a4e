#include "dataplane/worker_group.h"

#include <rte_launch.h>
#include <sys/prctl.h>

#include <thread>

#include "dataplane/eal.h"
#include "dataplane/idle_sleep.h"
#include "dataplane/log.h"
#include "dataplane/start_error.h"
#include "dataplane/tsc_clock.h"
#include "dataplane/worker_settings.h"

namespace guideway {

namespace {

// Grows whenever a turn brought packets, from the network or the kernel.
std::uint64_t received(const WorkerBlock& block) {
  const auto value = [&](Counter counter) { return block.counters[index(counter)].load(std::memory_order_relaxed); };
  return value(Counter::bursts) + value(Counter::from_kernel_packets);
}

}  // namespace

// What a worker's thread needs.
struct WorkerGroup::Seat {
  WorkerId id;
  WorkerSettings settings;
  IdleSleep idle;
  std::vector<WorkerPort> ports;
  WorkerStats stats;
  WorkerFlows flows;
  shm::Gatekeeper& gatekeeper;
  const std::atomic<bool>& stop;
};

WorkerGroup::WorkerGroup(const config::Config& config, const PortSet& ports, StatsSegment& stats, FlowsFile& flows,
                         shm::Gatekeeper& gatekeeper)
    : heartbeat_timeout_(config.dataplane.heartbeat_timeout) {
  const IdleSleep idle{std::chrono::microseconds(config.dataplane.idle_sleep_us)};
  const auto count = static_cast<std::uint32_t>(config.dataplane.worker_cores.size());
  for (std::uint32_t w = 0; w < count; w++) {
    const WorkerId id{w};
    const WorkerFlows remembered{flows.worker(id), flows.all_workers()};
    seats_.push_back(std::make_unique<Seat>(Seat{id, worker_settings_of(config, w, count), idle, ports.of_worker(id),
                                                 stats.worker(id), remembered, gatekeeper, stop_}));
  }
}

WorkerGroup::~WorkerGroup() {
  stop();
}

int WorkerGroup::work(void* argument) {
  Seat& seat = *static_cast<Seat*>(argument);
  auto reader = seat.gatekeeper.worker(seat.id);
  const TscClock clock;
  Worker worker(seat.ports, seat.stats, seat.flows, seat.settings);
  // The kernel rounds sleeps up by 50 us unless told otherwise.
  if (seat.idle.enabled()) prctl(PR_SET_TIMERSLACK, 1UL);
  while (!seat.stop.load(std::memory_order_relaxed)) {
    worker.poll(reader.follow(), clock.now());
    if (!seat.idle.enabled()) continue;
    if (const auto sleep = seat.idle.after_turn(received(*seat.stats.block)); sleep.count() > 0)
      std::this_thread::sleep_for(sleep);
  }
  reader.detach();
  return 0;
}

void WorkerGroup::start(SteadyTime now) {
  for (const auto& seat : seats_) {
    watches_.emplace_back(heartbeat_timeout_, now);
    alive_.push_back(true);
    if (rte_eal_remote_launch(work, seat.get(), lcore_of(seat->id)) != 0)
      throw StartError("worker {} does not start on its core", index(seat->id));
  }
}

std::uint32_t WorkerGroup::count_alive(SteadyTime now) {
  std::uint32_t count = 0;
  for (std::size_t w = 0; w < watches_.size(); w++) {
    const bool alive = watches_[w].alive(seats_[w]->stats.block->heartbeat.load(std::memory_order_relaxed), now);
    if (alive != alive_[w] && alive) log::info("worker {} is back", w);
    if (alive != alive_[w] && !alive)
      log::error("worker {} on core {} has been silent for {} ms", w, seats_[w]->stats.block->lcore,
                 heartbeat_timeout_.count());
    alive_[w] = alive;
    if (alive) count++;
  }
  return count;
}

void WorkerGroup::stop() {
  stop_.store(true, std::memory_order_relaxed);
  for (const auto& seat : seats_) rte_eal_wait_lcore(lcore_of(seat->id));
}

}  // namespace guideway
