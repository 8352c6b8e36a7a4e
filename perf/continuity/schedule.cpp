#include "perf/continuity/schedule.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <random>
#include <stdexcept>

namespace guideway::perf {
namespace {

constexpr std::uint32_t kNoticeSeconds = 3;  // three health checks
constexpr std::uint32_t kEventsEndSeconds = 18'000;
constexpr std::uint32_t kDurationSeconds = 27'000;  // so that the last change is settled at the end
constexpr std::uint32_t kHundred = 100;

class Author {
 public:
  Author(std::uint32_t seed, bool with_lbs) : random_(seed), with_lbs_(with_lbs) {
    constexpr std::array<std::uint32_t, 3> kBackends = {10, 30, 100};
    constexpr std::array<std::uint32_t, 3> kLoadBalancers = {1, 2, 4};
    schedule_.seed = seed;
    schedule_.backends = kBackends[below(3)];
    schedule_.spare_backends = schedule_.backends / 5;
    schedule_.load_balancers = with_lbs ? kLoadBalancers[1 + below(2)] : kLoadBalancers[below(3)];
    schedule_.duration_s = kDurationSeconds;
    out_.resize(schedule_.backends + schedule_.spare_backends);
    for (std::uint32_t b = schedule_.backends; b < out_.size(); b++) out_[b] = true;
    free_from_s_.resize(out_.size());
  }

  Schedule write() {
    const std::uint32_t operations = 2 + below(14);
    std::uint32_t at_s = kOpeningSeconds + 100;
    for (std::uint32_t i = 0; i < operations && at_s < kEventsEndSeconds; i++) {
      if (with_lbs_ && below(3) == 0)
        write_load_balancer(at_s);
      else
        write_change(at_s);
      at_s += wait_s(5000);
    }
    std::ranges::stable_sort(schedule_.events, {}, &Event::at_s);
    return std::move(schedule_);
  }

 private:
  std::uint32_t below(std::uint32_t bound) { return static_cast<std::uint32_t>(random_() % bound); }
  // Short waits are as frequent as long ones: 1 … 10 s, 10 … 100 s, 100 … 1000 s.
  std::uint32_t wait_s(double longest_s) {
    const double share = static_cast<double>(random_()) / static_cast<double>(std::mt19937::max());
    return 1 + static_cast<std::uint32_t>(std::pow(longest_s, share));
  }
  void put(std::uint32_t at_s, Action action, std::uint32_t subject, std::uint32_t value = 0) {
    schedule_.events.push_back({at_s, action, subject, value});
  }

  // One that nothing else happens to. `of_out`: of those that are not in the pool or drained for good.
  std::optional<std::uint32_t> pick(std::uint32_t at_s, bool of_out) {
    for (int tries = 0; tries < 100; tries++) {
      const std::uint32_t b = below(static_cast<std::uint32_t>(out_.size()));
      if (out_[b] == of_out && free_from_s_[b] <= at_s) return b;
    }
    return {};
  }
  std::size_t in_service(std::uint32_t at_s) const {
    std::size_t count = 0;
    for (std::size_t b = 0; b < out_.size(); b++) count += !out_[b] && free_from_s_[b] <= at_s ? 1U : 0U;
    return count;
  }

  void write_change(std::uint32_t at_s) {
    if (below(8) == 0) return put(at_s, Action::restart_control, 0);
    if (below(8) == 0) return put(at_s, Action::restart_data, below(schedule_.load_balancers));
    if (below(4) == 0) return write_add(at_s);
    const auto backend = pick(at_s, false);
    if (!backend || in_service(at_s) <= schedule_.backends / 2) return write_add(at_s);
    switch (below(6)) {
      case 0:
        return write_removal(at_s, *backend);
      case 1:
        return write_crash(at_s, *backend);
      case 2:
        return write_weights(at_s, *backend);
      case 3:
        return write_rolling(at_s);
      default:
        return write_drain(at_s, *backend);
    }
  }

  void write_add(std::uint32_t at_s) {
    if (const auto backend = pick(at_s, true)) {
      put(at_s, Action::add, *backend);
      out_[*backend] = false;
      free_from_s_[*backend] = at_s + 1;
    }
  }

  void write_removal(std::uint32_t at_s, std::uint32_t backend) {
    const std::uint32_t gone_s = at_s + wait_s(10'000);
    put(at_s, Action::drain, backend);
    put(gone_s, Action::remove, backend);
    out_[backend] = true;
    free_from_s_[backend] = gone_s + 1;
  }

  void write_crash(std::uint32_t at_s, std::uint32_t backend) {
    const std::uint32_t back_s = at_s + kNoticeSeconds + wait_s(3000);
    put(at_s, Action::crash, backend);
    put(at_s + kNoticeSeconds, Action::notice, backend);
    put(back_s, Action::boot, backend);
    put(back_s + kNoticeSeconds, Action::recover, backend);
    free_from_s_[backend] = back_s + kNoticeSeconds + 1;
  }

  void write_weights(std::uint32_t at_s, std::uint32_t backend) {
    const std::uint32_t steps = 1 + below(4);
    for (std::uint32_t i = 0; i < steps; i++, at_s += wait_s(1000)) put(at_s, Action::weigh, backend, 1 + below(20));
    free_from_s_[backend] = at_s;
  }

  void write_drain(std::uint32_t at_s, std::uint32_t backend) {
    const std::uint32_t back_s = at_s + wait_s(10'000);
    put(at_s, Action::drain, backend);
    put(back_s, Action::undrain, backend);
    free_from_s_[backend] = back_s + 1;
  }

  void write_rolling(std::uint32_t at_s) {
    const std::uint32_t count = 2 + below(6);
    const std::uint32_t each_s = wait_s(600) + 2 * kNoticeSeconds;
    for (std::uint32_t i = 0; i < count; i++, at_s += each_s)
      if (const auto backend = pick(at_s, false)) write_restart(at_s, at_s + each_s, *backend);
  }

  // Drained, then down for a moment, then back.
  void write_restart(std::uint32_t at_s, std::uint32_t back_s, std::uint32_t backend) {
    put(at_s, Action::drain, backend);
    put(back_s - 2 * kNoticeSeconds, Action::crash, backend);
    put(back_s - kNoticeSeconds, Action::notice, backend);
    put(back_s, Action::boot, backend);
    put(back_s + kNoticeSeconds, Action::recover, backend);
    put(back_s + kNoticeSeconds, Action::undrain, backend);
    free_from_s_[backend] = back_s + kNoticeSeconds + 1;
  }

  void write_load_balancer(std::uint32_t at_s) {
    if (at_s < lbs_free_from_s_) return write_change(at_s);
    const std::uint32_t lb = below(schedule_.load_balancers);
    lbs_free_from_s_ = at_s + wait_s(5000);
    put(at_s, Action::lose_lb, lb);
    put(lbs_free_from_s_, below(2) == 0 ? Action::return_lb : Action::replace_lb, lb);
    lbs_free_from_s_++;
  }

  std::mt19937 random_;
  bool with_lbs_;
  Schedule schedule_;
  std::vector<bool> out_;                   // not in the pool
  std::vector<std::uint32_t> free_from_s_;  // when what was written of it is over
  std::uint32_t lbs_free_from_s_ = 0;
};

Schedule of_hundred(std::uint32_t seed) {
  Schedule schedule;
  schedule.seed = seed;
  schedule.backends = kHundred;
  schedule.load_balancers = 2;
  schedule.duration_s = kOpeningSeconds + 10'000;
  return schedule;
}

Schedule drain_one(std::uint32_t seed) {
  Schedule schedule = of_hundred(seed);
  schedule.events = {{kOpeningSeconds + 500, Action::drain, seed % kHundred, 0}};
  return schedule;
}

// All before the slots have settled.
Schedule lose_lb(std::uint32_t seed) {
  Schedule schedule = drain_one(seed);
  const std::uint32_t drained_s = schedule.events.front().at_s;
  schedule.events.push_back({drained_s + 1000, Action::lose_lb, 0, 0});
  schedule.events.push_back({drained_s + 4000, Action::replace_lb, 0, 0});
  return schedule;
}

// Each for 4 seconds, one after the other.
Schedule rolling(std::uint32_t seed) {
  constexpr std::uint32_t kEachSeconds = 4;
  Schedule schedule = of_hundred(seed);
  for (std::uint32_t b = 0; b < kHundred; b++) {
    const std::uint32_t at_s = kOpeningSeconds + 500 + b * kEachSeconds;
    schedule.events.push_back({at_s, Action::drain, b, 0});
    schedule.events.push_back({at_s + kEachSeconds, Action::undrain, b, 0});
  }
  return schedule;
}

const char* name_of(Action action) {
  constexpr const char* kNames[] = {"weigh",        "drain",          "undrain", "add",     "remove",    "crash",
                                    "notice",       "boot",           "recover", "lose_lb", "return_lb", "replace_lb",
                                    "restart_data", "restart_control"};
  return kNames[static_cast<std::size_t>(action)];
}

}  // namespace

std::string to_text(const Event& event) {
  const std::string value = event.action == Action::weigh ? fmt::format(" {}", event.value) : "";
  return fmt::format("{} {} {}{}", event.at_s, name_of(event.action), event.subject, value);
}

Scenario scenario_of(const std::string& name) {
  constexpr const char* kNames[] = {"nothing", "drain_one", "rolling", "lose_lb", "changes", "everything"};
  for (std::size_t i = 0; i < std::size(kNames); i++)
    if (name == kNames[i]) return static_cast<Scenario>(i);
  throw std::runtime_error(fmt::format("there is no scenario '{}'; there are: {}", name, fmt::join(kNames, " ")));
}

Schedule make_schedule(Scenario scenario, std::uint32_t seed) {
  switch (scenario) {
    case Scenario::nothing:
      return of_hundred(seed);
    case Scenario::drain_one:
      return drain_one(seed);
    case Scenario::rolling:
      return rolling(seed);
    case Scenario::lose_lb:
      return lose_lb(seed);
    case Scenario::changes:
    case Scenario::everything:
      break;
  }
  return Author(seed, scenario == Scenario::everything).write();
}

}  // namespace guideway::perf
