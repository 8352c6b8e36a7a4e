// Cycles per packet of the shipped worker, and of simpler programs over the same packets, on one core.
//
//   ninja -C build perf/pipeline_bench && taskset -c 1 build/perf/pipeline_bench FILTER [--stages] [--json FILE]
//
// FILTER is a regular expression over the names of rows (matrix.h). With every row of a scene run `empty`, `mac_swap`,
// `l3fwd` and, with IPv4, `l3fwd_to_clients` (rigs.h) on it; with --stages also the stages, added one after the other;
// with --second-core also two workers on two cores (two_workers.h).
//
// Everything that one call selects is interleaved: each repetition runs every row. A row's figure for one repetition is
// the median of its pieces (pieces.h); the figure shown is the median over repetitions, between the smallest and the
// largest. Ratios are taken within a repetition.
#include <fmt/format.h>
#include <rte_cycles.h>
#include <sched.h>

#include <CLI/CLI.hpp>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <regex>

#include "common/command_line.h"
#include "perf/driver_port.h"
#include "perf/matrix.h"
#include "perf/pieces.h"
#include "perf/two_workers.h"

namespace guideway::perf {
namespace {

constexpr std::uint32_t kPacketsMin = 65536;        // of a repetition
constexpr std::uint32_t kPacketsMax = 1U << 20;     // the next repetition goes on where this one stops
constexpr std::uint32_t kWarmUpPacketsMax = 65536;  // what was cached for this row is not any more

constexpr const char* kRigs[] = {"empty", "mac_swap", "l3fwd", "l3fwd_to_clients"};

struct Row {
  std::string name;
  Scene scene;
  std::unique_ptr<LoopPort> port;
  std::unique_ptr<Rig> rig;
  std::uint32_t packets = 0;
  std::vector<double> cycles{};  // per packet, one for each repetition
};

// All rows that were asked for, with what they run on; traces and tables are made once.
class Field {
 public:
  Field(const std::string& filter, bool with_stages) {
    const std::regex wanted(filter);
    for (const Scene& scene : all_scenes()) {
      std::vector<TablesSpec> selected;
      for (const TablesSpec& tables : all_tables(scene))
        if (std::regex_search(name_of(scene, tables), wanted)) selected.push_back(tables);
      if (!selected.empty()) add(scene, selected, with_stages);
    }
  }
  std::vector<Row>& rows() { return rows_; }

 private:
  void add(const Scene& scene, const std::vector<TablesSpec>& selected, bool with_stages) {
    const Trace& trace = *traces_.emplace_back(std::make_unique<Trace>(scene.trace));
    const DriverBuffers* buffers =
        scene.has_driver ? buffers_.emplace_back(std::make_unique<DriverBuffers>(trace)).get() : nullptr;
    const auto add_row = [&](std::string name, auto&& make_rig) {
      std::unique_ptr<LoopPort> port;
      if (buffers != nullptr)
        port = std::make_unique<DriverPort>(*buffers);
      else
        port = std::make_unique<TracePort>(trace);
      auto rig = make_rig(*port);
      rows_.push_back({std::move(name), scene, std::move(port), std::move(rig),
                       std::clamp(trace.frames(), kPacketsMin, kPacketsMax)});
    };
    add_row(name_of(scene, "empty"), empty_rig);
    add_row(name_of(scene, "mac_swap"), mac_swap_rig);
    add_row(name_of(scene, "l3fwd"), [&](Port& port) { return l3fwd_rig(port, scene.trace); });
    if (scene.trace.family == Family::ipv4) add_row(name_of(scene, "l3fwd_to_clients"), l3fwd_to_clients_rig);
    for (const TablesSpec& tables : selected) {
      const BenchTables& made = tables_of(tables);
      if (with_stages) add_stages(scene, made, add_row);
      add_row(name_of(scene, tables), [&](Port& port) { return worker_rig(port, made, scene.trace.flows); });
    }
  }

  static void add_stages(const Scene& scene, const BenchTables& tables, const auto& add_row) {
    const auto add_stage = [&](Stage last, std::string_view suffix) {
      add_row(name_of(scene, tables.spec(), suffix), [&](Port& port) { return stages_rig(port, tables, last); });
    };
    add_stage(Stage::parse, "_to_parse");
    add_stage(Stage::classify, "_to_classify");
    add_stage(Stage::select, "_to_select");
    add_stage(Stage::encap, "_to_encap");
  }

  const BenchTables& tables_of(const TablesSpec& spec) {
    std::unique_ptr<BenchTables>& made = tables_[spec];
    if (made == nullptr) made = std::make_unique<BenchTables>(spec);
    return *made;
  }

  std::vector<std::unique_ptr<Trace>> traces_;
  std::vector<std::unique_ptr<DriverBuffers>> buffers_;
  std::map<TablesSpec, std::unique_ptr<BenchTables>> tables_;
  std::vector<Row> rows_;
};

void run_repetition(Row& row) {
  for (std::uint32_t i = 0; i < std::min(row.packets, kWarmUpPacketsMax) / kPacketsPerPiece; i++) run_piece(*row.rig);
  std::vector<double> pieces;
  for (std::uint32_t i = 0; i < row.packets / kPacketsPerPiece; i++) pieces.push_back(run_piece(*row.rig));
  row.cycles.push_back(median(std::move(pieces)));
}

// What was dropped costs less than what was sent, so that a mistake in the set-up would look like a good figure.
void check(const Row& row) {
  const bool not_vip = row.name.find("/not_vip/") != std::string::npos;
  const bool is_worker = row.name.find("/backends:") != std::string::npos && row.name.find("_to_") == std::string::npos;
  const std::uint64_t astray = not_vip && is_worker ? row.port->sent() : row.port->released();
  if (astray != 0) throw std::runtime_error(fmt::format("{}: {} packets went astray", row.name, astray));
}

nlohmann::json spread(const std::vector<double>& values) {
  const auto [least, most] = std::minmax_element(values.begin(), values.end());
  return {{"median", median(values)}, {"min", *least}, {"max", *most}};
}

nlohmann::json ratios(const Row& row, const std::map<std::string, const Row*>& rigs) {
  nlohmann::json all;
  for (const char* rig : kRigs) {
    const auto found = rigs.find(name_of(row.scene, rig));
    if (found == rigs.end()) continue;
    std::vector<double> of_row;
    for (std::size_t i = 0; i < row.cycles.size(); i++) of_row.push_back(row.cycles[i] / found->second->cycles[i]);
    all[rig] = spread(of_row);
  }
  return all;
}

nlohmann::json to_json(const std::vector<Row>& rows) {
  std::map<std::string, const Row*> by_name;
  for (const Row& row : rows) by_name[row.name] = &row;
  nlohmann::json all = nlohmann::json::array();
  for (const Row& row : rows)
    all.push_back({{"name", row.name}, {"cycles", spread(row.cycles)}, {"ratio_to", ratios(row, by_name)}});
  return {{"tsc_hz", rte_get_tsc_hz()}, {"rows", all}};
}

void print(const nlohmann::json& results) {
  const auto print_line = [](const std::string& name, const nlohmann::json& figure, const auto& ratio_to) {
    fmt::print("{:<66} {:>7.2f}  {:>7.2f} … {:>7.2f}  {}\n", name, figure["median"].get<double>(),
               figure["min"].get<double>(), figure["max"].get<double>(), ratio_to);
  };
  fmt::print("{:<66} {:>7}  {:>17}  {}\n", "", "cycles", "min … max", "× empty, mac_swap, l3fwd, l3fwd_to_clients");
  for (const auto& row : results["rows"]) {
    std::string ratio_to;
    for (const char* rig : kRigs)
      if (row["ratio_to"].contains(rig))
        ratio_to += fmt::format(" {:>7.2f}", row["ratio_to"][rig]["median"].get<double>());
    print_line(row["name"], row["cycles"], ratio_to);
  }
  if (results.contains("two_workers")) print_line("two workers, × one", results["two_workers"], "");
}

struct Options {
  std::string filter = "ipv4/tcp/.*/flows:65536/vips:100/backends:1000$";
  std::string json;
  std::uint32_t repetitions = 15;
  bool with_stages = false;
  std::optional<unsigned> second_core;
};

// The first core is the one that this thread runs on.
std::vector<double> measure_two_workers(const Options& options) {
  const TraceSpec trace{Family::ipv4, TraceKind::tcp, 65536, 100};
  const BenchTables tables({Family::ipv4, IpProto::tcp, Encap::ipip, 100, 100, 1000});
  TwoWorkers two(trace, tables, {static_cast<unsigned>(sched_getcpu()), *options.second_core});
  std::vector<double> ratios;
  for (std::uint32_t i = 0; i < options.repetitions; i++) ratios.push_back(two.measure());
  return ratios;
}

nlohmann::json measure(const Options& options) {
  Field field(options.filter, options.with_stages);
  if (field.rows().empty()) throw std::runtime_error("no row has such a name: " + options.filter);
  for (std::uint32_t i = 0; i < options.repetitions; i++)
    for (Row& row : field.rows()) run_repetition(row);
  for (const Row& row : field.rows()) check(row);
  return to_json(field.rows());
}

int run(int argc, char** argv) {
  CLI::App app("Cycles per packet of the packet path.");
  Options options;
  app.add_option("filter", options.filter, "which rows, a regular expression over names");
  app.add_option("--repetitions", options.repetitions)->check(CLI::Range(1, 1000));
  app.add_flag("--stages", options.with_stages, "also the stages, added one after the other");
  app.add_option("--second-core", options.second_core, "also a second worker, on this core");
  app.add_option("--json", options.json, "also write the results to this file");
  if (const auto exit_code = parse_command_line(app, argc, argv)) return *exit_code;

  start_dpdk();
  nlohmann::json results = measure(options);
  if (options.second_core) results["two_workers"] = spread(measure_two_workers(options));
  print(results);
  if (!options.json.empty()) std::ofstream(options.json) << results.dump(1) << "\n";
  return 0;
}

}  // namespace
}  // namespace guideway::perf

int main(int argc, char** argv) {
  try {
    return guideway::perf::run(argc, argv);
  } catch (const std::exception& error) {
    fmt::print(stderr, "pipeline_bench: {}\n", error.what());
    return 1;
  }
}
