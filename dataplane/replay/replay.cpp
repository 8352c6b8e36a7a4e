#include "dataplane/replay/replay.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <filesystem>
#include <fstream>
#include <optional>
#include <stdexcept>

#include "common/config/load.h"
#include "dataplane/replay/replay_tables.h"
#include "dataplane/replay/report.h"
#include "dataplane/worker_settings.h"

namespace guideway::replay {
namespace {

config::Config load(const std::string& path) {
  config::LoadResult result = config::load_config(path);
  if (!result.diagnostics.empty()) fmt::print(stderr, "{}", result.report());
  if (!result.config) throw std::runtime_error(path + " has errors, see above; nothing was replayed");
  return *std::move(result.config);
}

// One worker's counters, in memory of their own.
class Counters {
 public:
  explicit Counters(const config::Dataplane& config)
      : vips_(config.vips_max),
        backends_(config.backends_max),
        flows_(config.backends_max),
        block_(std::make_unique<WorkerBlock>()) {}
  WorkerStats stats() { return {block_.get(), vips_, backends_, flows_}; }

  std::uint64_t of(std::size_t counter) const { return block_->counters[counter].load(std::memory_order_relaxed); }

  void print() const {
    for (std::size_t i = 0; i < kCounterCount; i++)
      if (of(i) != 0) fmt::print("{:32} {:12}\n", kCounters[i].name, of(i));
  }
  void write_json(const std::string& path) const {
    std::ofstream file(path);
    for (std::size_t i = 0; i < kCounterCount; i++)
      file << fmt::format("{}\"{}\": {}", i == 0 ? "{" : ",\n ", kCounters[i].name, of(i));
    file << "}\n";
    if (!file.flush()) throw std::runtime_error("cannot write the counters to " + path);
  }

 private:
  std::vector<Traffic> vips_;
  std::vector<Traffic> backends_;
  std::vector<std::atomic<std::uint32_t>> flows_;
  std::unique_ptr<WorkerBlock> block_;
};

// The ports of the configuration: what comes in comes in by the first one.
struct Ports {
  Ports(Exchange& exchange, std::size_t count) : kernel(exchange, Way::kernel) {
    for (std::size_t i = 0; i < count; i++)
      of_worker.push_back({&network.emplace_back(exchange, Way::network), &kernel, false, kOfflinePortMac});
  }
  std::deque<ReplayPort> network;
  ReplayPort kernel;
  std::vector<WorkerPort> of_worker;
};

// Timestamps that go back do not turn time back.
class Clock {
 public:
  Ns advance(Ns to) {
    if (!start_) start_ = now_ = to;
    now_ = std::max(now_, to);
    return now_;
  }
  Ns since_start() const { return now_ - *start_; }

 private:
  std::optional<Ns> start_;
  Ns now_{};
};

void replay(PcapReader& in, Exchange& exchange, Ports& ports, Worker& worker, ReplayTables& tables, Report* report) {
  Clock clock;
  std::uint32_t number = 0;
  while (const std::optional<Frame> frame = in.next()) {
    const Ns now = clock.advance(frame->time);
    number++;
    exchange.set_time(now);
    if (report != nullptr) report->received(clock.since_start(), frame->bytes);
    ports.network.front().put(frame->bytes, number);
    tables.advance(clock.since_start());
    worker.poll(&tables.view(), now);
  }
}

bool are_one_file(const std::string& a, const std::string& b) {
  namespace fs = std::filesystem;
  std::error_code none;  // a file that is not there yet is nobody else's but by its name
  if (fs::exists(b, none)) return fs::is_regular_file(b, none) && fs::equivalent(a, b, none);
  return fs::weakly_canonical(a, none) == fs::weakly_canonical(b, none);
}

// Whoever opens a file to write it empties it. Throws when that would be one that is read, or written twice.
void require_files_apart(const Options& options) {
  constexpr const char* kStream = "-";  // to libpcap
  std::vector<std::string> others{options.config, options.changes, options.in};
  others.insert(others.end(), options.before.begin(), options.before.end());
  for (const std::string& path : {options.out, options.kernel, options.counters}) {
    if (path.empty() || path == kStream) continue;
    for (const std::string& other : others)
      if (!other.empty() && other != kStream && are_one_file(other, path))
        throw std::runtime_error(
            fmt::format("{} and {} are the same file, which would be overwritten; write to another one", other, path));
    others.push_back(path);
  }
}

}  // namespace

void run(const Options& options) {
  require_files_apart(options);
  const config::Config config = load(options.config);
  std::vector<config::Config> before;
  for (const std::string& path : options.before) before.push_back(load(path));
  ReplayTables tables(config, before,
                      options.changes.empty() ? std::vector<Change>{} : read_changes(options.changes, config));
  PcapReader in(options.in);
  PcapWriter out(options.out);
  std::optional<PcapWriter> kernel;
  if (!options.kernel.empty()) kernel.emplace(options.kernel);
  std::optional<Report> report;
  if (options.explain) report.emplace(config, tables.view());
  // Beyond this point everything is open, and nothing is left to the operator to mend.

  Counters counters(config.dataplane);
  Exchange exchange(&out, kernel ? &*kernel : nullptr, [&](const End& end) {
    if (report) report->ended(end);
  });
  Ports ports(exchange, config.dataplane.ports.size());
  std::vector<FlowBucket> flows(kBucketsPerWorkerMin);
  {
    Worker worker(ports.of_worker, counters.stats(), {flows, flows}, worker_settings_of(config, 0, 1));
    replay(in, exchange, ports, worker, tables, report ? &*report : nullptr);
    if (report) report->print(stdout);
    counters.print();
    if (!options.counters.empty()) counters.write_json(options.counters);
  }
  out.flush();
  if (kernel) kernel->flush();
  if (in.cut_frames() > 0)
    fmt::print(stderr,
               "{}: the capture does not hold all of {} frames, and what is missing counted as zeros; "
               "capture whole frames (tcpdump -s 0) to be sure of checksums and connection IDs\n",
               options.in, in.cut_frames());
}

}  // namespace guideway::replay
