#include "controlplane/health/health_state.h"

#include <algorithm>

namespace guideway::controlplane {
namespace {

constexpr std::chrono::milliseconds kFirstSpread{100};

std::chrono::nanoseconds scale(std::chrono::nanoseconds duration, double factor) {
  return std::chrono::nanoseconds(static_cast<std::int64_t>(static_cast<double>(duration.count()) * factor));
}

}  // namespace

HealthState::HealthState(const config::HealthCheck& check, Health initial, SteadyTime now, double random)
    : interval_(check.interval),
      jitter_(check.jitter),
      rise_(check.rise),
      fall_(check.fall),
      health_(initial),
      due_(now + scale(std::min<std::chrono::nanoseconds>(kFirstSpread, interval_), random)) {}

void HealthState::begin(SteadyTime now, double random) {
  due_ = now + scale(interval_, 1 + jitter_ * (2 * random - 1));
}

bool HealthState::finish(bool success) {
  const Health result = success ? Health::up : Health::down;
  if (result == health_) {
    contrary_ = 0;
    return false;
  }
  contrary_++;
  if (health_ != Health::unknown && contrary_ < threshold()) return false;
  health_ = result;
  contrary_ = 0;
  return true;
}

}  // namespace guideway::controlplane
