// Sums and rates over the workers' counts in the data plane's stats region. Rates are between the last two samples.
// Thread-safety: one thread.
#pragma once

#include <array>
#include <chrono>
#include <optional>
#include <vector>

#include "guideway/stats.h"

namespace guideway::controlplane {

// A worker's part of a region that is mapped read-only: for reading. REQUIRES: as stats_of().
WorkerStats worker_of(const StatsHeader& stats, std::uint32_t worker);

struct TrafficCount {
  std::uint64_t packets = 0;
  std::uint64_t bytes = 0;
};

struct StatsSample {
  std::chrono::steady_clock::time_point at;
  std::array<std::uint64_t, kCounterCount> counters{};
  std::vector<TrafficCount> vips;         // by stats index
  std::vector<TrafficCount> backends;     // by stats index
  std::vector<std::uint64_t> flows;       // that are known, by stats index of their backend
  std::vector<std::uint64_t> heartbeats;  // by worker
};
StatsSample sample_of(const StatsHeader& stats, std::chrono::steady_clock::time_point at);

struct TrafficRate {
  std::uint64_t packets = 0, bytes = 0;  // since the data plane started
  double packets_per_second = 0, bits_per_second = 0;
};

class StatsReader {
 public:
  void sample(const StatsHeader& stats);  // once a second
  void reset();                           // another data plane, or none

  bool has_sample() const { return samples_ > 0; }
  std::uint64_t counter(Counter c) const { return now_.counters[index(c)]; }
  double per_second(Counter c) const;  // 0 of a gauge, which does not only grow
  TrafficRate vip(std::uint32_t stats_index) const { return rate(now_.vips, before_.vips, stats_index); }
  TrafficRate backend(std::uint32_t stats_index) const { return rate(now_.backends, before_.backends, stats_index); }
  // Flows that the workers know now and give to this backend. None: nobody knows, or this backend is not counted.
  std::optional<std::uint64_t> flows(std::uint32_t stats_index) const;
  // Its heartbeat moved between the last two samples.
  bool worker_beats(std::size_t worker) const;

 private:
  double seconds() const;
  TrafficRate rate(const std::vector<TrafficCount>& now, const std::vector<TrafficCount>& before,
                   std::uint32_t stats_index) const;

  StatsSample now_;
  StatsSample before_;
  std::size_t samples_ = 0;
};

// The two equations of counters.def over one sample.
struct Equation {
  const char* name;
  std::uint64_t left, right;
  bool holds;  // but for packets that were under way while the counts were read
};
std::array<Equation, 2> equations_of(const StatsReader& stats, std::uint32_t workers);

}  // namespace guideway::controlplane
