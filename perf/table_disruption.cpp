// How many slots move when one of N backends goes away, beyond those it owned and those that exact weights shift; and
// how long a table takes to build. Prints the table of docs/tables.md. Usage: table_disruption [SEED]
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <random>
#include <string>

#include "common/tables/slot_table.h"

namespace guideway {
namespace {

constexpr std::uint32_t kSlots = kSlotCountDefault;
constexpr int kRemovals = 20;

using WeightOf = std::function<std::uint32_t(std::uint32_t i, std::mt19937_64& random)>;

std::vector<WeightedBackend> make_backends(std::uint32_t count, const WeightOf& weight_of, std::mt19937_64& random) {
  std::vector<WeightedBackend> backends;
  for (std::uint32_t i = 0; i < count; i++)
    backends.push_back({IpAddress::from_v4(Be32::from_host(0x0a000000 + i)), weight_of(i, random)});
  return backends;
}

std::uint32_t extra_moves(const std::vector<WeightedBackend>& backends, std::size_t gone) {
  std::vector<WeightedBackend> rest = backends;
  rest[gone].weight = 0;
  const auto before = build_slot_table(backends, kSlots);
  const auto after = build_slot_table(rest, kSlots);
  const auto quotas_before = slot_quotas(backends, kSlots);
  const auto quotas_after = slot_quotas(rest, kSlots);
  std::uint32_t moved = 0;
  for (std::uint32_t s = 0; s < kSlots; s++) moved += before[s] != after[s] ? 1U : 0U;
  std::uint32_t needed = 0;
  for (std::size_t i = 0; i < backends.size(); i++)
    needed += quotas_before[i] - std::min(quotas_before[i], quotas_after[i]);
  return moved - needed;
}

double build_ms(const std::vector<WeightedBackend>& backends) {
  double best = 1e9;
  for (int i = 0; i < 5; i++) {
    const auto start = std::chrono::steady_clock::now();
    const auto slots = build_slot_table(backends, kSlots);
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
    if (!slots.empty()) best = std::min(best, took.count());
  }
  return best;
}

void print_row(const char* weights, const std::vector<WeightedBackend>& backends,
               const std::vector<std::size_t>& gone) {
  double sum = 0;
  double worst = 0;
  for (const std::size_t backend : gone) {
    const double percent = 100.0 * extra_moves(backends, backend) / kSlots;
    sum += percent;
    worst = std::max(worst, percent);
  }
  std::printf("| %s | %zu | %.2f | %.2f | %.1f |\n", weights, backends.size(), sum / static_cast<double>(gone.size()),
              worst, build_ms(backends));
}

std::vector<std::size_t> some_of(std::uint32_t count, std::mt19937_64& random) {
  std::vector<std::size_t> some;
  for (int i = 0; i < kRemovals; i++) some.push_back(random() % count);
  return some;
}

// One backend with `percent` of the sum of weights, among 2000.
void print_giant(std::uint32_t percent, std::mt19937_64& random) {
  constexpr std::uint32_t kOthers = 2000;
  const auto giant = [&](std::uint32_t i, std::mt19937_64&) {
    return i == 0 ? kOthers * percent / (100 - percent) : 1U;
  };
  const auto backends = make_backends(kOthers + 1, giant, random);
  const std::string name = "one with " + std::to_string(percent) + " % of all weight, ";
  print_row((name + "another goes").c_str(), backends, some_of(kOthers, random));
  print_row((name + "it goes").c_str(), backends, {0});
}

}  // namespace
}  // namespace guideway

int main(int argc, char** argv) {
  using namespace guideway;
  const std::uint64_t seed = argc > 1 ? std::strtoull(argv[1], nullptr, 0) : 1;
  std::mt19937_64 random(seed);
  const auto equal = [](std::uint32_t, std::mt19937_64&) { return 1U; };
  const auto mixed = [](std::uint32_t, std::mt19937_64& r) { return 1 + static_cast<std::uint32_t>(r() % 100); };
  std::printf("seed %llu, %u slots, %d removals each\n\n", static_cast<unsigned long long>(seed), kSlots, kRemovals);
  std::printf(
      "| weights | backends | extra, mean %% of M | extra, worst %% of M | build, ms |\n|---|---|---|---|---|\n");
  for (const std::uint32_t count : {2U, 3U, 5U, 10U, 30U, 100U, 300U, 500U, 1000U, 3000U}) {
    print_row("equal", make_backends(count, equal, random), some_of(count, random));
    print_row("random 1…100", make_backends(count, mixed, random), some_of(count, random));
  }
  print_giant(10, random);
  print_giant(30, random);
  return 0;
}
