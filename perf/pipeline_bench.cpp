// Cycles per packet of the shipped worker, and of simpler programs over the same packets, on one core.
//
//   ninja -C build perf/pipeline_bench && taskset -c 1 build/perf/pipeline_bench FILTER [--stages] [--json FILE]
//
// FILTER is a regular expression over names such as ipv4/tcp/ipip/flows:65536/vips:100/backends:1000. With every row of
// a trace run `empty`, `mac_swap` and `l3fwd` (rigs.h) on it; with --stages also the stages, added one after the other.
//
// Everything that one call selects is interleaved: each repetition runs every row. A row's figure for one repetition is
// the median of pieces of 2048 packets, so that a piece in which the core was taken away does not count; the figure
// shown is the median over repetitions, between the smallest and the largest. A cycle is one of the time stamp counter.
#include <fmt/format.h>
#include <rte_cycles.h>
#include <x86intrin.h>

#include <CLI/CLI.hpp>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <regex>

#include "perf/rigs.h"

namespace guideway::perf {
namespace {

constexpr std::uint32_t kPollsPerPiece = 64;
constexpr std::uint32_t kPacketsPerPiece = kPollsPerPiece * kBatchMax;
constexpr std::uint32_t kPacketsMin = 65536;        // of a repetition
constexpr std::uint32_t kWarmUpPacketsMax = 65536;  // what was cached for this row is not any more
constexpr std::uint32_t kPoolsMax = 100;

struct Row {
  std::string name;
  std::string trace;  // what it has in common with the rigs to compare with
  std::unique_ptr<TracePort> port;
  std::unique_ptr<Rig> rig;
  std::uint32_t packets = 0;
  std::vector<double> cycles{};  // per packet, one for each repetition
};

constexpr std::string_view name_of(TraceKind kind) {
  constexpr std::array<std::string_view, 4> kNames{"tcp", "syn", "udp", "not_vip"};
  return kNames[static_cast<std::size_t>(kind)];
}

std::string name_of(const TraceSpec& trace, std::string_view what) {
  return fmt::format("{}/{}/{}/flows:{}/vips:{}", trace.family == Family::ipv4 ? "ipv4" : "ipv6", name_of(trace.kind),
                     what, trace.flows, trace.vips);
}
std::string name_of(const TraceSpec& trace, const TablesSpec& tables, std::string_view what) {
  return fmt::format("{}/backends:{}{}", name_of(trace, what), tables.backends,
                     tables.pools == std::min(tables.vips, kPoolsMax) ? "" : fmt::format("/pools:{}", tables.pools));
}

std::vector<TraceSpec> all_traces() {
  std::vector<TraceSpec> traces;
  for (const Family family : {Family::ipv4, Family::ipv6})
    for (const TraceKind kind : {TraceKind::tcp, TraceKind::syn, TraceKind::udp, TraceKind::not_vip})
      for (const std::uint32_t flows : {1U, 1U << 16, 1U << 20})
        for (const std::uint32_t vips : {1U, 100U, 10000U}) traces.push_back({family, kind, flows, vips});
  return traces;
}

// A hundred pools at most: with 65521 slots each that is 13 MB of slots. Many VIPs of one pool tell what VIPs cost
// apart from pools.
std::vector<TablesSpec> all_tables(const TraceSpec& trace) {
  std::vector<TablesSpec> tables;
  const IpProto protocol = trace.kind == TraceKind::udp ? IpProto::udp : IpProto::tcp;
  for (const Encap encap : {Encap::ipip, Encap::gue0})
    for (const std::uint32_t backends : {3U, 1000U})
      tables.push_back({trace.family, protocol, encap, trace.vips, std::min(trace.vips, kPoolsMax), backends});
  if (trace.vips > 1) tables.push_back({trace.family, protocol, Encap::ipip, trace.vips, 1, 1000});
  return tables;
}

// All rows that were asked for, with what they run on; traces and tables are made once.
class Field {
 public:
  Field(const std::string& filter, bool with_stages) {
    const std::regex wanted(filter);
    for (const TraceSpec& trace : all_traces()) {
      std::vector<TablesSpec> selected;
      for (const TablesSpec& tables : all_tables(trace))
        if (std::regex_search(row_name(trace, tables), wanted)) selected.push_back(tables);
      if (!selected.empty()) add(trace, selected, with_stages);
    }
  }
  std::vector<Row>& rows() { return rows_; }

 private:
  static std::string row_name(const TraceSpec& trace, const TablesSpec& tables) {
    return name_of(trace, tables, tables.encap == Encap::ipip ? "ipip" : "gue");
  }

  void add(const TraceSpec& spec, const std::vector<TablesSpec>& selected, bool with_stages) {
    const Trace& trace = *traces_.emplace_back(std::make_unique<Trace>(spec));
    const auto add_row = [&](std::string name, auto&& make_rig) {
      auto port = std::make_unique<TracePort>(trace);
      auto rig = make_rig(*port);
      rows_.push_back({std::move(name), name_of(spec, "l3fwd"), std::move(port), std::move(rig),
                       std::max(kPacketsMin, trace.frames())});
    };
    add_row(name_of(spec, "empty"), empty_rig);
    add_row(name_of(spec, "mac_swap"), mac_swap_rig);
    add_row(name_of(spec, "l3fwd"), [&](Port& port) { return l3fwd_rig(port, spec); });
    for (const TablesSpec& tables : selected) {
      const BenchTables& made = tables_of(tables);
      if (with_stages) add_stages(spec, made, add_row);
      add_row(row_name(spec, tables), [&](Port& port) { return worker_rig(port, made); });
    }
  }

  static void add_stages(const TraceSpec& spec, const BenchTables& tables, const auto& add_row) {
    const auto add_stage = [&](Stage last, std::string_view stage) {
      const char* encap = tables.spec().encap == Encap::ipip ? "ipip" : "gue";
      add_row(name_of(spec, tables.spec(), fmt::format("{}_to_{}", encap, stage)),
              [&](Port& port) { return stages_rig(port, tables, last); });
    };
    add_stage(Stage::parse, "parse");
    add_stage(Stage::classify, "classify");
    add_stage(Stage::select, "select");
    add_stage(Stage::encap, "encap");
  }

  const BenchTables& tables_of(const TablesSpec& spec) {
    std::unique_ptr<BenchTables>& made = tables_[spec];
    if (made == nullptr) made = std::make_unique<BenchTables>(spec);
    return *made;
  }

  std::vector<std::unique_ptr<Trace>> traces_;
  std::map<TablesSpec, std::unique_ptr<BenchTables>> tables_;
  std::vector<Row> rows_;
};

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

double run_piece(Rig& rig) {
  const std::uint64_t start = __rdtsc();
  for (std::uint32_t i = 0; i < kPollsPerPiece; i++) rig.poll();
  return static_cast<double>(__rdtsc() - start) / kPacketsPerPiece;
}

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

nlohmann::json to_json(const Row& row, const std::map<std::string, double>& l3fwd) {
  const auto [least, most] = std::minmax_element(row.cycles.begin(), row.cycles.end());
  const double cycles = median(row.cycles);
  return {{"name", row.name},
          {"cycles", cycles},
          {"min", *least},
          {"max", *most},
          {"l3fwd", l3fwd.at(row.trace)},
          {"ratio", cycles / l3fwd.at(row.trace)}};
}

nlohmann::json results(const std::vector<Row>& rows) {
  std::map<std::string, double> l3fwd;
  for (const Row& row : rows)
    if (row.name == row.trace) l3fwd[row.name] = median(row.cycles);
  nlohmann::json all = nlohmann::json::array();
  for (const Row& row : rows) all.push_back(to_json(row, l3fwd));
  return {{"tsc_hz", rte_get_tsc_hz()}, {"rows", all}};
}

void print(const nlohmann::json& results) {
  fmt::print("{:<58} {:>7}  {:>15}  {:>8}\n", "", "cycles", "min … max", "× l3fwd");
  for (const auto& row : results["rows"])
    fmt::print("{:<58} {:>7.1f}  {:>6.1f} … {:>6.1f}  {:>8.2f}\n", row["name"].get<std::string>(),
               row["cycles"].get<double>(), row["min"].get<double>(), row["max"].get<double>(),
               row["ratio"].get<double>());
}

int run(int argc, char** argv) {
  CLI::App app("Cycles per packet of the packet path.");
  std::string filter = "ipv4/tcp/.*/flows:65536/vips:100/backends:1000$";
  std::string json;
  std::uint32_t repetitions = 15;
  bool with_stages = false;
  app.add_option("filter", filter, "which rows, a regular expression over names");
  app.add_option("--repetitions", repetitions)->check(CLI::Range(1, 1000));
  app.add_flag("--stages", with_stages, "also the stages, added one after the other");
  app.add_option("--json", json, "also write the results to this file");
  CLI11_PARSE(app, argc, argv);

  start_dpdk();
  Field field(filter, with_stages);
  if (field.rows().empty()) throw std::runtime_error("no row has such a name: " + filter);
  for (std::uint32_t i = 0; i < repetitions; i++)
    for (Row& row : field.rows()) run_repetition(row);
  for (const Row& row : field.rows()) check(row);
  const nlohmann::json all = results(field.rows());
  print(all);
  if (!json.empty()) std::ofstream(json) << all.dump(1) << "\n";
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
