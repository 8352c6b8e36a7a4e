// What a change costs: building a slot table, its publish, the adoption by the gatekeeper; and a worker's look per
// burst.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <random>

#include "common/shm/tables_reader.h"
#include "common/shm/tables_writer.h"
#include "common/tables/slot_table.h"
#include "tests/shm/stats_region.h"

namespace guideway::shm {
namespace {

constexpr std::uint32_t kBackends = 100;

// Pools of kBackends backends; in the last pool one backend flips between `weights`.
DesiredTables desired(std::uint32_t pools, std::uint32_t slot_count, std::uint32_t weight, bool reachable) {
  DesiredTables tables;
  for (std::uint32_t p = 0; p < pools; p++) {
    DesiredPool& pool = tables.pools.emplace_back();
    pool.slot_count = slot_count;
    for (std::uint32_t b = 0; b < kBackends; b++) {
      Egress egress;
      egress.source = IpAddress::from_v4(Be32::from_host(0xc0000201));
      pool.backends.push_back({IpAddress::from_v4(Be32::from_host(0x0a000001 + (p << 8) + b)), 1, b, true, egress});
    }
    tables.vips.push_back({IpPrefix::of(IpAddress::from_v4(Be32::from_host(0xcb007101 + p))), 80, IpProto::tcp, p, p});
  }
  DesiredBackend& flipped = tables.pools.back().backends[0];
  flipped.weight = weight;
  flipped.egress->path_mtu_bytes = reachable ? 1500 : 1400;
  return tables;
}

struct Images {
  TableImage one, other;
};
// What changes between the two: only the record of a backend, or also the slots of its pool.
Images images(std::uint32_t pools, std::uint32_t slot_count, bool slots_change) {
  ImageBuilder builder;
  Images made;
  made.one = builder.build(desired(pools, slot_count, 1, true));
  made.other = builder.build(desired(pools, slot_count, slots_change ? 0 : 1, slots_change));
  return made;
}

std::uint64_t percentile(std::vector<std::uint64_t>& sorted_later, double share) {
  std::sort(sorted_later.begin(), sorted_later.end());
  return sorted_later[static_cast<std::size_t>(share * static_cast<double>(sorted_later.size() - 1))];
}

// Both sides of a flip, with a reader that follows each generation.
void flip(benchmark::State& state) {
  const auto made = images(static_cast<std::uint32_t>(state.range(0)), static_cast<std::uint32_t>(state.range(1)),
                           state.range(2) != 0);
  auto writer = TablesWriter::create(std::size_t{64} << 20);
  StatsRegion stats(1);
  Gatekeeper gatekeeper(stats.header());
  writer->set_reader_pins([&] { return oldest_pin(stats.header()); });
  writer->publish(made.other);
  gatekeeper.attach(writer->read_only_descriptor());
  auto worker = gatekeeper.worker(WorkerId{0});
  std::vector<std::uint64_t> publish_ns;
  std::vector<std::uint64_t> adopt_ns;
  bool odd = false;
  for (auto _ : state) {
    odd = !odd;
    const auto begin = std::chrono::steady_clock::now();
    writer->publish(odd ? made.one : made.other);
    const auto published = std::chrono::steady_clock::now();
    gatekeeper.poll();
    benchmark::DoNotOptimize(worker.follow());
    const auto adopted = std::chrono::steady_clock::now();
    writer->reclaim();
    publish_ns.push_back(static_cast<std::uint64_t>((published - begin).count()));
    adopt_ns.push_back(static_cast<std::uint64_t>((adopted - published).count()));
  }
  state.counters["publish_p50_ns"] = static_cast<double>(percentile(publish_ns, 0.5));
  state.counters["publish_p99_ns"] = static_cast<double>(percentile(publish_ns, 0.99));
  state.counters["adopt_p50_ns"] = static_cast<double>(percentile(adopt_ns, 0.5));
}
BENCHMARK(flip)
    ->ArgNames({"pools", "slots", "slots_change"})
    ->Args({1, 1009, 1})
    ->Args({1, 65521, 0})
    ->Args({1, 65521, 1})
    ->Args({100, 65521, 1});

// The slot table of 1000 backends with weights 1 … 100.
void build_slots(benchmark::State& state) {
  std::mt19937 random(1);
  std::vector<WeightedBackend> backends;
  for (std::uint32_t b = 0; b < 1000; b++)
    backends.push_back(
        {IpAddress::from_v4(Be32::from_host(0x0a000001 + b)), 1 + static_cast<std::uint32_t>(random() % 100)});
  for (auto _ : state) benchmark::DoNotOptimize(build_slot_table(backends, kSlotCountDefault));
}
BENCHMARK(build_slots)->Unit(benchmark::kMillisecond);

// A worker's look per burst when nothing changed.
void follow(benchmark::State& state) {
  auto writer = TablesWriter::create(std::size_t{1} << 20);
  StatsRegion stats(1);
  Gatekeeper gatekeeper(stats.header());
  writer->publish(images(1, 1009, false).one);
  gatekeeper.attach(writer->read_only_descriptor());
  auto worker = gatekeeper.worker(WorkerId{0});
  for (auto _ : state) benchmark::DoNotOptimize(worker.follow());
}
BENCHMARK(follow);

}  // namespace
}  // namespace guideway::shm
