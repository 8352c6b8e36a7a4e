#include "controlplane/stats_reader.h"

#include <algorithm>

namespace guideway::controlplane {
namespace {

void add_all(std::vector<TrafficCount>& sums, std::span<const Traffic> counts) {
  sums.resize(std::max(sums.size(), counts.size()));
  for (std::size_t i = 0; i < counts.size(); i++) {
    sums[i].packets += counts[i].packets.load(std::memory_order_relaxed);
    sums[i].bytes += counts[i].bytes.load(std::memory_order_relaxed);
  }
}

void add_all(std::vector<std::uint64_t>& sums, std::span<const std::atomic<std::uint32_t>> counts) {
  sums.resize(std::max(sums.size(), counts.size()));
  for (std::size_t i = 0; i < counts.size(); i++) sums[i] += counts[i].load(std::memory_order_relaxed);
}

// Counts of one burst per worker may be missing on either side.
constexpr std::uint64_t kBurstPackets = 64;

Equation equation(const char* name, std::uint64_t left, std::uint64_t right, std::uint32_t workers) {
  const std::uint64_t apart = left > right ? left - right : right - left;
  return {name, left, right, apart <= workers * kBurstPackets};
}

}  // namespace

WorkerStats worker_of(const StatsHeader& stats, std::uint32_t worker) {
  auto& readable = const_cast<StatsHeader&>(stats);  // NOLINT: stats_of() serves both sides
  return stats_of(readable, static_cast<WorkerId>(worker));
}

StatsSample sample_of(const StatsHeader& stats, std::chrono::steady_clock::time_point at) {
  StatsSample sample;
  sample.at = at;
  for (std::uint32_t w = 0; w < stats.worker_count; w++) {
    const WorkerStats worker = worker_of(stats, w);
    for (std::size_t c = 0; c < kCounterCount; c++)
      sample.counters[c] += worker.block->counters[c].load(std::memory_order_relaxed);
    add_all(sample.vips, worker.vips);
    add_all(sample.backends, worker.backends);
    add_all(sample.flows, worker.flows);
    sample.heartbeats.push_back(worker.block->heartbeat.load(std::memory_order_relaxed));
  }
  return sample;
}

void StatsReader::sample(const StatsHeader& stats) {
  before_ = std::move(now_);
  now_ = sample_of(stats, std::chrono::steady_clock::now());
  samples_++;
}

void StatsReader::reset() {
  *this = {};
}

double StatsReader::seconds() const {
  return samples_ < 2 ? 0 : std::chrono::duration<double>(now_.at - before_.at).count();
}

double StatsReader::per_second(Counter c) const {
  const double elapsed_s = seconds();
  if (kCounters[index(c)].is_gauge) return 0;
  return elapsed_s > 0 ? static_cast<double>(now_.counters[index(c)] - before_.counters[index(c)]) / elapsed_s : 0;
}

TrafficRate StatsReader::rate(const std::vector<TrafficCount>& now, const std::vector<TrafficCount>& before,
                              std::uint32_t stats_index) const {
  if (stats_index >= now.size()) return {};
  const TrafficCount& count = now[stats_index];
  TrafficRate rate{count.packets, count.bytes, 0, 0};
  if (const double elapsed_s = seconds(); elapsed_s > 0 && stats_index < before.size()) {
    rate.packets_per_second = static_cast<double>(count.packets - before[stats_index].packets) / elapsed_s;
    rate.bits_per_second = 8 * static_cast<double>(count.bytes - before[stats_index].bytes) / elapsed_s;
  }
  return rate;
}

std::optional<std::uint64_t> StatsReader::flows(std::uint32_t stats_index) const {
  return stats_index < now_.flows.size() ? std::optional(now_.flows[stats_index]) : std::nullopt;
}

bool StatsReader::worker_beats(std::size_t worker) const {
  if (worker >= now_.heartbeats.size()) return false;
  if (worker >= before_.heartbeats.size()) return now_.heartbeats[worker] != 0;
  return now_.heartbeats[worker] != before_.heartbeats[worker];
}

std::array<Equation, 2> equations_of(const StatsReader& stats, std::uint32_t workers) {
  std::uint64_t drops = 0;
  for (std::size_t c = 0; c < kCounterCount; c++)
    if (kCounters[c].is_drop) drops += stats.counter(static_cast<Counter>(c));
  return {equation("rx_packets = tx_packets + to_kernel_packets + waiting_packets + drops",
                   stats.counter(Counter::rx_packets),
                   stats.counter(Counter::tx_packets) + stats.counter(Counter::to_kernel_packets) +
                       stats.counter(Counter::waiting_packets) + drops,
                   workers),
          equation("from_kernel_packets = from_kernel_tx_packets + from_kernel_dropped_packets",
                   stats.counter(Counter::from_kernel_packets),
                   stats.counter(Counter::from_kernel_tx_packets) + stats.counter(Counter::from_kernel_dropped_packets),
                   workers)};
}

}  // namespace guideway::controlplane
