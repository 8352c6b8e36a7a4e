// What a configuration says about a worker.
// Thread-safety: pure functions.
#pragma once

#include "common/config/config.h"
#include "dataplane/worker.h"

namespace guideway {

inline FlowTimeouts flow_timeouts_of(const config::Flows& flows) {
  const auto seconds = [](config::Milliseconds timeout) { return std::chrono::ceil<Seconds>(timeout); };
  return {seconds(flows.probation_timeout), seconds(flows.idle_timeout), seconds(flows.closing_timeout),
          seconds(flows.datagram_timeout)};
}

inline WorkerSettings worker_settings_of(const config::Config& config, std::uint32_t worker,
                                         std::uint32_t worker_count) {
  return {config.dataplane.echo_per_second, config.dataplane.errors_per_second, flow_timeouts_of(config.flows),
          Identifications(worker, worker_count)};
}

}  // namespace guideway
