// guideway-backend: decapsulation on a backend's interface. docs/backend.md is its manual.
//
// Exit codes: 0 done (status: attached), 1 failed, 2 wrong usage, 3 status: not attached.
#include <bpf/libbpf.h>
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "bpf/decap_pins.h"
#include "bpf/decap_program.h"
#include "bpf/network_namespace.h"
#include "common/command_line.h"
#include "common/net/address_text.h"
#include "common/net/prefix.h"

namespace guideway::bpf {
namespace {

constexpr int kFailed = 1;
constexpr int kNotAttached = 3;

struct Options {
  std::string interface;
  std::vector<std::string> sources;
  std::vector<std::string> locals;
  std::uint16_t gue_port = kGuePort;
  bool no_ipip = false;
  bool no_gre = false;
  std::string second_chance = "on";
  std::uint32_t hop_rate = kHopRate;
  std::vector<std::string> netns;
  std::string mode = "auto";
  bool pin = false;
  bool json = false;
};

std::vector<std::string> texts(const auto& values) {
  std::vector<std::string> out;
  out.reserve(values.size());
  for (const auto& value : values) out.push_back(to_text(value));
  return out;
}

std::vector<std::string> netns_names(const DecapSettings& settings) {
  std::vector<std::string> out;
  for (const std::uint32_t id : settings.netns) out.push_back(network_namespace_name(id));
  return out;
}

std::optional<std::string> pins_of(const std::string& interface) {
  const auto directory = decap_pin_directory(interface);
  return std::filesystem::exists(directory) ? std::optional(directory.string()) : std::nullopt;
}

void print_json(const std::string& interface, const DecapStatus& status) {
  nlohmann::ordered_json out;
  out["interface"] = interface;
  out["attached"] = true;
  out["mode"] = to_text(status.mode);
  out["program_id"] = status.program_id;
  const auto pins = pins_of(interface);
  out["pins"] = pins ? nlohmann::ordered_json(*pins) : nlohmann::ordered_json();
  out["ipip"] = status.settings.ipip;
  out["gre"] = status.settings.gre;
  out["gue_port"] = status.settings.gue_port;
  out["second_chance"] = status.settings.second_chance;
  out["hop_rate"] = status.settings.hop_rate;
  out["netns"] = netns_names(status.settings);
  out["sources"] = texts(status.settings.sources);
  out["locals"] = texts(status.settings.locals);
  for (std::size_t i = 0; i < kDecapCounters.size(); i++) out["packets"][kDecapCounters[i].name] = status.counters[i];
  fmt::print("{}\n", out.dump(2));
}

void print_text(const std::string& interface, const DecapStatus& status) {
  const auto& settings = status.settings;
  fmt::print("{}: decapsulation attached, {} mode, program {}\n", interface, to_text(status.mode), status.program_id);
  fmt::print("  IPIP     {}\n", settings.ipip ? "yes" : "no");
  fmt::print("  GRE      {}\n", settings.gre ? "yes" : "no");
  fmt::print("  GUE      {}\n", settings.gue_port != 0 ? fmt::format("port {}", settings.gue_port) : "no");
  fmt::print("  chance   {}\n",
             settings.second_chance
                 ? fmt::format("second chance on, at most {} packets a second to other backends", settings.hop_rate)
                 : "second chance off");
  if (!settings.netns.empty()) fmt::print("  netns    {}\n", fmt::join(netns_names(settings), " "));
  fmt::print("  sources  {}\n", fmt::join(texts(settings.sources), " "));
  fmt::print("  locals   {}\n", fmt::join(texts(settings.locals), " "));
  if (const auto pins = pins_of(interface)) fmt::print("  pins     {}\n", *pins);
  fmt::print("  packets\n");
  for (std::size_t i = 0; i < kDecapCounters.size(); i++)
    fmt::print("    {:<15}{:>14}  {}\n", kDecapCounters[i].name, status.counters[i], kDecapCounters[i].meaning);
}

int status(const Options& options) {
  const auto program = find_decap(options.interface);
  if (!program) {
    if (options.json)
      fmt::print("{}\n", nlohmann::ordered_json{{"interface", options.interface}, {"attached", false}}.dump(2));
    else
      fmt::print("{}: no decapsulation; `guideway-backend attach {} --source PREFIX` starts it\n", options.interface,
                 options.interface);
    return kNotAttached;
  }
  (options.json ? print_json : print_text)(options.interface, status_of(*program));
  return 0;
}

IpPrefix source_of(const std::string& text) {
  std::string why;
  if (const auto source = parse_prefix(text, why)) return *source;
  throw std::runtime_error("--source \"" + text + "\" " + why);
}

// Nobody can send a tunnel's packets to such an address and mean one host.
constexpr IpPrefix kNoHost[] = {
    {IpAddress::from_v4(Be32::from_host(0)), 32},
    {IpAddress::from_v4(Be32::from_host(0xe0000000)), 4},
    {IpAddress::from_v4(Be32::from_host(0xffffffff)), 32},
    {{}, 128},
    {{{0xff}}, 8},
};

IpAddress local_of(const std::string& text) {
  const auto address = parse_ip(text);
  if (!address) throw std::runtime_error("--local \"" + text + "\" is no address; write 192.0.2.1 or 2001:db8::1");
  if (std::ranges::any_of(kNoHost, [&](const IpPrefix& prefix) { return contains(prefix, *address); }))
    throw std::runtime_error("--local \"" + text +
                             "\" is no address of one host; name the one that load balancers send to, or none: the "
                             "interface's are the default");
  return *address;
}

void warn_of_any_source(const IpPrefix& source) {
  if (source.bits != 0) return;
  std::fprintf(stderr,
               "guideway-backend: warning: --source %s lets anybody put packets into this host's stack; name the load "
               "balancers only\n",
               to_text(source).c_str());
}

DecapSettings settings_of(const Options& options) {
  DecapSettings settings;
  for (const std::string& text : options.sources) settings.sources.push_back(source_of(text));
  for (const std::string& text : options.locals) settings.locals.push_back(local_of(text));
  if (options.locals.empty()) settings.locals = addresses_of(options.interface);
  if (settings.locals.empty())
    throw std::runtime_error(options.interface +
                             " has no address, so no tunnel can end there; give it one, or name others with --local");
  settings.gue_port = options.gue_port;
  settings.ipip = !options.no_ipip;
  settings.gre = !options.no_gre;
  if (!settings.ipip && !settings.gre && settings.gue_port == 0)
    throw std::runtime_error(
        "--no-ipip, --no-gre and --gue-port 0 leave nothing to decapsulate; leave one of them out");
  settings.second_chance = options.second_chance == "on";
  settings.hop_rate = options.hop_rate;
  for (const std::string& name : options.netns) settings.netns.push_back(network_namespace_id(name));
  return settings;
}

int attach(const Options& options) {
  std::optional<XdpMode> mode;
  if (options.mode != "auto") mode = options.mode == "native" ? XdpMode::native : XdpMode::generic;
  if (options.pin) require_bpf_file_system();  // before anything changes
  const DecapSettings settings = settings_of(options);
  const Attach done = attach_decap(options.interface, settings, mode);
  std::ranges::for_each(settings.sources, warn_of_any_source);
  // Pins that are there must not go on showing the program that was replaced.
  if (options.pin || pins_of(options.interface)) pin_decap(find_decap(options.interface).value(), options.interface);
  if (options.json) return status(options);
  const DecapStatus now = status_of(find_decap(options.interface).value());
  fmt::print("{}: decapsulation {}, {} mode, {} source{}, {} local address{}\n", options.interface,
             done == Attach::fresh ? "attached" : "updated", to_text(now.mode), now.settings.sources.size(),
             now.settings.sources.size() == 1 ? "" : "s", now.settings.locals.size(),
             now.settings.locals.size() == 1 ? "" : "es");
  return 0;
}

int detach(const Options& options) {
  const auto program = find_decap(options.interface);
  if (program) program->detach();
  const bool had_pins = unpin_decap(options.interface);
  if (options.json)
    fmt::print("{}\n", nlohmann::ordered_json{{"interface", options.interface}, {"attached", false}}.dump(2));
  else
    fmt::print("{}: {}\n", options.interface,
               program    ? "decapsulation detached"
               : had_pins ? "left-over pins removed"
                          : "nothing was attached");
  return 0;
}

int run(int argc, char** argv) {
  CLI::App app{"Decapsulation of load-balanced packets (IPIP, GUE, GRE) on a backend's interface"};
  app.require_subcommand(1);
  app.set_version_flag("--version", "guideway-backend " GUIDEWAY_VERSION);
  Options options;
  const auto subcommand = [&](const char* name, const char* what) {
    CLI::App* sub = app.add_subcommand(name, what);
    sub->add_option("interface", options.interface, "the interface that encapsulated packets come in on")->required();
    sub->add_flag("--json", options.json, "answer in JSON");
    return sub;
  };
  CLI::App* attach_command = subcommand("attach", "start decapsulation, or change what it accepts without a gap");
  attach_command->add_option("--source", options.sources, "accept from this prefix: the load balancers (repeatable)")
      ->required();
  attach_command->add_option("--local", options.locals,
                             "our address that tunnels end at (repeatable; default: the interface's addresses now)");
  attach_command->add_option("--gue-port", options.gue_port, "UDP port of GUE; 0: no GUE")->capture_default_str();
  attach_command->add_flag("--no-ipip", options.no_ipip, "leave IPIP alone");
  attach_command->add_flag("--no-gre", options.no_gre, "leave GRE alone");
  attach_command
      ->add_option("--second-chance", options.second_chance,
                   "off: decapsulate what has a hop list here, whosever it is")
      ->check(CLI::IsMember({"on", "off"}))
      ->capture_default_str();
  attach_command->add_option("--hop-rate", options.hop_rate, "packets a second to pass on to other backends")
      ->check(CLI::Range(1U, kHopRateMax))
      ->capture_default_str();
  attach_command->add_option("--netns", options.netns,
                             "look for connections in this network namespace too (repeatable)");
  attach_command->add_option("--mode", options.mode, "where XDP runs: native in the driver, generic in the stack")
      ->check(CLI::IsMember({"auto", "native", "generic"}))
      ->capture_default_str();
  attach_command->add_flag("--pin", options.pin, "also pin program and maps under /sys/fs/bpf/guideway");
  CLI::App* detach_command = subcommand("detach", "stop decapsulation and remove its pins");
  subcommand("status", "show settings and counters; exit code 3 when not attached");

  if (const auto exit_code = parse_command_line(app, argc, argv)) return *exit_code;
  if (*attach_command) return attach(options);
  if (*detach_command) return detach(options);
  return status(options);
}

}  // namespace
}  // namespace guideway::bpf

int main(int argc, char** argv) {
  libbpf_set_print(nullptr);  // our errors are sentences of our own
  try {
    const int exit_code = guideway::bpf::run(argc, argv);
    const std::string why = guideway::output_trouble();
    if (!why.empty()) throw std::runtime_error("the answer cannot be written: " + why);
    return exit_code;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "guideway-backend: %s\n", error.what());
    return guideway::bpf::kFailed;
  }
}
