// What each stage of the packet path costs by itself, and the flow hash. `per_packet` is the figure to look at.
#include <benchmark/benchmark.h>

#include <cstring>

#include "dataplane/stages/service.h"
#include "dataplane/stages/stages.h"
#include "perf/bench_tables.h"
#include "perf/trace_port.h"

namespace guideway::perf {
namespace {

constexpr std::uint32_t kBatches = 16;  // with their frames they fit a core's own cache; one would be learnt by heart
constexpr std::uint32_t kFlows = kBatches * kBatchMax;
constexpr std::uint32_t kBackends = 100;

constexpr Encap kEncaps[] = {Encap::ipip, Encap::gue0, Encap::gue1, Encap::gre, Encap::l2dsr};

// Batches that have come as far as the stage before the measured one.
class Batches {
 public:
  template <typename Before>
  Batches(const TraceSpec& spec, const Before& before) : trace_(spec), port_(trace_), batches_(kBatches) {
    for (Batch& batch : batches_) {
      port_.receive(batch);
      before(batch);
      for (const Packet& packet : batch.all())
        if (packet.verdict == Verdict::drop) throw std::runtime_error("a packet was dropped before it was measured");
    }
  }
  std::vector<Batch>& all() { return batches_; }

 private:
  Trace trace_;
  TracePort port_;
  std::vector<Batch> batches_;
};

// REQUIRES: the stage may look at the same batch again.
template <typename Stage>
void measure(benchmark::State& state, Batches& batches, const Stage& stage) {
  std::size_t at = 0;
  for (auto _ : state) {
    stage(batches.all()[at++ % kBatches]);
    benchmark::ClobberMemory();
  }
  using benchmark::Counter;
  state.counters["per_packet"] =
      Counter(kBatchMax, Counter::Flags(Counter::kIsIterationInvariantRate | Counter::kInvert));
}

Family family_of(const benchmark::State& state) {
  return state.range(0) == 4 ? Family::ipv4 : Family::ipv6;
}

// ---- the stages ----------------------------------------------------------------------------------------------------

void parse(benchmark::State& state) {
  Batches batches({family_of(state), TraceKind::tcp, kFlows, 1}, [](Batch&) {});
  measure(state, batches, [](Batch& batch) { guideway::parse(batch); });
}
BENCHMARK(parse)->ArgName("ipv")->Arg(4)->Arg(6);

void classify(benchmark::State& state) {
  const auto vips = static_cast<std::uint32_t>(state.range(1));
  const BenchTables tables({family_of(state), IpProto::tcp, Encap::ipip, vips, 1, kBackends});
  Batches batches({family_of(state), TraceKind::tcp, kFlows, vips}, guideway::parse);
  measure(state, batches, [&](Batch& batch) { guideway::classify(batch, tables.view()); });
}
BENCHMARK(classify)->ArgNames({"ipv", "vips"})->ArgsProduct({{4, 6}, {1, 100, 10000}});

void select(benchmark::State& state) {
  const auto pools = static_cast<std::uint32_t>(state.range(1));
  const BenchTables tables({family_of(state), IpProto::tcp, Encap::ipip, pools, pools, kBackends});
  Tracker tracker{FlowTable({}, {}, {})};
  Batches batches({family_of(state), TraceKind::tcp, kFlows, pools}, [&](Batch& batch) {
    guideway::parse(batch);
    guideway::classify(batch, tables.view());
  });
  measure(state, batches, [&](Batch& batch) { guideway::select(batch, tables.view(), tracker, {}); });
}
BENCHMARK(select)->ArgNames({"ipv", "pools"})->ArgsProduct({{4, 6}, {1, 100}});

// All flows of the batches are known, or none is, because half a minute has passed since they were seen the last time.
void select_tracked(benchmark::State& state) {
  const bool known = state.range(0) == 1;
  const BenchTables tables({Family::ipv4, IpProto::tcp, Encap::ipip, 1, 1, kBackends, Flows::known});
  std::vector<FlowBucket> buckets(1024);
  std::vector<std::atomic<std::uint32_t>> flows_of_backend(kBackends);
  Tracker tracker{FlowTable(buckets, flows_of_backend, {})};
  Batches batches({Family::ipv4, known ? TraceKind::tcp : TraceKind::syn, kFlows, 1}, [&](Batch& batch) {
    guideway::parse(batch);
    guideway::classify(batch, tables.view());
  });
  std::uint32_t turns = 0;
  measure(state, batches, [&](Batch& batch) {
    const Seconds now = known ? Seconds{0} : (FlowTimeouts{}.probation + Seconds{1}) * (turns++ / kBatches);
    guideway::select(batch, tables.view(), tracker, now);
  });
}
BENCHMARK(select_tracked)->ArgName("known")->Arg(1)->Arg(0);

// Packets and headers as they were before; what that costs by itself is `restore`.
class Restored {
 public:
  explicit Restored(Batches& batches) {
    for (Batch& batch : batches.all())
      for (const Packet& packet : batch.all()) std::memcpy(headers_.emplace_back().data(), packet.data, kHeaderBytes);
    first_ = batches.all().data();
  }
  Batch& restore(const Batch& batch) {
    copy_ = batch;
    const auto* headers = &headers_[static_cast<std::size_t>(&batch - first_) * kBatchMax];
    for (std::uint32_t i = 0; i < batch.count; i++) std::memcpy(batch.packets[i].data, headers[i].data(), kHeaderBytes);
    return copy_;
  }

 private:
  static constexpr std::size_t kHeaderBytes = 80;  // a whole frame of all traces here
  std::vector<std::array<std::uint8_t, kHeaderBytes>> headers_;
  const Batch* first_;
  Batch copy_;
};

void restore(benchmark::State& state) {
  Batches batches({Family::ipv4, TraceKind::tcp, kFlows, 1}, [](Batch&) {});
  Restored restored(batches);
  measure(state, batches, [&](Batch& batch) { benchmark::DoNotOptimize(restored.restore(batch)); });
}
BENCHMARK(restore);

void encap(benchmark::State& state) {
  const Encap kind = kEncaps[state.range(1)];
  const BenchTables tables({family_of(state), IpProto::tcp, kind, 1, 1, kBackends});
  Tracker tracker{FlowTable({}, {}, {})};
  Batches batches({family_of(state), TraceKind::tcp, kFlows, 1}, [&](Batch& batch) {
    guideway::parse(batch);
    guideway::classify(batch, tables.view());
    guideway::select(batch, tables.view(), tracker, {});
  });
  Restored restored(batches);
  constexpr std::array<const char*, std::size(kEncaps)> kNames{"ipip", "gue0", "gue1", "gre", "l2dsr"};
  state.SetLabel(kNames[static_cast<std::size_t>(state.range(1))]);
  measure(state, batches, [&](Batch& batch) { guideway::encap(restored.restore(batch), tables.view()); });
}
BENCHMARK(encap)->ArgNames({"ipv", "encap"})->ArgsProduct({{4, 6}, {0, 1, 2, 3, 4}});

// Resets for SYNs, ICMP errors for UDP: of a VIP that does not serve the port.
void answer(benchmark::State& state) {
  const TraceKind kind = state.range(1) != 0 ? TraceKind::udp : TraceKind::syn;
  Batches batches({family_of(state), kind, kFlows, 1}, [](Batch& batch) {
    guideway::parse(batch);
    for (Packet& packet : batch.all()) ask_for_answer(batch, packet, Counter::drop_unserved);
  });
  Restored restored(batches);
  Answers answers{RateLimit(1'000'000'000), RateLimit(1'000'000'000)};
  Ns now(0);
  measure(state, batches, [&](Batch& batch) {
    now += Ns(kBatchMax);
    if (guideway::answer(restored.restore(batch), TablesView{}, answers, now) != 0)
      state.SkipWithError("the limit keeps answers back");
  });
}
BENCHMARK(answer)->ArgNames({"ipv", "icmp"})->ArgsProduct({{4, 6}, {0, 1}});

// ---- the flow hash -------------------------------------------------------------------------------------------------

template <typename Key>
void hash(benchmark::State& state) {
  const FlowHashKeys keys = expand_flow_hash_keys(FlowHashSecret{1, 2, 3});
  std::vector<Key> flows(kFlows);
  for (std::uint32_t i = 0; i < kFlows; i++) flows[i].ports.source = Be16::from_host(static_cast<std::uint16_t>(i));
  std::size_t at = 0;
  for (auto _ : state) benchmark::DoNotOptimize(flow_hash(keys, flows[at++ % kFlows]));
}
BENCHMARK(hash<FlowKey4>);
BENCHMARK(hash<FlowKey6>);

}  // namespace
}  // namespace guideway::perf
