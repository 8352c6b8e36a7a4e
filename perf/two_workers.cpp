#include "perf/two_workers.h"

#include <pthread.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>

#include "perf/pieces.h"

namespace guideway::perf {
namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kWarmUp = std::chrono::milliseconds(20);  // far longer than a thread takes to start
constexpr auto kMeasured = std::chrono::milliseconds(50);

void stay_on(unsigned core) {
  cpu_set_t cores;
  CPU_ZERO(&cores);
  CPU_SET(core, &cores);
  pthread_setaffinity_np(pthread_self(), sizeof cores, &cores);
}

// Works from `start` on, and looks at what lies between the end of the warm-up and the end: so two that have the same
// start are looked at while both work.
double cycles_from(Clock::time_point start, Rig& rig) {
  std::vector<double> pieces;
  Clock::time_point now;
  do {
    const double cycles = run_piece(rig);
    now = Clock::now();
    if (now >= start + kWarmUp) pieces.push_back(cycles);
  } while (now < start + kWarmUp + kMeasured);
  return median(std::move(pieces));
}

}  // namespace

TwoWorkers::TwoWorkers(const TraceSpec& trace, const BenchTables& tables, std::array<unsigned, 2> cores)
    : first_(trace, tables, cores[0]), second_(trace, tables, cores[1]) {
  for (const unsigned core : cores)
    if (core >= sysconf(_SC_NPROCESSORS_ONLN)) throw std::runtime_error("there is no core " + std::to_string(core));
}

double TwoWorkers::measure() {
  const auto run = [](Seat& seat, Clock::time_point start, double& cycles) {
    return std::thread([&seat, start, &cycles] {
      stay_on(seat.core);
      cycles = cycles_from(start, *seat.rig);
    });
  };
  double alone = 0;
  double first = 0;
  double second = 0;
  run(first_, Clock::now(), alone).join();
  const Clock::time_point start = Clock::now();
  std::thread other = run(second_, start, second);
  run(first_, start, first).join();
  other.join();
  return alone / first + alone / second;
}

}  // namespace guideway::perf
