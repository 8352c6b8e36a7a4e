// A worker between ports made of vectors: where each packet ends, and that the counters say so.
#include "dataplane/worker.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <memory>
#include <set>
#include <vector>

#include "common/net/address_text.h"
#include "common/shm/tables_writer.h"

namespace guideway {
namespace {

constexpr std::size_t kHeadroomBytes = 128;

// Frames wait in `incoming`; what is sent lands in `sent`, up to `room` frames. Knows each buffer's fate: a buffer is
// owned by the port it came from until some port sends it or its own port gets it back.
class VectorPort final : public Port {
 public:
  using Frame = std::vector<std::uint8_t>;

  void receive(Batch& batch) override {
    while (!incoming.empty() && batch.count < kBatchMax) {
      const Frame frame = std::move(incoming.front());
      incoming.pop_front();
      auto buffer = std::make_unique<Frame>(kHeadroomBytes + frame.size());
      std::ranges::copy(frame, buffer->begin() + kHeadroomBytes);
      Packet& packet = batch.packets[batch.count++] = {};
      packet.data = buffer->data() + kHeadroomBytes;
      packet.buffer = buffer.get();
      packet.frame_bytes = static_cast<std::uint32_t>(frame.size());
      packet.contiguous_bytes = static_cast<std::uint16_t>(frame.size());
      packet.headroom_bytes = kHeadroomBytes;
      outstanding().insert(buffer.release());
    }
  }
  std::uint32_t transmit(Packet* const* packets, std::uint32_t count) override {
    calls++;
    const std::uint32_t taken = std::min<std::uint32_t>(count, room);
    for (std::uint32_t i = 0; i < taken; i++) {
      sent.emplace_back(packets[i]->data, packets[i]->data + packets[i]->frame_bytes);
      end_of(*packets[i]);
    }
    room -= taken;
    return taken;
  }
  bool allocate(Packet& packet, std::uint32_t frame_bytes) override {
    auto buffer = std::make_unique<Frame>(kHeadroomBytes + frame_bytes);
    packet = {};
    packet.data = buffer->data() + kHeadroomBytes;
    packet.buffer = buffer.get();
    packet.headroom_bytes = kHeadroomBytes;
    outstanding().insert(buffer.release());
    return true;
  }
  void release(Packet* const* packets, std::uint32_t count) override {
    for (std::uint32_t i = 0; i < count; i++) end_of(*packets[i]);
    released += count;
  }

  static std::set<Frame*>& outstanding() {
    static std::set<Frame*> buffers;
    return buffers;
  }

  std::deque<Frame> incoming;
  std::vector<Frame> sent;
  std::uint32_t room = 1000;
  std::uint32_t released = 0;
  std::uint32_t calls = 0;

 private:
  static void end_of(const Packet& packet) {
    auto* buffer = static_cast<Frame*>(packet.buffer);
    ASSERT_EQ(outstanding().erase(buffer), 1U) << "a buffer ended twice";
    delete buffer;
  }
};

const IpAddress kClient = *parse_ip("198.51.100.7");
const IpAddress kHost = *parse_ip("192.0.2.2");
const IpAddress kVipA = *parse_ip("203.0.113.10");  // its backend is behind port 0
const IpAddress kVipB = *parse_ip("203.0.113.20");  // behind port 1
const IpAddress kVipC = *parse_ip("203.0.113.30");  // its egress port does not exist
const IpAddress kVipD = *parse_ip("203.0.113.40");  // no backend
const IpAddress kVipE = *parse_ip("203.0.113.50");  // its packets are cut, for the smallest path MTU there is

VectorPort::Frame tcp_syn(const IpAddress& to, std::uint16_t source_port = 40000) {
  VectorPort::Frame frame(sizeof(EthernetHeader) + 20 + 20);
  frame[12] = 0x08;
  std::uint8_t* ip = frame.data() + sizeof(EthernetHeader);
  ip[0] = 0x45;
  ip[3] = 40;
  ip[8] = 64;
  ip[9] = 6;
  std::memcpy(ip + 12, &kClient.bytes[12], 4);
  std::memcpy(ip + 16, &to.bytes[12], 4);
  store(ip + 20, Be16::from_host(source_port));
  store(ip + 22, Be16::from_host(80));
  ip[32] = 0x50;
  ip[33] = 0x02;
  return frame;
}

DesiredPool pool_behind(std::uint8_t port, const char* backend, std::uint32_t stats_index) {
  const Egress egress{port, *parse_mac("02:00:00:00:00:aa"), *parse_mac("02:00:00:00:00:bb"), kHost, 1500};
  return {.encap = Encap::ipip, .slot_count = 1009, .backends = {{*parse_ip(backend), 1, stats_index, true, egress}}};
}

DesiredPool pool_behind_a_narrow_path() {
  DesiredPool pool = pool_behind(0, "192.0.2.104", 5);
  pool.encap = Encap::gue0;
  pool.oversize = Oversize::fragment_inner;
  pool.backends[0].egress->path_mtu_bytes = 576;
  return pool;
}

class WorkerTest : public ::testing::Test {
 protected:
  static constexpr std::uint32_t kStatsCapacity = 8;

  WorkerTest() : stats_memory_(stats_bytes(1, kStatsCapacity, kStatsCapacity) / sizeof(Line)) {
    auto& header = *reinterpret_cast<StatsHeader*>(stats_memory_.data());
    header.worker_count = 1;
    header.vip_capacity = kStatsCapacity;
    header.backend_capacity = kStatsCapacity;
    stats_ = stats_of(header, WorkerId{0});

    DesiredTables tables;
    tables.pools = {pool_behind(0, "192.0.2.101", 0), pool_behind(1, "192.0.2.102", 1),
                    pool_behind(7, "192.0.2.103", kStatsCapacity + 1), DesiredPool{}, pool_behind_a_narrow_path()};
    tables.vips = {{.prefix = IpPrefix::of(kVipA), .port = 80, .pool = 0, .stats_index = 0},
                   {.prefix = IpPrefix::of(kVipB), .port = 80, .pool = 1, .stats_index = kStatsCapacity},
                   {.prefix = IpPrefix::of(kVipC), .port = 80, .pool = 2, .stats_index = 2},
                   {.prefix = IpPrefix::of(kVipD), .port = 80, .pool = 3, .stats_index = 3},
                   {.prefix = IpPrefix::of(kVipA), .port = 443, .pool = 0, .stats_index = 4},
                   {.prefix = IpPrefix::of(kVipE), .port = 80, .pool = 4, .stats_index = 5}};
    writer_ = shm::TablesWriter::create(1 << 20);
    writer_->publish(ImageBuilder().build(tables));
    pools_.resize(pool_count(writer_->memory(), writer_->root()));
    EXPECT_EQ(open_generation(writer_->memory(), writer_->root(), pools_, nullptr, view_), TablesError::none);
  }
  ~WorkerTest() override { EXPECT_TRUE(VectorPort::outstanding().empty()) << "buffers were lost"; }

  void poll(std::vector<WorkerPort> ports, bool with_view = true) {
    Worker worker(ports, stats_, {}, {});
    worker.poll(with_view ? &view_ : nullptr, Ns{});
    expect_equations();
  }
  std::uint64_t counter(Counter c) const { return stats_.block->counters[index(c)].load(); }
  void expect_equations() const {
    std::uint64_t drops = 0;
    for (std::size_t i = 0; i < kCounterCount; i++)
      if (kCounters[i].is_drop) drops += stats_.block->counters[i].load();
    EXPECT_EQ(counter(Counter::rx_packets), counter(Counter::tx_packets) + counter(Counter::to_kernel_packets) +
                                                counter(Counter::waiting_packets) + drops);
    EXPECT_EQ(counter(Counter::from_kernel_packets),
              counter(Counter::from_kernel_tx_packets) + counter(Counter::from_kernel_dropped_packets));
  }

  VectorPort a_, b_, kernel_;
  WorkerStats stats_;
  TablesView view_;

 private:
  struct alignas(kCacheLineBytes) Line {
    std::byte bytes[kCacheLineBytes];
  };
  std::vector<Line> stats_memory_;
  std::unique_ptr<shm::TablesWriter> writer_;
  std::vector<PoolView> pools_;
};

TEST_F(WorkerTest, ForwardsInOrderAndCountsBytes) {
  for (std::uint16_t i = 0; i < 3; i++) a_.incoming.push_back(tcp_syn(kVipA, static_cast<std::uint16_t>(1000 + i)));
  poll({{&a_}, {&b_}});
  ASSERT_EQ(a_.sent.size(), 3U);
  for (std::uint16_t i = 0; i < 3; i++)
    EXPECT_EQ(load<Be16>(a_.sent[i].data() + sizeof(EthernetHeader) + 40).host(), 1000 + i);
  EXPECT_EQ(a_.calls, 1U) << "one transmit call per egress port and batch";
  EXPECT_EQ(counter(Counter::rx_packets), 3U);
  EXPECT_EQ(counter(Counter::rx_bytes), 3U * 54);
  EXPECT_EQ(counter(Counter::tx_packets), 3U);
  EXPECT_EQ(counter(Counter::tx_bytes), 3U * 74);
  EXPECT_EQ(counter(Counter::bursts), 1U);
}

TEST_F(WorkerTest, SendsToTheBackendsPort) {
  a_.incoming = {tcp_syn(kVipB), tcp_syn(kVipA), tcp_syn(kVipB)};
  b_.incoming = {tcp_syn(kVipA)};
  poll({{&a_}, {&b_}});
  EXPECT_EQ(a_.sent.size(), 2U);
  EXPECT_EQ(b_.sent.size(), 2U);
  EXPECT_EQ(counter(Counter::bursts), 2U);
}

TEST_F(WorkerTest, CountsWhatThePortRefuses) {
  a_.room = 1;
  a_.incoming = {tcp_syn(kVipA), tcp_syn(kVipA), tcp_syn(kVipA)};
  poll({{&a_}, {&b_}});
  EXPECT_EQ(counter(Counter::tx_packets), 1U);
  EXPECT_EQ(counter(Counter::tx_bytes), 74U);
  EXPECT_EQ(counter(Counter::drop_tx_full), 2U);
  EXPECT_EQ(stats_.vips[0].packets.load(), 1U);
}

TEST_F(WorkerTest, RefusedPacketsGoBackToThePortTheyCameFrom) {
  b_.room = 0;
  a_.incoming = {tcp_syn(kVipB)};
  poll({{&a_}, {&b_}});
  EXPECT_EQ(a_.released, 1U);
  EXPECT_EQ(b_.released, 0U);
}

TEST_F(WorkerTest, HandsOthersToTheKernelUntouched) {
  const auto frame = tcp_syn(kHost);
  a_.incoming = {frame};
  poll({{&a_, &kernel_}});
  ASSERT_EQ(kernel_.sent.size(), 1U);
  EXPECT_EQ(kernel_.sent[0], frame);
  EXPECT_EQ(counter(Counter::to_kernel_packets), 1U);
}

TEST_F(WorkerTest, CountsWhatTheKernelPathRefuses) {
  kernel_.room = 1;
  a_.incoming = {tcp_syn(kHost), tcp_syn(kHost)};
  poll({{&a_, &kernel_}});
  EXPECT_EQ(counter(Counter::to_kernel_packets), 1U);
  EXPECT_EQ(counter(Counter::drop_kernel_path_full), 1U);
}

TEST_F(WorkerTest, DropsForTheKernelWithoutKernelPath) {
  a_.incoming = {tcp_syn(kHost)};
  poll({{&a_}});
  EXPECT_EQ(counter(Counter::drop_no_kernel_path), 1U);
  EXPECT_EQ(a_.released, 1U);
}

TEST_F(WorkerTest, ReleasesWhatTheKernelSawItself) {
  a_.incoming = {tcp_syn(kHost)};
  poll({{.network = &a_, .kernel_sees_all = true}});
  EXPECT_EQ(counter(Counter::to_kernel_packets), 1U);
  EXPECT_EQ(a_.released, 1U);
}

TEST_F(WorkerTest, WithoutTablesEverythingIsTheKernels) {
  a_.incoming = {tcp_syn(kVipA), tcp_syn(kHost)};
  poll({{&a_, &kernel_}}, false);
  EXPECT_EQ(kernel_.sent.size(), 2U);
  EXPECT_EQ(counter(Counter::to_kernel_packets), 2U);
}

TEST_F(WorkerTest, MixedBatchEndsEverywhereAtOnce) {
  auto truncated = tcp_syn(kVipA);
  truncated.resize(40);
  b_.room = 0;
  a_.incoming = {tcp_syn(kVipA), tcp_syn(kHost), tcp_syn(kVipB), truncated, tcp_syn(kVipD), tcp_syn(kVipC)};
  poll({{&a_, &kernel_}, {&b_}});
  EXPECT_EQ(counter(Counter::rx_packets), 6U);
  EXPECT_EQ(counter(Counter::tx_packets), 1U);
  EXPECT_EQ(counter(Counter::to_kernel_packets), 1U);
  EXPECT_EQ(counter(Counter::drop_tx_full), 1U);
  EXPECT_EQ(counter(Counter::drop_ipv4_bad_total_length), 1U);
  EXPECT_EQ(counter(Counter::drop_no_backend), 2U) << "no backend, and one whose egress port is not ours";
  EXPECT_EQ(a_.released, 4U);
}

TEST_F(WorkerTest, SendsWhatTheKernelSays) {
  kernel_.incoming = {tcp_syn(kHost), tcp_syn(kHost), tcp_syn(kHost)};
  a_.room = 2;
  poll({{&a_, &kernel_}});
  EXPECT_EQ(a_.sent.size(), 2U);
  EXPECT_EQ(kernel_.released, 1U);
  EXPECT_EQ(counter(Counter::from_kernel_packets), 3U);
  EXPECT_EQ(counter(Counter::from_kernel_tx_packets), 2U);
  EXPECT_EQ(counter(Counter::from_kernel_dropped_packets), 1U);
  EXPECT_EQ(counter(Counter::rx_packets), 0U);
}

TEST_F(WorkerTest, CountsTrafficOfVipAndBackendInsideTheirArrays) {
  a_.incoming = {tcp_syn(kVipA), tcp_syn(kVipA), tcp_syn(kVipB)};
  poll({{&a_}, {&b_}});
  EXPECT_EQ(stats_.vips[0].packets.load(), 2U);
  EXPECT_EQ(stats_.vips[0].bytes.load(), 80U);
  EXPECT_EQ(stats_.backends[0].packets.load(), 2U);
  EXPECT_EQ(stats_.backends[1].packets.load(), 1U);
  std::uint64_t all = 0;
  for (const Traffic& vip : stats_.vips) all += vip.packets.load();
  EXPECT_EQ(all, 2U) << "VIP B's stats_index lies outside";
}

// What `vip` sent to the client from `port` was too big on the way.
VectorPort::Frame icmp_error(const IpAddress& vip, std::uint16_t port) {
  constexpr std::size_t kIpAt = sizeof(EthernetHeader);
  constexpr std::size_t kQuoteAt = kIpAt + sizeof(Ipv4Header) + sizeof(IcmpHeader);
  VectorPort::Frame quoted = tcp_syn(vip);
  std::swap_ranges(quoted.begin() + kIpAt + 12, quoted.begin() + kIpAt + 16, quoted.begin() + kIpAt + 16);
  store(quoted.data() + kIpAt + 20, Ports{Be16::from_host(port), Be16::from_host(40000)});
  VectorPort::Frame frame = tcp_syn(vip);
  frame.resize(kQuoteAt);
  frame.insert(frame.end(), quoted.begin() + kIpAt, quoted.end());
  store(frame.data() + kIpAt + 2, Be16::from_host(static_cast<std::uint16_t>(frame.size() - kIpAt)));
  frame[kIpAt + 9] = static_cast<std::uint8_t>(IpProto::icmp);
  store(frame.data() + kIpAt + sizeof(Ipv4Header), IcmpHeader{3, 4, Be16{}, Be32::from_host(1400)});
  return frame;
}

TEST_F(WorkerTest, CountsAnIcmpErrorForTheServiceOfItsFlow) {
  a_.incoming = {icmp_error(kVipA, 80), icmp_error(kVipA, 443), icmp_error(kVipA, 443)};
  poll({{&a_}, {&b_}});
  EXPECT_EQ(counter(Counter::icmp_errors_forwarded), 3U);
  EXPECT_EQ(stats_.vips[0].packets.load(), 1U);
  EXPECT_EQ(stats_.vips[4].packets.load(), 2U);
}

TEST_F(WorkerTest, IdleTurnsBeatTheHeart) {
  poll({{&a_, &kernel_}});
  poll({{&a_, &kernel_}});
  EXPECT_EQ(stats_.block->heartbeat.load(), 2U);
  EXPECT_EQ(counter(Counter::bursts), 0U);
}

VectorPort::Frame fragment(const VectorPort::Frame& whole, std::uint16_t flags_fragment) {
  VectorPort::Frame frame = whole;
  store(frame.data() + sizeof(EthernetHeader) + 6, Be16::from_host(flags_fragment));
  if ((flags_fragment & 0x1fff) == 0) frame.insert(frame.end(), 4, 0);  // a multiple of 8 bytes, if more follow
  if ((flags_fragment & 0x1fff) == 0) frame[sizeof(EthernetHeader) + 3] = 44;
  return frame;
}

TEST_F(WorkerTest, FragmentsThatWaitGoBackToTheirPortWhenTheWorkerEnds) {
  a_.incoming = {fragment(tcp_syn(kVipA), 0x0003)};
  {
    std::vector<WorkerPort> ports{{&a_}, {&b_}};
    Worker worker(ports, stats_, {}, {});
    worker.poll(&view_, Ns{});
    EXPECT_EQ(counter(Counter::waiting_packets), 1U);
    expect_equations();
  }
  EXPECT_EQ(a_.released, 1U);
}

// The later fragment comes by one port, the first by another.
TEST_F(WorkerTest, FragmentsFindTheirFirstAcrossPorts) {
  a_.incoming = {fragment(tcp_syn(kVipA), 0x0003)};
  b_.incoming = {fragment(tcp_syn(kVipA), 0x2000)};
  poll({{&a_}, {&b_}});
  EXPECT_EQ(counter(Counter::fragments_forwarded), 2U);
  EXPECT_EQ(counter(Counter::waiting_packets), 0U);
  EXPECT_EQ(a_.sent.size(), 2U);
}

VectorPort::Frame of_ip_bytes(VectorPort::Frame frame, std::uint16_t ip_bytes) {
  frame.resize(sizeof(EthernetHeader) + ip_bytes);
  store(frame.data() + sizeof(EthernetHeader) + 2, Be16::from_host(ip_bytes));
  return frame;
}

std::uint16_t identification(const VectorPort::Frame& frame) {
  return load<Ipv4Header>(frame.data() + sizeof(EthernetHeader)).id.host();
}

TEST_F(WorkerTest, NumbersDatagramsThatItFragmentsAsItIsTold) {
  a_.incoming = {of_ip_bytes(tcp_syn(kVipA), 1500), of_ip_bytes(tcp_syn(kVipA), 1500)};
  std::vector<WorkerPort> ports{{&a_}};
  Worker worker(ports, stats_, {}, {.identifications = {1, 3}});
  worker.poll(&view_, Ns{});
  ASSERT_EQ(a_.sent.size(), 4U);
  EXPECT_EQ(identification(a_.sent[0]), 2);
  EXPECT_EQ(identification(a_.sent[1]), 2);
  EXPECT_EQ(identification(a_.sent[2]), 6);
}

// The largest frame that lies in one buffer, with as many options as there can be.
TEST_F(WorkerTest, CutsALargePacketIntoAsManyFragmentsAsItTakes) {
  constexpr std::size_t kOptionBytes = 40;
  constexpr std::uint8_t kNoOperation = 1;
  VectorPort::Frame frame = tcp_syn(kVipE);
  frame.insert(frame.begin() + sizeof(EthernetHeader) + sizeof(Ipv4Header), kOptionBytes, kNoOperation);
  frame[sizeof(EthernetHeader)] = 0x4f;
  a_.incoming = {of_ip_bytes(frame, 65535 - sizeof(EthernetHeader))};
  poll({{&a_}});
  EXPECT_EQ(counter(Counter::tx_packets), 1U);
  EXPECT_EQ(counter(Counter::drop_no_buffer), 0U);
  EXPECT_EQ(a_.sent.size(), 137U)
      << "480 bytes in each: 576 - 32 of GUE over IPv4 - 60 of the inner header, in units of 8";
}

// Receivers put together what has the same source, destination, protocol and identification.
TEST(IdentificationsTest, WorkersHaveNumbersOfTheirOwn) {
  for (const std::uint32_t worker_count : {1U, 2U, 3U, 8U, 11U}) {
    std::vector<Identifications> workers;
    for (std::uint32_t w = 0; w < worker_count; w++) workers.emplace_back(w, worker_count);
    std::vector<std::set<std::uint16_t>> taken(worker_count);
    for (std::uint32_t w = 0; w < worker_count; w++)
      for (std::uint32_t i = 0; i < 100'000; i++) taken[w].insert(static_cast<std::uint16_t>(workers[w].take()));
    std::set<std::uint16_t> all;
    std::size_t sum = 0;
    for (const auto& own : taken) {
      EXPECT_GE(own.size(), 65536U / (2 * worker_count)) << worker_count << " workers";
      all.insert(own.begin(), own.end());
      sum += own.size();
    }
    EXPECT_EQ(all.size(), sum) << worker_count << " workers";
  }
}

TEST_F(WorkerTest, TakesABatchAtATime) {
  for (std::uint32_t i = 0; i < kBatchMax + 1; i++) a_.incoming.push_back(tcp_syn(kVipA));
  poll({{&a_}});
  EXPECT_EQ(counter(Counter::rx_packets), kBatchMax);
  poll({{&a_}});
  EXPECT_EQ(counter(Counter::rx_packets), kBatchMax + 1);
  EXPECT_EQ(a_.sent.size(), kBatchMax + 1);
}

}  // namespace
}  // namespace guideway
