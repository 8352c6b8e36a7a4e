// What it costs to route a QUIC packet by its connection ID, by the form of that.
#include <benchmark/benchmark.h>

#include <random>

#include "guideway/quic_route.h"
#include "tests/unit/leaf/quic_pool.h"

namespace guideway {
namespace {

constexpr std::uint32_t kBackends = 100;
constexpr std::uint32_t kPackets = 1024;

// Random packets: the work is the same whether their server ID is a backend's or not.
void route_packets(benchmark::State& state, const QuicLayout& layout, std::uint8_t first_byte) {
  std::mt19937 random(1);
  QuicLayouts layouts{};
  layouts[quic_layout_of(first_byte)] = layout;
  std::vector<QuicServerId> ids;
  for (std::uint32_t i = 0; i < kBackends; i++) ids.push_back(katran_server_id(i + 1));
  const QuicPool pool(layouts, ids);
  std::vector<std::array<std::uint8_t, 32>> packets(kPackets);
  for (auto& packet : packets) {
    for (std::uint8_t& byte : packet) byte = static_cast<std::uint8_t>(random());
    packet[0] = 0x40;
    packet[1] = first_byte;
  }
  std::size_t at = 0;
  for (auto _ : state) benchmark::DoNotOptimize(route_quic(pool.view(), packets[at++ % kPackets]));
}

void quic_plain(benchmark::State& state) {
  route_packets(state, {{QuicLayoutKind::plain, 4, 12}, {}}, 0x00);
}
void quic_single_pass(benchmark::State& state) {
  route_packets(state, {{QuicLayoutKind::single_pass, 4, 12}, {1}}, 0x00);
}
void quic_four_pass_three_needed(benchmark::State& state) {
  route_packets(state, {{QuicLayoutKind::four_pass, 4, 8}, {1}}, 0x00);
}
void quic_four_pass_all_needed(benchmark::State& state) {
  route_packets(state, {{QuicLayoutKind::four_pass, 10, 5}, {1}}, 0x00);
}
void quic_katran(benchmark::State& state) {
  route_packets(state, kKatranLayouts[0b110], 0xc0);
}
BENCHMARK(quic_plain);
BENCHMARK(quic_single_pass);
BENCHMARK(quic_four_pass_three_needed);
BENCHMARK(quic_four_pass_all_needed);
BENCHMARK(quic_katran);

}  // namespace
}  // namespace guideway
