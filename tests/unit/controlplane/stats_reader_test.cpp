// Sums, rates and equations over a stats region.
#include "controlplane/stats_reader.h"

#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <new>

namespace guideway::controlplane {
namespace {

constexpr std::uint32_t kWorkers = 2;

class StatsReaderTest : public testing::Test {
 protected:
  StatsReaderTest() {
    std::memset(memory_.get(), 0, kBytes);
    header().worker_count = kWorkers;
    header().vip_capacity = header().backend_capacity = 1;
  }
  StatsHeader& header() { return *reinterpret_cast<StatsHeader*>(memory_.get()); }
  void set(std::uint32_t worker, Counter counter, std::uint64_t value) {
    stats_of(header(), static_cast<WorkerId>(worker)).block->counters[index(counter)].store(value);
  }
  Equation packets() {
    reader_.sample(header());
    return equations_of(reader_, kWorkers)[0];
  }

  struct Free {
    void operator()(std::byte* memory) const { ::operator delete[](memory, std::align_val_t{kCacheLineBytes}); }
  };
  static constexpr std::size_t kBytes = stats_bytes(kWorkers, 1, 1);
  std::unique_ptr<std::byte[], Free> memory_{new (std::align_val_t{kCacheLineBytes}) std::byte[kBytes]};
  StatsReader reader_;
};

TEST_F(StatsReaderTest, PacketsThatWaitAreNotMissing) {
  set(0, Counter::rx_packets, 1'000'000);
  set(1, Counter::rx_packets, 1'000'000);
  set(0, Counter::tx_packets, 1'000'000);
  set(1, Counter::to_kernel_packets, 400'000);
  set(1, Counter::drop_fragment_timeout, 500'000);
  EXPECT_FALSE(packets().holds);
  set(1, Counter::waiting_packets, 100'000);
  EXPECT_TRUE(packets().holds);
  EXPECT_EQ(packets().right, 2'000'000U);
}

TEST_F(StatsReaderTest, AGaugeThatFallsHasNoRate) {
  set(0, Counter::waiting_packets, 48);
  set(0, Counter::rx_packets, 100);
  reader_.sample(header());
  set(0, Counter::waiting_packets, 1);
  set(0, Counter::rx_packets, 200);
  reader_.sample(header());
  EXPECT_EQ(reader_.counter(Counter::waiting_packets), 1U);
  EXPECT_EQ(reader_.per_second(Counter::waiting_packets), 0);
  EXPECT_GT(reader_.per_second(Counter::rx_packets), 0);
}

TEST_F(StatsReaderTest, FlowsAreThoseOfAllWorkersNow) {
  EXPECT_EQ(reader_.flows(0), std::nullopt) << "nobody knows yet";
  stats_of(header(), WorkerId{0}).flows[0].store(4'000'000'000);
  stats_of(header(), WorkerId{1}).flows[0].store(2'000'000'000);
  reader_.sample(header());
  EXPECT_EQ(reader_.flows(0), 6'000'000'000U);
  EXPECT_EQ(reader_.flows(1), std::nullopt) << "beyond the region: it is not counted";
  stats_of(header(), WorkerId{0}).flows[0].store(0);
  reader_.sample(header());
  EXPECT_EQ(reader_.flows(0), 2'000'000'000U);
  reader_.reset();
  EXPECT_EQ(reader_.flows(0), std::nullopt);
}

}  // namespace
}  // namespace guideway::controlplane
