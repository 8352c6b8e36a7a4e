// Changes come into force, whatever readers do and however little room there is.
#include "controlplane/publisher.h"

#include <gtest/gtest.h>

#include "guideway/stats.h"
#include "tests/unit/controlplane/network_lab.h"

namespace guideway::controlplane {
namespace {

constexpr std::size_t kSegmentBytes = 1 << 20;

class PublisherTest : public testing::Test {
 protected:
  PublisherTest() {
    desired_.pools.resize(1);
    desired_.pools[0].slot_count = 131071;  // of 256 KiB
    want(1);
    publisher_.set_size(kSegmentBytes);
    publisher_.set_writer(shm::TablesWriter::create(kSegmentBytes));
  }
  // With other slots for each weight.
  void want(std::uint32_t weight) {
    desired_.pools[0].backends.clear();
    for (std::uint32_t b = 1; b <= 2; b++) {
      DesiredBackend backend;
      backend.address = IpAddress::from_v4(Be32::from_host(0x0a000000 + b));
      backend.weight = b == 1 ? weight : 7;
      backend.stats_index = b;
      backend.egress.emplace();
      backend.egress->source = IpAddress::from_v4(Be32::from_host(0x0a0000ff));
      desired_.pools[0].backends.push_back(backend);
    }
  }

  EventLoop loop_;
  DesiredTables desired_;
  std::uint64_t oldest_pin_ = 1;
  unsigned replaced_ = 0;
  Publisher publisher_{loop_,
                       {[this] { return desired_; }, [this] { return oldest_pin_; }, [] {}, [this] { replaced_++; }}};
};

TEST_F(PublisherTest, WaitsForReadersAndSaysSo) {
  for (std::uint32_t weight = 1; weight <= 3; weight++) {
    want(weight);
    publisher_.publish_now();
    ASSERT_EQ(publisher_.waits_for(), "");
  }
  want(4);
  publisher_.publish_now();
  EXPECT_NE(publisher_.waits_for().find("of 1048576 bytes that a new generation needs; is a worker stuck?"),
            std::string::npos)
      << publisher_.waits_for();
  EXPECT_EQ(number(publisher_.writer()->generation()), 3U);
  oldest_pin_ = 3;
  EXPECT_TRUE(run_until(loop_, [&] { return publisher_.waits_for().empty(); }));
  EXPECT_EQ(number(publisher_.writer()->generation()), 4U);
  EXPECT_EQ(replaced_, 0U);
}

TEST_F(PublisherTest, TakesAFreshSegmentWhereOldAndNewDoNotFitTogether) {
  desired_.pools[0].slot_count = 393209;  // of 768 KiB
  for (std::uint32_t weight = 1; weight <= 3; weight++) {
    want(weight);
    publisher_.publish_now();
    EXPECT_EQ(publisher_.waits_for(), "");
    EXPECT_EQ(number(publisher_.writer()->generation()), weight);
    EXPECT_EQ(replaced_, weight - 1);
  }
}

}  // namespace
}  // namespace guideway::controlplane
