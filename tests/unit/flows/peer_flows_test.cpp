// What one worker reads of the others' flows, also while they write.
#include "dataplane/flows/peer_flows.h"

#include <gtest/gtest.h>

#include <array>
#include <thread>
#include <vector>

namespace guideway {
namespace {

constexpr std::size_t kBucketsEach = 4;
constexpr FlowTimeouts kTimeouts{Seconds{30}, Seconds{7500}, Seconds{240}, Seconds{300}};

// Flows of one pair of buckets: equal low bits of the hash.
constexpr std::uint64_t flow(std::uint64_t number, std::uint64_t bucket = 0) {
  return number << 32 | number << 16 | bucket;
}

class PeerFlowsTest : public testing::Test {
 protected:
  std::span<FlowBucket> buckets_of(std::size_t worker) {
    return std::span(buckets_).subspan(worker * kBucketsEach, kBucketsEach);
  }
  std::uint16_t backend_of(std::uint64_t hash) const {
    const auto found = peers_.find(hash, now_);
    return found ? found->backend : 0;
  }

  std::vector<FlowBucket> buckets_ = std::vector<FlowBucket>(3 * kBucketsEach);
  FlowTable own_{buckets_of(1), {}, kTimeouts};
  FlowTable first_{buckets_of(0), {}, kTimeouts};
  FlowTable last_{buckets_of(2), {}, kTimeouts};
  PeerFlows peers_{buckets_, buckets_of(1), kTimeouts};
  Seconds now_{1000};
};

TEST_F(PeerFlowsTest, AreNoneOfASingleWorker) {
  EXPECT_TRUE(peers_.any());
  EXPECT_FALSE(PeerFlows(buckets_of(1), buckets_of(1), kTimeouts).any());
  EXPECT_FALSE(PeerFlows().any());
  EXPECT_FALSE(PeerFlows().find(flow(1), now_));
}

TEST_F(PeerFlowsTest, AreFoundWithTheirState) {
  ASSERT_TRUE(first_.insert(flow(1), 5, FlowState::established, now_ - Seconds{7}));
  ASSERT_TRUE(last_.insert(flow(2, 3), 6, FlowState::closing, now_));
  ASSERT_TRUE(own_.insert(flow(3), 7, FlowState::established, now_));
  const auto found = peers_.find(flow(1), now_);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->backend, 5);
  EXPECT_EQ(found->state, FlowState::established);
  EXPECT_EQ(found->silent_s, 7);
  EXPECT_EQ(backend_of(flow(2, 3)), 6);
  EXPECT_FALSE(peers_.find(flow(3), now_)) << "its own are no peer's";
  EXPECT_FALSE(peers_.find(flow(1, 1), now_)) << "the same tags at home elsewhere";
}

TEST_F(PeerFlowsTest, AreGoneWhenTheyEndOrExpire) {
  ASSERT_TRUE(first_.insert(flow(1), 5, FlowState::probation, now_));
  EXPECT_TRUE(peers_.find(flow(1), now_ + kTimeouts.probation));
  EXPECT_FALSE(peers_.find(flow(1), now_ + kTimeouts.probation + Seconds{1}));
  first_.erase(first_.find(flow(1), now_));
  EXPECT_FALSE(peers_.find(flow(1), now_));
}

TEST_F(PeerFlowsTest, AreFoundAsGuestsOfTheNeighbour) {
  for (std::uint64_t n = 1; n <= kFlowsPerBucket + 2; n++)
    ASSERT_TRUE(first_.insert(flow(n), static_cast<std::uint16_t>(n), FlowState::established, now_));
  for (std::uint64_t n = 1; n <= kFlowsPerBucket + 2; n++) EXPECT_EQ(backend_of(flow(n)), n);
}

TEST_F(PeerFlowsTest, TheOneThatMetItLastIsRight) {
  ASSERT_TRUE(first_.insert(flow(1), 5, FlowState::established, now_ - Seconds{2}));
  ASSERT_TRUE(last_.insert(flow(1), 6, FlowState::established, now_ - Seconds{1}));
  EXPECT_EQ(backend_of(flow(1)), 6);
  first_.touch(first_.find(flow(1), now_), FlowState::established, now_);
  EXPECT_EQ(backend_of(flow(1)), 5);
}

TEST_F(PeerFlowsTest, AClockThatIsASecondAheadIsNoExpiry) {
  ASSERT_TRUE(first_.insert(flow(1), 5, FlowState::probation, now_ + Seconds{1}));
  const auto found = peers_.find(flow(1), now_);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->silent_s, 0);
}

TEST_F(PeerFlowsTest, TheClockOfSixteenBitsMayTurnOver) {
  now_ = Seconds{65535};
  ASSERT_TRUE(first_.insert(flow(1), 5, FlowState::probation, now_));
  now_ += Seconds{10};
  ASSERT_TRUE(peers_.find(flow(1), now_));
  EXPECT_EQ(peers_.find(flow(1), now_)->silent_s, 10);
}

// More flows than there are places, all on probation, so that places are given to others all the time. Whatever is
// found while that happens is what was remembered of this very flow.
TEST_F(PeerFlowsTest, AreNeverMixedUpWhileTheyAreWritten) {
  constexpr std::uint64_t kFlows = 64;
  constexpr std::uint32_t kRounds = 20000;
  const auto backend = [](std::uint64_t n) { return static_cast<std::uint16_t>(n * 257); };
  std::atomic<bool> done = false;
  std::thread writer([&] {
    for (std::uint32_t round = 0; round < kRounds; round++)
      for (std::uint64_t n = 1; n <= kFlows; n++)
        if (!first_.find(flow(n), now_)) first_.insert(flow(n), backend(n), FlowState::probation, now_);
    done = true;
  });
  std::uint64_t found = 0;
  std::uint64_t wrong = 0;
  for (std::uint64_t n = 1; !done || found == 0; n = n % kFlows + 1) {
    const auto read = peers_.find(flow(n), now_);
    if (read) found++;
    if (read && read->backend != backend(n)) wrong++;
  }
  writer.join();
  EXPECT_EQ(wrong, 0U);
}

}  // namespace
}  // namespace guideway
