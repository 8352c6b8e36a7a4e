#include "controlplane/pool_warnings.h"

#include <fmt/format.h>

#include <algorithm>

#include "controlplane/fail_open.h"

namespace guideway::controlplane {
namespace {

void add_state_warnings(const config::Pool& pool, const std::vector<BackendDecision>& decisions,
                        std::vector<std::string>& warnings) {
  for (const BackendState state : {BackendState::down, BackendState::unreachable})
    if (const auto n = std::ranges::count(decisions, state, &BackendDecision::state); n > 0)
      warnings.push_back(fmt::format("pool {}: {} of {} backends {} {}", pool.name, n, decisions.size(),
                                     n == 1 ? "is" : "are", to_text(state)));
  const auto keeps_connections = [](const BackendDecision& backend) {
    return backend.state == BackendState::drained || (backend.state == BackendState::up && !backend.usable());
  };
  if (std::ranges::any_of(decisions, &BackendDecision::usable)) return;
  if (std::ranges::any_of(decisions, keeps_connections))
    warnings.push_back(
        fmt::format("pool {}: no backend takes new flows, all are drained; its VIPs stay announced for "
                    "the connections that there are",
                    pool.name));
  else
    warnings.push_back(fmt::format("pool {}: no backend is usable", pool.name));
}

}  // namespace

void add_pool_warnings(const config::Config& config, const DesiredState& desired, const Publisher& publisher,
                       std::vector<std::string>& warnings) {
  for (std::size_t p = 0; p < config.pools.size() && p < desired.backends.size(); p++) {
    const config::Pool& pool = config.pools[p];
    add_state_warnings(pool, desired.backends[p], warnings);
    if (desired.fails_open[p]) warnings.push_back(fail_open_warning(pool, desired.backends[p]));
    if (const std::uint32_t crowded = publisher.crowded_slots(p); crowded > 0)
      warnings.push_back(fmt::format(
          "pool {}: {} had more living owners lately than are kept; connections of the ones left out may break if a "
          "load balancer is lost",
          pool.name, crowded == 1 ? "1 slot" : fmt::format("{} slots", crowded)));
  }
}

}  // namespace guideway::controlplane
