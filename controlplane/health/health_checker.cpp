#include "controlplane/health/health_checker.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "controlplane/log.h"

namespace guideway::controlplane {

using std::chrono::steady_clock;

struct HealthChecker::Target {
  HealthTarget key;
  config::HealthCheck check;
  HealthState state;
  std::string last_result;
  Timer timer;
};

HealthChecker::HealthChecker(EventLoop& loop, std::function<void(const Verdict&)> on_verdict, Hindrance hindrance)
    : loop_(loop), prober_(loop), on_verdict_(std::move(on_verdict)), hindrance_(std::move(hindrance)) {}
HealthChecker::~HealthChecker() = default;

void HealthChecker::follow(const config::Config& config) {
  std::map<HealthTarget, const config::HealthCheck*> wanted;
  for (const config::Pool& pool : config.pools)
    if (const config::HealthCheck* check = health_check_of(config, pool); check != nullptr)
      for (const config::Backend& backend : pool.backends) wanted[{backend.address, check->name}] = check;

  std::erase_if(targets_, [&](const auto& entry) { return !wanted.contains(entry.first); });
  std::erase_if(health_, [&](const auto& entry) { return !wanted.contains(entry.first); });
  std::erase_if(hindrances_, [&](const auto& entry) { return !wanted.contains(entry.first); });
  for (const auto& [key, check] : wanted) {
    const auto found = targets_.find(key);
    if (found == targets_.end())
      begin(key, *check, Health::unknown);
    else if (found->second->check != *check)
      begin(key, *check, found->second->state.health());
  }
}

void HealthChecker::assume(const std::map<HealthTarget, Health>& inherited) {
  for (const auto& [key, health] : inherited) {
    const auto found = targets_.find(key);
    if (found == targets_.end() || found->second->state.health() != Health::unknown) continue;
    begin(key, config::HealthCheck(found->second->check), health);
    targets_.at(key)->last_result =
        std::string(health == Health::up ? "up" : "down") + " before this check began; not checked yet";
  }
}

std::set<HealthTarget> HealthChecker::failing() const {
  std::set<HealthTarget> failing;
  for (const auto& [key, target] : targets_)
    if (target->state.health() == Health::up && target->state.contrary() > 0) failing.insert(key);
  return failing;
}

std::string HealthChecker::last_result(const HealthTarget& target) const {
  const auto found = targets_.find(target);
  return found == targets_.end() ? std::string() : found->second->last_result;
}

std::string HealthChecker::trouble() const {
  if (hindrances_.empty()) return {};
  return fmt::format("this host cannot check {} of {} health targets, so their last verdicts hold: {}",
                     hindrances_.size(), targets_.size(), hindrances_.begin()->second);
}

void HealthChecker::begin(const HealthTarget& key, const config::HealthCheck& check, Health initial) {
  const auto now = steady_clock::now();
  auto target = std::make_shared<Target>(
      Target{key, check, HealthState(check, initial, now, random()), "not checked yet", Timer(loop_, [this, key] {
               if (const auto found = targets_.find(key); found != targets_.end()) check_now(found->second);
             })});
  target->timer.start(target->state.due() - now);
  targets_[key] = target;
  health_[key] = initial;
}

void HealthChecker::check_now(const std::shared_ptr<Target>& target) {
  target->state.begin(steady_clock::now(), random());
  // A target that is gone or begun anew by the time the result arrives does not hear of it.
  const IpAddress address = target->key.address;
  prober_.probe(address, target->check,
                [this, weak = std::weak_ptr(target), hindrance = hindrance_(address)](const ProbeResult& result) {
                  const auto alive = weak.lock();
                  if (alive) finished(alive, without_blame(result, alive->key.address, hindrance));
                });
}

// `hindrance`: what was in the way when the probe began.
ProbeResult HealthChecker::without_blame(const ProbeResult& result, const IpAddress& address,
                                         std::string hindrance) const {
  if (result.verdict != ProbeResult::Verdict::bad) return result;
  if (hindrance.empty()) hindrance = hindrance_(address);
  return hindrance.empty() ? result : ProbeResult{ProbeResult::Verdict::none, hindrance};
}

void HealthChecker::finished(const std::shared_ptr<Target>& target, const ProbeResult& result) {
  target->timer.start(std::max<std::chrono::nanoseconds>(target->state.due() - steady_clock::now(), {}));
  const bool is_hindered = result.verdict == ProbeResult::Verdict::none;
  if (is_hindered)
    hindrances_[target->key] = result.reason;
  else
    hindrances_.erase(target->key);
  note_trouble();
  if (!is_hindered) judge(*target, result);
}

void HealthChecker::judge(Target& target, const ProbeResult& result) {
  HealthState& state = target.state;
  const Health before = state.health();
  const std::uint32_t results = state.contrary() + 1;
  const std::uint32_t needed = before == Health::unknown ? 1 : state.threshold();
  const bool success = result.verdict == ProbeResult::Verdict::good;
  const bool contrary = (before == Health::up) != success;
  target.last_result =
      contrary && needed > 1 ? fmt::format("{} ({} of {})", result.reason, results, needed) : result.reason;
  if (!state.finish(success)) return;
  health_[target.key] = state.health();
  on_verdict_({target.key, state.health(), target.last_result});
}

void HealthChecker::note_trouble() {
  const bool was_in_trouble = std::exchange(in_trouble_, !hindrances_.empty());
  if (in_trouble_ && !was_in_trouble) log(Level::warning, "{}", trouble());
  if (!in_trouble_ && was_in_trouble) log(Level::info, "this host can check all health targets again");
}

}  // namespace guideway::controlplane
