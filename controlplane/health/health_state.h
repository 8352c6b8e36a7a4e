// The life of one health check: when to look next, and what the looks so far say. No I/O, no clock of its own.
//
//              first result            `fall` failures in a row
//   unknown ───────────────► up ──────────────────────────────► down
//      └───────────────────────────────► down ◄──► up   (`rise` successes in a row)
//
// The first result decides at once, so that a start is quick; from then on rise and fall hold.
// Thread-safety: plain value.
#pragma once

#include <chrono>
#include <cstdint>

#include "common/config/config.h"

namespace guideway::controlplane {

enum class Health { unknown, up, down };

using SteadyTime = std::chrono::steady_clock::time_point;

class HealthState {
 public:
  // The first check is due at once, but for a small random delay that keeps all first checks from coinciding.
  // `random` is in [0, 1).
  HealthState(const config::HealthCheck& check, Health initial, SteadyTime now, double random);

  SteadyTime due() const { return due_; }
  // A check begins: the next one is due interval × (1 ± jitter) later.
  void begin(SteadyTime now, double random);
  // A check ended. True if health() changed.
  bool finish(bool success);

  Health health() const { return health_; }
  // How many results in a row speak against health(), and how many it takes to change it.
  std::uint32_t contrary() const { return contrary_; }
  std::uint32_t threshold() const { return health_ == Health::up ? fall_ : rise_; }

 private:
  std::chrono::nanoseconds interval_;
  double jitter_;
  std::uint32_t rise_;
  std::uint32_t fall_;
  Health health_;
  std::uint32_t contrary_ = 0;
  SteadyTime due_;
};

}  // namespace guideway::controlplane
