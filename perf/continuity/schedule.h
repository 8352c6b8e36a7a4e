// What happens to a fleet, second by second: changes of a pool, failures, and load balancers that come and go.
// Thread-safety: pure functions; equal seeds give equal schedules.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace guideway::perf {

enum class Action : std::uint8_t {
  // Of a backend.
  weigh,    // `value` is its weight from now on
  drain,    // no new flows
  undrain,  //
  add,      // to the pool
  remove,   // from the pool; what it has is lost
  crash,    // its host dies, and all it has
  notice,   // health checks see that it is dead
  boot,     // its host is back, with nothing
  recover,  // health checks see that it is back
  // Of a load balancer.
  lose_lb,       // ECMP has one way less
  return_lb,     // … and one more; what it remembered is there
  replace_lb,    // … and one more, that remembers nothing
  restart_data,  // its data plane, which takes over what was remembered
  // Of all of them.
  restart_control,  // their control planes, which read the journal of eras
};

struct Event {
  std::uint32_t at_s = 0;
  Action action{};
  std::uint32_t subject = 0;  // position of the backend or load balancer
  std::uint32_t value = 0;
};
std::string to_text(const Event& event);

struct Schedule {
  std::uint32_t seed = 0;
  std::uint32_t backends = 0;        // in the pool from the beginning
  std::uint32_t spare_backends = 0;  // can be added
  std::uint32_t load_balancers = 0;
  std::uint32_t duration_s = 0;
  std::vector<Event> events;  // in the order of time
};

enum class Scenario : std::uint8_t {
  nothing,
  drain_one,   // of 100 backends
  rolling,     // 100 backends are drained and undrained, one after the other
  lose_lb,     // one of 100 backends is drained; a load balancer is lost soon after, and replaced later
  changes,     // anything that happens to backends, and restarts of both planes
  everything,  // … and load balancers are lost and return
};
// Throws std::runtime_error when there is none of this name.
Scenario scenario_of(const std::string& name);

// Flows begin in the first of them; nothing else happens.
inline constexpr std::uint32_t kOpeningSeconds = 2000;

Schedule make_schedule(Scenario scenario, std::uint32_t seed);

}  // namespace guideway::perf
