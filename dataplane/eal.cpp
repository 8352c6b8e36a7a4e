#include "dataplane/eal.h"

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_log.h>

#include <cstdio>
#include <cstring>
#include <fstream>
#include <mutex>
#include <sstream>

#include "dataplane/device_string.h"
#include "dataplane/log.h"
#include "dataplane/start_error.h"

namespace guideway {
namespace {

// Where DPDK's log goes: a stream that keeps the first line, which names the cause.
struct ComplaintBox {
  std::mutex mutex;
  std::string first;
  bool log = false;
};
ComplaintBox complaints;

ssize_t receive_complaint(void*, const char* text, std::size_t bytes) {
  std::string_view line(text, bytes);
  while (!line.empty() && line.back() == '\n') line.remove_suffix(1);
  const std::scoped_lock lock(complaints.mutex);
  if (line.empty()) return static_cast<ssize_t>(bytes);
  if (complaints.log)
    log::error("DPDK: {}", line);
  else if (complaints.first.empty())
    complaints.first = line;
  return static_cast<ssize_t>(bytes);
}

void redirect_dpdk_log() {
  FILE* stream =
      fopencookie(nullptr, "w", {.read = nullptr, .write = receive_complaint, .seek = nullptr, .close = nullptr});
  if (stream == nullptr) return;
  setvbuf(stream, nullptr, _IOLBF, 0);
  rte_openlog_stream(stream);
}

std::string read_file(const char* path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

}  // namespace

HugepagePool parse_hugepages(const std::string& meminfo) {
  const auto number_behind = [&](const char* key) -> std::uint64_t {
    const std::size_t at = meminfo.find(key);
    return at == std::string::npos ? 0 : std::strtoull(meminfo.c_str() + at + std::strlen(key), nullptr, 10);
  };
  return {number_behind("HugePages_Free:") * number_behind("Hugepagesize:") * 1024};
}

std::vector<std::string> eal_arguments(const config::Dataplane& config, HugepagePool hugepages) {
  using config::Hugepages;
  const bool enough = hugepages.free_bytes >= std::uint64_t{config.memory_mib} << 20;
  if (config.hugepages == Hugepages::on && !enough)
    throw StartError(
        "dataplane.hugepages = \"on\", but only {} MiB of hugepages are free and dataplane.memory = {}; "
        "reserve more (sysctl vm.nr_hugepages) or set hugepages = \"auto\"",
        hugepages.free_bytes >> 20, config.memory_mib);
  const bool use_hugepages = enough && config.hugepages != Hugepages::off;

  std::string lcores = fmt::format("0@{}", config.main_core);
  for (std::size_t w = 0; w < config.worker_cores.size(); w++)
    lcores += fmt::format(",{}@{}", w + 1, config.worker_cores[w]);

  std::vector<std::string> arguments = {
      "guideway-dataplane", "--lcores",           lcores, "--main-lcore", "0", "-m", std::to_string(config.memory_mib),
      "--no-telemetry",     "--log-level=*:error"};
  if (use_hugepages)
    arguments.emplace_back("--in-memory");
  else
    arguments.insert(arguments.end(), {"--no-huge", "--no-shconf"});
  bool any_pci = false;
  for (const config::Port& port : config.ports) {
    if (!is_pci_address(port.device)) continue;
    arguments.insert(arguments.end(), {"-a", port.device});
    any_pci = true;
  }
  // Without a NIC to drive there is no reason for physical addresses.
  if (!any_pci) arguments.insert(arguments.end(), {"--no-pci", "--iova-mode=va"});
  return arguments;
}

Eal::Eal(const config::Dataplane& config) {
  const HugepagePool hugepages = parse_hugepages(read_file("/proc/meminfo"));
  std::vector<std::string> arguments = eal_arguments(config, hugepages);
  std::vector<char*> argv;
  argv.reserve(arguments.size());
  for (std::string& argument : arguments) argv.push_back(argument.data());

  redirect_dpdk_log();
  if (rte_eal_init(static_cast<int>(argv.size()), argv.data()) < 0)
    throw StartError("DPDK does not start: {}{}; check dataplane.memory ({}) against the memory that is free",
                     rte_strerror(rte_errno), take_dpdk_complaint(), config.memory_mib);
  const bool ordinary = rte_eal_has_hugepages() == 0;
  log::info("memory: {} MiB of {}", config.memory_mib,
            ordinary ? fmt::format("ordinary pages ({} MiB of hugepages are free)", hugepages.free_bytes >> 20)
                     : "hugepages");
}

Eal::~Eal() {
  rte_eal_cleanup();
}

std::string take_dpdk_complaint() {
  const std::scoped_lock lock(complaints.mutex);
  std::string clause = complaints.first.empty() ? "" : fmt::format("; DPDK says: {}", complaints.first);
  complaints.first.clear();
  return clause;
}

void log_dpdk_complaints() {
  const std::scoped_lock lock(complaints.mutex);
  complaints.log = true;
}

}  // namespace guideway
