// guidewayctl: the operator's hand. Reads its arguments, runs one command, turns failures into one sentence each.

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <functional>

#include "common/command_line.h"
#include "common/config/kinds.h"
#include "common/config/load.h"
#include "common/config/words.h"
#include "controlplane/ctl/commands.h"

namespace guideway::ctl {
namespace {

struct Arguments {
  bool json = false;
  std::string socket;
  std::string config;
  std::string file;
  bool exit_degraded = false;
  FlowArguments flow;
  std::string backend;
  std::string weight;
  std::string reason;
  std::string deadline;
  bool wait = false;
};

constexpr std::chrono::hours kDeadlineMax{30 * 24};  // as the API

Exit fail(Exit exit, const std::string& sentence) {
  std::fprintf(stderr, "guidewayctl: %s\n", config::printable(sentence).c_str());
  return exit;
}

// Nothing on stdout must not pass for a good day.
Exit written(Exit exit) {
  const std::string why = output_trouble();
  if (why.empty()) return exit;
  return fail(Exit::failed, "the answer cannot be written (" + why + "); a change that was asked for is made");
}

Output output_of(const Arguments& arguments) {
  const char* no_color = std::getenv("NO_COLOR");  // NOLINT(concurrency-mt-unsafe): there is one thread
  const bool wanted = no_color == nullptr || *no_color == '\0';
  const bool terminal = ::isatty(STDOUT_FILENO) == 1;
  return {arguments.json, terminal, {wanted && terminal}};
}

ApiClient client_of(const Arguments& arguments) {
  if (!arguments.socket.empty()) return ApiClient(arguments.socket);
  if (arguments.config.empty()) return ApiClient(config::Control{}.run_dir + "/control.sock");
  const config::LoadResult result = config::load_config(arguments.config);
  if (!result.config)
    throw UsageError(arguments.config + " has errors, so run_dir is unknown; see: guidewayctl check " +
                     arguments.config);
  return ApiClient(result.config->control.run_dir + "/control.sock");
}

// A number, or "file".
std::optional<std::uint16_t> weight_of(const std::string& text) {
  if (text == "file") return std::nullopt;
  std::uint16_t weight = 0;
  const char* end = text.data() + text.size();
  if (const auto parsed = std::from_chars(text.data(), end, weight); parsed.ec != std::errc{} || parsed.ptr != end)
    throw UsageError("a weight is a number from 0 to 65535, or \"file\" for the file's own, not " +
                     config::in_quotes(text));
  return weight;
}

// As a duration in the configuration file.
std::optional<std::chrono::seconds> deadline_of(const std::string& text) {
  if (text.empty()) return std::nullopt;
  const config::Value value{text, {}};
  config::Review review("");
  const auto time = config::duration_in({value, "--deadline", review}, std::chrono::seconds(1), kDeadlineMax);
  if (!time) throw UsageError(std::move(review).in_order_of_the_file().front().message);
  return std::chrono::ceil<std::chrono::seconds>(*time);
}

// A variable that a script forgot to set must not lead to the default socket, which another load balancer may have.
std::string not_empty(const std::string& text) {
  return text.empty() ? "is empty; fill it in or leave it out" : "";
}

void add_backend(CLI::App* command, Arguments& arguments) {
  command->add_option("BACKEND", arguments.backend, "POOL/NAME, or NAME when only one pool has it")->required();
}

void add_reason(CLI::App* command, Arguments& arguments) {
  command->add_option("--reason", arguments.reason, "Why, for whoever looks at status");
}

void add_flow(CLI::App* command, FlowArguments& flow) {
  const CLI::Range port_range(0, 65535);
  command->add_option("PROTOCOL", flow.protocol, "tcp or udp")->required()->check(CLI::IsMember({"tcp", "udp"}));
  command->add_option("SOURCE", flow.source, "The client's address")->required();
  command->add_option("SPORT", flow.source_port, "The client's port")->required()->check(port_range);
  command->add_option("DESTINATION", flow.destination, "The VIP's address")->required();
  command->add_option("DPORT", flow.destination_port, "The VIP's port")->required()->check(port_range);
}

// Declares everything; the command that was given ends up in `run`.
void declare(CLI::App& app, Arguments& arguments, std::function<Exit()>& run) {
  app.require_subcommand(1);
  app.fallthrough();
  app.set_version_flag("--version", "guidewayctl " GUIDEWAY_VERSION);
  app.add_flag("--json", arguments.json, "Answer in JSON, for machines");
  auto* socket = app.add_option("--socket", arguments.socket, "The control plane's socket")->check(not_empty);
  app.add_option("--config", arguments.config, "Find the socket in this file's [control] run_dir")
      ->excludes(socket)
      ->check(not_empty);
  const auto command = [&](const char* name, const char* help, std::function<Exit()> action) {
    CLI::App* sub = app.add_subcommand(name, help);
    sub->fallthrough();
    sub->final_callback([&run, action = std::move(action)] { run = action; });
    return sub;
  };
  Arguments& a = arguments;

  auto* sub =
      command("check", "Say what is wrong in a configuration file", [&] { return check(a.file, output_of(a)); });
  sub->add_option("FILE", a.file, "The file, e.g. /etc/guideway/guideway.toml")->required();

  sub = command("plan", "Say what a reload of a configuration file would change, and change nothing",
                [&] { return plan(client_of(a), a.file, output_of(a)); });
  sub->add_option("FILE", a.file, "The file, e.g. a copy of guideway.toml with your changes")->required();

  sub = command("status", "Show VIPs, pools, backends, and how they are",
                [&] { return status(client_of(a), a.exit_degraded, output_of(a)); });
  sub->add_flag("--check", a.exit_degraded, "Exit with 3 if anything is not as it should be");

  sub = command("explain", "Say which backend a flow goes to, and why",
                [&] { return explain(client_of(a), a.flow, output_of(a)); });
  add_flow(sub, a.flow);

  sub = command("drain", "Give a backend no new flows", [&] {
    return drain(client_of(a), a.backend, {a.reason, deadline_of(a.deadline), a.wait}, output_of(a));
  });
  add_backend(sub, a);
  add_reason(sub, a);
  sub->add_option("--deadline", a.deadline, "Take it out of the tables so long from now (90s, 30m, 2h)");
  sub->add_flag("--wait", a.wait, "Return when no flow is left; exit with 5 if the deadline may have cut some");

  sub = command("undrain", "Give a drained backend new flows again",
                [&] { return undrain(client_of(a), a.backend, output_of(a)); });
  add_backend(sub, a);

  sub = command("weight", "Give a backend another weight than the file does",
                [&] { return weight(client_of(a), a.backend, weight_of(a.weight), a.reason, output_of(a)); });
  add_backend(sub, a);
  sub->add_option("N", a.weight, "0 to 65535, or \"file\": as the file says")->required();
  add_reason(sub, a);

  command("version", "Say which version this is, and which one runs",
          [&] { return version(client_of(a), output_of(a)); });
}

// CLI11 would only say that a command is missing.
std::string unknown_command(const CLI::App& app) {
  const auto words = app.remaining();
  if (words.empty() || !app.get_subcommands().empty()) return "";
  std::vector<std::string> commands;
  for (const CLI::App* command : app.get_subcommands(nullptr)) commands.push_back(command->get_name());
  const std::string* nearest = config::nearest(words.front(), commands);
  return "there is no command " + config::in_quotes(words.front()) +
         (nearest != nullptr ? "; did you mean " + config::in_quotes(*nearest) + "?" : "; see: guidewayctl --help");
}

Exit run_command(int argc, char** argv) {
  CLI::App app("guidewayctl: look at a Guideway load balancer, and change what it does.");
  app.footer(
      "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 degraded (status --check), 4 the control plane is unreachable,\n"
      "  5 a deadline may have cut flows (drain --wait)");
  Arguments arguments;
  std::function<Exit()> run;
  declare(app, arguments, run);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& request) {  // --help, --version
    app.exit(request);
    return Exit::ok;
  } catch (const CLI::ParseError& error) {
    if (const std::string sentence = unknown_command(app); !sentence.empty()) return fail(Exit::usage, sentence);
    return fail(Exit::usage, std::string(error.what()) + "; see: guidewayctl --help");
  }
  try {
    return written(run());
  } catch (const Unreachable& error) {
    return fail(Exit::unreachable, error.what());
  } catch (const Refused& error) {
    return fail(Exit::failed, error.what());
  } catch (const UsageError& error) {
    return fail(Exit::usage, error.what());
  } catch (const nlohmann::json::exception& error) {
    return fail(Exit::failed, std::string("guideway-controlplane answers in a way this guidewayctl does not know (") +
                                  error.what() + "); use the guidewayctl of its version");
  }
}

}  // namespace
}  // namespace guideway::ctl

int main(int argc, char** argv) {
  try {
    return static_cast<int>(guideway::ctl::run_command(argc, argv));
  } catch (const std::exception& error) {
    return static_cast<int>(guideway::ctl::fail(guideway::ctl::Exit::failed, error.what()));
  }
}
