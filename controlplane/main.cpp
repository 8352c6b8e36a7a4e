// guideway-controlplane: from configuration, health and the kernel's routes to the tables the data plane works by.
#include <fmt/format.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <csignal>
#include <exception>
#include <iostream>
#include <stdexcept>

#include "common/command_line.h"
#include "common/config/load.h"
#include "common/path_lock.h"
#include "controlplane/api/handler.h"
#include "controlplane/api/http_server.h"
#include "controlplane/control_plane.h"
#include "controlplane/durable_file.h"
#include "controlplane/log.h"

namespace guideway::controlplane {
namespace {

// Thousands of health checks may be under way, each with a descriptor.
void raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

// Prints what is wrong with the file, and what deserves a warning.
bool report_problems(const config::LoadResult& loaded) {
  if (!loaded.diagnostics.empty() || !loaded.config) std::cerr << loaded.report();
  return !loaded.config;
}

// Two control planes would write over each other's intents and eras. A directory that cannot be written gives no lock,
// and keeps nobody from starting: whoever wants to write there will say so.
Descriptor lock_state(const std::string& state_dir) {
  make_state_directory(state_dir);
  Descriptor lock = lock_path(state_dir + "/state");
  if (!lock.valid() && errno == EADDRINUSE)
    throw std::runtime_error("another control plane keeps its state in " + state_dir +
                             "; stop it, or give each a [control] state_dir of its own");
  return lock;
}

void run(const std::string& config_path, config::LoadResult loaded) {
  EventLoop loop;
  const config::Control control = loaded.config->control;
  const Descriptor state_lock = lock_state(control.state_dir);
  ControlPlane control_plane(loop, config_path, std::move(loaded));
  // From here on we are the only control plane of this run_dir.
  const api::HttpServer server(loop, control.run_dir + "/control.sock", control.socket_group,
                               [&](const api::Request& request) { return api::handle(control_plane, request); });
  loop.on_signals({SIGHUP, SIGTERM, SIGINT}, [&](int signal) {
    if (signal == SIGHUP)
      control_plane.reload();
    else
      loop.stop();
  });
  control_plane.start();
  log(Level::info, "control plane started with {}", config_path);
  loop.run();
  // The tables stay in force: nothing is withdrawn or torn down here.
  const Generation left = control_plane.published();
  log(Level::info, "control plane stopped{}",
      left == Generation::none ? "" : fmt::format("; the data plane goes on with generation {}", number(left)));
}

int run_program(int argc, char** argv) {
  CLI::App app{"Guideway's control plane: checks backends, builds tables, hands them to guideway-dataplane."};
  std::string config_path = "/etc/guideway/guideway.toml";
  app.add_option("--config", config_path, "the configuration file")->capture_default_str();
  app.set_version_flag("--version", "guideway-controlplane " GUIDEWAY_VERSION);
  if (const auto exit_code = parse_command_line(app, argc, argv)) return *exit_code;

  config::LoadResult loaded = config::load_config(config_path);
  if (report_problems(loaded)) return 1;
  raise_descriptor_limit();
  std::signal(SIGPIPE, SIG_IGN);  // a log that nobody reads any more must not end us
  run(config_path, std::move(loaded));
  return 0;
}

}  // namespace
}  // namespace guideway::controlplane

int main(int argc, char** argv) {
  try {
    return guideway::controlplane::run_program(argc, argv);
  } catch (const std::exception& error) {
    guideway::controlplane::log_line(guideway::controlplane::Level::error, error.what());
    return 1;
  }
}
