// Broken connections, remembered flows and detours over schedules of changes and failures, by the shipped stages and
// tables in virtual time, compared with other schemes. perf/run.sh --continuity runs it and writes the report.
//
//   continuity_sim SCENARIO [--seed N] [--schedules N] [--flows N]     one JSON object per schedule and line
//
// Scenarios: schedule.h. Schedule number i has the seed N + i, so that each can be had again by itself; --events shows
// what happens in it.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "common/command_line.h"
#include "perf/continuity/simulation.h"

namespace guideway::perf {
namespace {

constexpr const char* kSchemeNames[] = {"guideway", "guideway_second_chance", "maglev", "full_tracking", "two_choice"};
constexpr const char* kCauseNames[] = {"late", "mistaken", "crowded", "era_cut"};

template <typename Counts, std::size_t kNames>
nlohmann::json by_name(const Counts& counts, const char* const (&names)[kNames]) {
  static_assert(std::tuple_size_v<Counts> == kNames);
  nlohmann::json all;
  for (std::size_t i = 0; i < kNames; i++) all[names[i]] = counts[i];
  return all;
}

nlohmann::json to_json(const Schedule& schedule, std::uint32_t flows, const Result& result) {
  return {{"seed", schedule.seed},
          {"backends", schedule.backends},
          {"load_balancers", schedule.load_balancers},
          {"events", schedule.events.size()},
          {"flows", flows},
          {"opened", result.opened},
          {"packets", result.packets},
          {"broken", by_name(result.broken, kSchemeNames)},
          {"inherent", by_name(result.inherent, kSchemeNames)},
          {"detours", by_name(result.detours, kSchemeNames)},
          {"causes", by_name(result.causes, kCauseNames)},
          {"broken_drained", result.broken_drained},
          {"with_hops", result.with_hops},
          {"bytes_per_flow", double{sizeof(FlowBucket)} / kFlowsPerBucketAim},  // of the shipped table
          {"peak",
           {{"guideway", result.peak_moved},
            {"guideway_second_chance", result.peak_second_chance},
            {"full_tracking", result.peak_all}}}};
}

void run(Scenario scenario, std::uint32_t seed, std::uint32_t flows, bool with_events, bool with_minutes) {
  const Schedule schedule = make_schedule(scenario, seed);
  const Result result = simulate(schedule, flows);
  nlohmann::json row = to_json(schedule, flows, result);
  if (with_minutes) row["remembered_by_minute"] = result.remembered_by_minute;
  if (with_events)
    for (const Event& event : schedule.events) row["what"].push_back(to_text(event));
  fmt::print("{}\n", row.dump());
  std::fflush(stdout);
}

int run_all(int argc, char** argv) {
  CLI::App app("What changes and failures break, in virtual time");
  std::string scenario;
  std::uint32_t seed = 1;
  std::uint32_t schedules = 1;
  std::uint32_t flows = 20'000;
  bool with_events = false;
  bool with_minutes = false;
  app.add_option("scenario", scenario, "what happens")->required();
  app.add_option("--seed", seed, "of the first schedule");
  app.add_option("--schedules", schedules, "how many");
  app.add_option("--flows", flows, "alive at a time")->check(CLI::Range(1U, 4'000'000U));
  app.add_flag("--events", with_events, "show what happens");
  app.add_flag("--minutes", with_minutes, "show how many flows are remembered, minute by minute");
  if (const auto exit_code = parse_command_line(app, argc, argv)) return *exit_code;
  for (std::uint32_t i = 0; i < schedules; i++) run(scenario_of(scenario), seed + i, flows, with_events, with_minutes);
  return 0;
}

}  // namespace
}  // namespace guideway::perf

int main(int argc, char** argv) {
  try {
    return guideway::perf::run_all(argc, argv);
  } catch (const std::exception& error) {
    fmt::print(stderr, "continuity_sim: {}\n", error.what());
    return 1;
  }
}
