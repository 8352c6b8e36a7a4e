// guideway-dataplane: moves packets from clients to backends, and goes on doing so when everything else is dead.
#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <string>

#include "common/command_line.h"
#include "common/config/load.h"
#include "common/config/start_digests.h"
#include "common/shm/handover.h"
#include "common/shm/tables_reader.h"
#include "dataplane/eal.h"
#include "dataplane/host_requirements.h"
#include "dataplane/log.h"
#include "dataplane/main_loop.h"
#include "dataplane/port_set.h"
#include "dataplane/replay/replay.h"
#include "dataplane/start_error.h"
#include "dataplane/stats_segment.h"
#include "dataplane/tsc_clock.h"
#include "dataplane/worker_group.h"
#include "dataplane/worker_settings.h"

namespace guideway {
namespace {

struct Options {
  std::string config;
  bool wait_for_tables = false;
  bool no_huge = false;
  std::vector<std::string> replay;  // in, out; empty: run for real
  replay::Options offline;
};

config::Config load(const Options& options) {
  config::LoadResult result = config::load_config(options.config);
  if (!result.diagnostics.empty()) std::fputs(result.report().c_str(), stderr);
  if (!result.config) throw StartError("{} has errors, see above; nothing was started", options.config);
  return *std::move(result.config);
}

config::Config with_options(config::Config config, const Options& options) {
  if (options.no_huge) config.dataplane.hugepages = config::Hugepages::off;
  return config;
}

FlowsFile open_flows(const config::Config& config, const TscClock& clock) {
  FlowsFile flows(config.control.run_dir, static_cast<std::uint32_t>(config.dataplane.worker_cores.size()),
                  config.flows.max_per_worker, flow_timeouts_of(config.flows),
                  std::chrono::duration_cast<Seconds>(clock.now()));
  if (!flows.trouble().empty())
    log::warning("the flows that an earlier data plane remembered are lost: {}", flows.trouble());
  else if (flows.taken_over() > 0)
    log::info("took over {} flows of an earlier data plane", flows.taken_over());
  return flows;
}

void run(const Options& options) {
  require_cpu_features();
  require_root();
  const config::Config of_file = load(options);
  const config::Config config = with_options(of_file, options);
  require_cores(config.dataplane);
  // Beyond this point the configuration is valid, and the host has what it names.

  Signals signals;
  std::filesystem::create_directories(config.control.run_dir);
  StatsSegment stats(config.dataplane, config::start_digests_of(of_file));
  shm::HandoverServer handover(config.control.run_dir + "/dataplane.sock", stats.read_only_descriptor());
  // Beyond this point no other data plane serves this run directory, and signals wait for the main loop.

  const Eal eal(config.dataplane);
  // Beyond this point there is memory, and a thread waits on every worker's core.

  PortSet ports(config.dataplane);
  ports.describe(stats);
  stats.publish();
  // Beyond this point every port has a queue pair for every worker, and others may read the stats region.

  const TscClock clock;
  FlowsFile flows = open_flows(config, clock);
  // Beyond this point what an earlier data plane remembered of flows is remembered here.

  shm::Gatekeeper gatekeeper(stats.header());
  WorkerGroup workers(config, ports, stats, flows, gatekeeper);
  MainLoop main_loop(
      {config, signals, stats, handover, ports, flows, clock, gatekeeper, workers, options.wait_for_tables});
  log_dpdk_complaints();
  main_loop.run();
  // Beyond this point no worker runs; what was opened is closed in reverse order.
}

void run_offline(const Options& options) {
  require_cpu_features();
  replay::Options offline = options.offline;
  offline.config = options.config;
  offline.in = options.replay[0];
  offline.out = options.replay[1];
  replay::run(offline);
}

int run_program(int argc, char** argv) {
  Options options;
  CLI::App app("Guideway's data plane: balances packets to VIPs over their backends.", "guideway-dataplane");
  app.add_option("--config", options.config, "the configuration file")->required();
  app.add_flag("--wait-for-tables", options.wait_for_tables, "receive nothing before the first tables are there");
  app.add_flag("--no-huge", options.no_huge, "use ordinary pages even if hugepages are free");
  app.add_option("--replay", options.replay,
                 "offline: what would become of the packets of the capture IN, written to OUT")
      ->expected(2)
      ->type_name("IN OUT");
  app.add_flag("--explain", options.offline.explain, "with --replay: a line for each packet")->needs("--replay");
  app.add_option(
         "--before", options.offline.before,
         "with --replay: a configuration that was in force lately, so that slots are unsettled; the oldest first")
      ->needs("--replay");
  app.add_option("--changes", options.offline.changes,
                 "with --replay: a file of what happens to backends meanwhile, SECONDS POOL/BACKEND STATE in each line")
      ->needs("--replay");
  app.add_option("--kernel", options.offline.kernel, "with --replay: write what goes to the kernel to this file")
      ->needs("--replay");
  app.add_option("--counters", options.offline.counters, "with --replay: write the counters to this file, as JSON")
      ->needs("--replay");
  app.set_version_flag("--version", "guideway-dataplane " GUIDEWAY_VERSION);
  if (const auto exit_code = parse_command_line(app, argc, argv)) return *exit_code;
  std::signal(SIGPIPE, SIG_IGN);  // a closed stderr must not end forwarding
  if (options.replay.empty())
    run(options);
  else
    run_offline(options);
  return 0;
}

}  // namespace
}  // namespace guideway

int main(int argc, char** argv) {
  try {
    return guideway::run_program(argc, argv);
  } catch (const std::exception& e) {
    guideway::log::write(guideway::log::Level::error, e.what());
    return 1;
  }
}
