#include "controlplane/fail_open.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "controlplane/log.h"

namespace guideway::controlplane {
namespace {

using std::chrono::milliseconds;

// Of the backends that are to take flows. Those whose check is in `failing` count as down, too.
bool too_few_not_down(const Facts& facts, const config::Pool& pool, const std::set<HealthTarget>& failing) {
  const config::HealthCheck* check = health_check_of(facts.config, pool);
  if (check == nullptr) return false;
  std::uint64_t all = 0;
  std::uint64_t not_down = 0;
  for (const config::Backend& backend : pool.backends) {
    const Intent intent = intent_of(facts, pool, backend);
    if (intent.drained) continue;
    const std::uint64_t weight = intent.weight.value_or(backend.weight);
    const bool down =
        health_of(facts, pool, backend) == Health::down || failing.contains({backend.address, check->name});
    all += weight;
    not_down += down ? 0 : weight;
  }
  return 100 * not_down < pool.fail_open_below * all;
}

std::set<IpAddress> down_in(const Facts& facts, const config::Pool& pool) {
  std::set<IpAddress> down;
  for (const config::Backend& backend : pool.backends)
    if (health_of(facts, pool, backend) == Health::down) down.insert(backend.address);
  return down;
}

// The longest that a check takes from a change of its backend to its verdict.
milliseconds verdict_time(const config::HealthCheck& check) {
  const double longest = static_cast<double>(check.interval.count()) * (1 + check.jitter);
  const auto checks = static_cast<std::int64_t>(longest * std::max(check.rise, check.fall));
  return milliseconds(checks) + check.timeout;
}

}  // namespace

bool fails_open(const Facts& facts, const config::Pool& pool) {
  if (pool.fail_open_below == 0) return false;
  if (facts.held_open.contains(pool.name)) return !down_in(facts, pool).empty();
  return too_few_not_down(facts, pool, {});
}

std::string fail_open_warning(const config::Pool& pool, const std::vector<BackendDecision>& decisions) {
  const auto down = std::ranges::count(decisions, BackendState::down, &BackendDecision::state);
  return fmt::format(
      "pool {} fails open: its checks hold {} of {} backends down and are not believed (fail_open_below = {}), so "
      "these "
      "get their traffic all the same; if they serve, look for what breaks the checks (the path from this host, a "
      "firewall, an overloaded check endpoint), else drain those that are dead",
      pool.name, down, decisions.size(), pool.fail_open_below);
}

std::string fail_open_note(const BackendDecision& decision) {
  if (decision.state != BackendState::down || !decision.usable()) return "";
  return "; down, but it gets its traffic all the same, since the pool fails open";
}

FailOpen::FailOpen(EventLoop& loop, std::function<void()> ended) : timer_(loop, std::move(ended)) {}

void FailOpen::follow(const Facts& facts, const std::set<HealthTarget>& failing) {
  std::map<std::string, Watched> watched;
  pools_.clear();
  for (const config::Pool& pool : facts.config.pools) {
    if (pool.fail_open_below == 0 || health_check_of(facts.config, pool) == nullptr) continue;
    Watched& of_pool = watched[pool.name];
    of_pool = std::move(watched_[pool.name]);
    follow_pool(facts, pool, failing, of_pool);
    if (of_pool.until && *of_pool.until > facts.now) pools_.insert(pool.name);
  }
  watched_ = std::move(watched);
  await(facts.now);
}

void FailOpen::follow_pool(const Facts& facts, const config::Pool& pool, const std::set<HealthTarget>& failing,
                           Watched& watched) const {
  std::set<IpAddress> down = down_in(facts, pool);
  const bool one_went_down = !std::ranges::includes(watched.down, down);
  const bool too_few = too_few_not_down(facts, pool, {});
  const bool too_few_soon = one_went_down && too_few_not_down(facts, pool, failing);
  if (too_few || watched.too_few || too_few_soon)
    watched.until = facts.now + verdict_time(*health_check_of(facts.config, pool));
  watched.down = std::move(down);
  watched.too_few = too_few;
}

void FailOpen::await(Deadline now) {
  std::optional<milliseconds> wait;
  for (const auto& [name, watched] : watched_)
    if (!watched.too_few && watched.until && *watched.until > now)
      wait = std::min(wait.value_or(milliseconds::max()), *watched.until - now);
  timer_.stop();
  if (wait) timer_.start(*wait);
}

void FailOpen::note(const config::Config& config, const DesiredState& desired) {
  std::set<std::string> open;
  for (std::size_t p = 0; p < config.pools.size(); p++) {
    const config::Pool& pool = config.pools[p];
    if (!desired.fails_open[p]) continue;
    open.insert(pool.name);
    if (!logged_.contains(pool.name)) log(Level::warning, "{}", fail_open_warning(pool, desired.backends[p]));
  }
  for (const std::string& name : logged_)
    if (!open.contains(name)) log(Level::info, "pool {} no longer fails open: its checks count again", name);
  logged_ = std::move(open);
}

}  // namespace guideway::controlplane
