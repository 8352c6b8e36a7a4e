// Cycles per packet of the shipped stages, over vectors: no port, no device. The frame is in cache as after a
// prefetching receive; tables and flows are as large as the row says.
//
//   build/perf/stages_bench [--benchmark_filter=…]
#include <benchmark/benchmark.h>
#include <x86intrin.h>

#include <cstring>
#include <random>
#include <vector>

#include "common/shm/tables_writer.h"
#include "dataplane/stages/stages.h"
#include "guideway/tables_view.h"

namespace guideway {
namespace {

constexpr std::uint32_t kHeadroomBytes = 128;
constexpr std::uint32_t kFrameBytes = 64;
constexpr std::uint32_t kBufferBytes = kHeadroomBytes + 128;
constexpr std::uint32_t kBatches = 16;  // prepared at once, so that no load waits for the store that made the frame

IpAddress v4(std::uint32_t address) {
  return IpAddress::from_v4(Be32::from_host(address));
}

// `vip_count` VIPs 203.0.113.0 and up on one pool each of up to 100 pools, port 80, TCP.
class Tables {
 public:
  Tables(std::uint32_t vip_count, std::uint32_t backend_count, Encap encap)
      : writer_(shm::TablesWriter::create(std::size_t{256} << 20)) {
    DesiredTables desired;
    desired.pools.resize(std::min(vip_count, 100U));
    for (DesiredPool& pool : desired.pools) {
      pool.encap = encap;
      for (std::uint32_t i = 0; i < backend_count; i++)
        pool.backends.push_back({v4(0x0a000001 + i), 1, i, Egress{0, {}, {}, v4(0xc0000201), 9000}});
    }
    for (std::uint32_t i = 0; i < vip_count; i++)
      desired.vips.push_back({v4(0xcb007100 + i), 80, IpProto::tcp,
                              i % static_cast<std::uint32_t>(desired.pools.size()), i, true, Unserved::drop});
    writer_->publish(ImageBuilder{}.build(desired));
    pools_.resize(pool_count(writer_->memory(), writer_->root()));
    open_generation(writer_->memory(), writer_->root(), pools_, nullptr, view_);
  }
  const TablesView& view() const { return view_; }

 private:
  std::unique_ptr<shm::TablesWriter> writer_;
  std::vector<PoolView> pools_;
  TablesView view_;
};

void write_frame(std::uint8_t* frame, std::uint32_t source, std::uint32_t destination, std::uint16_t source_port) {
  std::memset(frame, 0, kFrameBytes);
  EthernetHeader ethernet{};
  ethernet.ether_type = Be16::from_host(static_cast<std::uint16_t>(EtherType::ipv4));
  Ipv4Header ip{};
  ip.version_ihl = 0x45;
  ip.total_length = Be16::from_host(kFrameBytes - sizeof ethernet);
  ip.ttl = 64;
  ip.protocol = static_cast<std::uint8_t>(IpProto::tcp);
  ip.source = Be32::from_host(source);
  ip.destination = Be32::from_host(destination);
  TcpHeader tcp{};
  tcp.ports = {Be16::from_host(source_port), Be16::from_host(80)};
  tcp.data_offset = 0x50;
  tcp.flags = kTcpAck;
  store(frame, ethernet);
  store(frame + sizeof ethernet, ip);
  store(frame + sizeof ethernet + sizeof ip, tcp);
}

void BM_stages(benchmark::State& state) {
  const auto flows = static_cast<std::uint32_t>(state.range(0));
  const auto vips = static_cast<std::uint32_t>(state.range(1));
  const auto backends = static_cast<std::uint32_t>(state.range(2));
  const Tables tables(vips, backends, static_cast<Encap>(state.range(3)));
  std::mt19937 random(1);
  std::vector<std::uint8_t> buffers(std::size_t{kBatches} * kBatchMax * kBufferBytes);
  std::vector<std::uint64_t> flow_list(flows);
  for (auto& flow : flow_list) flow = std::uint64_t{random()} << 32 | random();

  std::uint64_t cycles = 0;
  std::uint64_t packets = 0;
  std::uint32_t next = 0;
  std::vector<Batch> batches(kBatches);
  for (auto _ : state) {
    for (std::uint32_t i = 0; i < kBatches * kBatchMax; i++) {
      const std::uint64_t flow = flow_list[next];
      next = next + 1 < flows ? next + 1 : 0;
      std::uint8_t* frame = buffers.data() + std::size_t{i} * kBufferBytes + kHeadroomBytes;
      write_frame(frame, static_cast<std::uint32_t>(flow >> 32), 0xcb007100 + static_cast<std::uint32_t>(flow % vips),
                  static_cast<std::uint16_t>(flow >> 16));
      Batch& batch = batches[i / kBatchMax];
      batch.count = kBatchMax;
      Packet& packet = batch.packets[i % kBatchMax];
      packet = {};
      packet.data = frame;
      packet.frame_bytes = kFrameBytes;
      packet.contiguous_bytes = kFrameBytes;
      packet.headroom_bytes = kHeadroomBytes;
    }
    const std::uint64_t start = __rdtsc();
    for (Batch& batch : batches) run_stages(batch, tables.view());
    cycles += __rdtsc() - start;
    packets += kBatches * kBatchMax;
    benchmark::DoNotOptimize(batches.data());
  }
  for (const Packet& packet : batches.back().all())
    if (packet.verdict != Verdict::forward) state.SkipWithError("a packet was not forwarded");
  state.counters["cycles/packet"] = static_cast<double>(cycles) / static_cast<double>(packets);
}
BENCHMARK(BM_stages)
    ->ArgNames({"flows", "vips", "backends", "encap"})
    ->Args({1, 1, 3, 1})
    ->Args({65536, 100, 100, 1})
    ->Args({1048576, 100, 100, 1})
    ->Args({1048576, 100, 1000, 1})
    ->Args({1048576, 10000, 100, 1})
    ->Args({1048576, 100, 100, 2});

}  // namespace
}  // namespace guideway

BENCHMARK_MAIN();
