// The flow table against a virtual clock, and against an oracle that is a map.
#include "dataplane/flows/flow_table.h"

#include <gtest/gtest.h>

#include <array>
#include <map>
#include <random>
#include <vector>

namespace guideway {
namespace {

using State = FlowState;

constexpr FlowTimeouts kTimeouts{Seconds{30}, Seconds{7500}, Seconds{240}, Seconds{300}};

// Flows of one pair of buckets: equal low bits of the hash.
constexpr std::uint64_t flow(std::uint64_t number, std::uint64_t bucket = 0) {
  return number << 32 | number << 16 | bucket;
}

class FlowTableTest : public testing::Test {
 protected:
  void fill(State state, std::uint32_t count, std::uint64_t first = 1) {
    for (std::uint64_t n = first; n < first + count; n++) ASSERT_TRUE(table.insert(flow(n), 7, state, now));
  }

  std::vector<FlowBucket> buckets = std::vector<FlowBucket>(4);
  std::array<std::atomic<std::uint32_t>, 16> of_backend{};
  FlowTable table{buckets, of_backend, kTimeouts};
  Seconds now{1000};
};

TEST_F(FlowTableTest, FindsWhatWasInserted) {
  ASSERT_TRUE(table.insert(flow(1), 5, State::established, now));
  const FlowTable::Flow found = table.find(flow(1), now);
  ASSERT_TRUE(found);
  EXPECT_EQ(found.backend(), 5);
  EXPECT_EQ(found.state(), State::established);
  EXPECT_FALSE(table.find(flow(2), now));
  EXPECT_FALSE(table.find(flow(1, 1), now)) << "the same tags at home elsewhere";
}

TEST_F(FlowTableTest, TellsFlowsWithTheSameHighTagApart) {
  const std::uint64_t one = 0x1234'5678'0001'0000;
  const std::uint64_t other = 0x1234'5678'0002'0000;
  ASSERT_TRUE(table.insert(one, 1, State::established, now));
  ASSERT_TRUE(table.insert(other, 2, State::established, now));
  EXPECT_EQ(table.find(one, now).backend(), 1);
  EXPECT_EQ(table.find(other, now).backend(), 2);
}

struct Lifetime {
  State state;
  Seconds timeout;
};
class FlowLifetimeTest : public FlowTableTest, public testing::WithParamInterface<Lifetime> {};

TEST_P(FlowLifetimeTest, EndsASecondAfterItsTimeout) {
  const auto [state, timeout] = GetParam();
  ASSERT_TRUE(table.insert(flow(1), 3, state, now));
  EXPECT_TRUE(table.find(flow(1), now + timeout));
  EXPECT_FALSE(table.find(flow(1), now + timeout + Seconds{1}));
  EXPECT_EQ(table.usage().expired, 1U);
  EXPECT_EQ(table.usage().flows, 0U);
  EXPECT_EQ(of_backend[3], 0U);
}

TEST_P(FlowLifetimeTest, BeginsAnewWithEachPacket) {
  const auto [state, timeout] = GetParam();
  now = Seconds{65000};  // the clock's 16 bits run over on the way
  ASSERT_TRUE(table.insert(flow(1), 3, state, now));
  for (int packet = 0; packet < 10; packet++) {
    now += timeout;
    const FlowTable::Flow found = table.find(flow(1), now);
    ASSERT_TRUE(found) << packet;
    table.touch(found, state, now);
  }
  EXPECT_FALSE(table.find(flow(1), now + timeout + Seconds{1}));
}

INSTANTIATE_TEST_SUITE_P(States, FlowLifetimeTest,
                         testing::Values(Lifetime{State::probation, kTimeouts.probation},
                                         Lifetime{State::established, kTimeouts.established},
                                         Lifetime{State::closing, kTimeouts.closing},
                                         Lifetime{State::datagram, kTimeouts.datagram}));

TEST_F(FlowTableTest, ChangesItsTimeoutWithItsState) {
  ASSERT_TRUE(table.insert(flow(1), 3, State::probation, now));
  table.touch(table.find(flow(1), now), State::established, now);
  EXPECT_TRUE(table.find(flow(1), now + kTimeouts.probation + Seconds{1}));
  table.touch(table.find(flow(1), now), State::closing, now);
  EXPECT_FALSE(table.find(flow(1), now + kTimeouts.closing + Seconds{1}));
}

TEST_F(FlowTableTest, TakesGuestsOfTheNeighbour) {
  fill(State::established, 2 * kFlowsPerBucket);
  for (std::uint64_t n = 1; n <= 2 * kFlowsPerBucket; n++) EXPECT_TRUE(table.find(flow(n), now)) << n;
  table.erase(table.find(flow(kFlowsPerBucket + 1), now));
  EXPECT_FALSE(table.find(flow(kFlowsPerBucket + 1), now));
  EXPECT_TRUE(table.find(flow(kFlowsPerBucket + 2), now));
  EXPECT_TRUE(table.insert(flow(99, 1), 7, State::established, now)) << "the place that became free";
}

TEST_F(FlowTableTest, RefusesWhenAllAreEstablished) {
  fill(State::established, kFlowsPerBucket);
  fill(State::datagram, kFlowsPerBucket, 100);
  EXPECT_FALSE(table.insert(flow(50), 7, State::established, now));
  EXPECT_EQ(table.usage().refused, 1U);
  EXPECT_EQ(table.usage().flows, 2 * kFlowsPerBucket);
  EXPECT_TRUE(table.insert(flow(50, 2), 7, State::established, now)) << "another pair has room";
}

TEST_F(FlowTableTest, PushesOutTheLongestSilentOnProbationFirst) {
  fill(State::closing, 2 * kFlowsPerBucket - 2);
  now += Seconds{5};
  fill(State::probation, 1, 50);
  now += Seconds{5};
  fill(State::probation, 1, 51);
  ASSERT_TRUE(table.insert(flow(60), 7, State::probation, now));
  EXPECT_FALSE(table.find(flow(50), now));
  EXPECT_TRUE(table.find(flow(51), now));
  for (const std::uint64_t n : {61U, 62U}) ASSERT_TRUE(table.insert(flow(n), 7, State::established, now));
  EXPECT_FALSE(table.find(flow(51), now));
  EXPECT_EQ(table.usage().evicted, 3U);
  ASSERT_TRUE(table.insert(flow(63), 7, State::established, now)) << "then one that is closing";
  EXPECT_EQ(table.usage().evicted, 4U);
}

TEST_F(FlowTableTest, TakesThePlaceOfWhatHasExpired) {
  fill(State::established, 2 * kFlowsPerBucket);
  now += kTimeouts.established + Seconds{1};
  EXPECT_TRUE(table.insert(flow(50), 7, State::established, now));
  EXPECT_EQ(table.usage().evicted, 0U);
  EXPECT_EQ(table.usage().expired, 1U);
}

TEST_F(FlowTableTest, KnowsWhichHashesItCannotHave) {
  const std::uint64_t hash = 0xabcd'0000'0000'0000;
  EXPECT_FALSE(table.may_have(hash));
  ASSERT_TRUE(table.insert(hash, 1, State::established, now));
  EXPECT_TRUE(table.may_have(hash));
  EXPECT_FALSE(table.may_have(0xabce'0000'0000'0000));
  table.erase(table.find(hash, now));
  EXPECT_FALSE(table.may_have(hash));
}

TEST_F(FlowTableTest, SweepsAllBucketsInItsPeriod) {
  for (std::uint64_t b = 0; b < 4; b++) ASSERT_TRUE(table.insert(flow(1, b), 2, State::probation, now));
  table.sweep(now);
  now += kTimeouts.probation + Seconds{1};
  const Seconds end = now + FlowTable::kSweepPeriod;
  for (; now < end; now += Seconds{1}) table.sweep(now);
  EXPECT_EQ(table.usage().flows, 0U);
  EXPECT_EQ(table.usage().expired, 4U);
  EXPECT_EQ(of_backend[2], 0U);
}

TEST_F(FlowTableTest, CountsWhatIsThereWhenItIsMade) {
  fill(State::established, 8);
  std::array<std::atomic<std::uint32_t>, 16> counts{};
  const FlowTable again(buckets, counts, kTimeouts);
  EXPECT_EQ(again.usage().flows, 8U);
  EXPECT_EQ(counts[7], 8U);
  EXPECT_TRUE(again.may_have(flow(3)));
}

TEST_F(FlowTableTest, TakesOverWithTheSilenceSoFar) {
  EXPECT_TRUE(table.take_over(flow(1), 3, State::probation, Seconds{20}, now));
  EXPECT_TRUE(table.find(flow(1), now + Seconds{10}));
  EXPECT_FALSE(table.find(flow(1), now + Seconds{11}));
  EXPECT_FALSE(table.take_over(flow(2), 3, State::probation, Seconds{31}, now)) << "it has expired";
  EXPECT_FALSE(table.take_over(flow(2), 3, static_cast<State>(7), Seconds{0}, now)) << "no such state";
}

TEST(FlowTable, RefusesAllWithoutBuckets) {
  FlowTable table({}, {}, kTimeouts);
  EXPECT_FALSE(table.insert(flow(1), 1, State::established, Seconds{1}));
  EXPECT_FALSE(table.find(flow(1), Seconds{1}));
  EXPECT_EQ(table.usage().refused, 1U);
}

TEST(FlowTable, MatchesTagsLikeItsPlainTwin) {
  std::mt19937 random(20261124);
  for (int round = 0; round < 100000; round++) {
    FlowBucket bucket{};
    for (std::uint32_t& tag : bucket.tag_high) tag = random() % 4 * 0x40000001;
    bucket.tag_low.fill(static_cast<std::uint16_t>(random()));
    const std::uint32_t wanted = random() % 4 * 0x40000001;
    ASSERT_EQ(match_tags(bucket, wanted), match_tags_portable(bucket, wanted)) << round;
  }
}

// As long as nothing is refused or pushed out, the table is a map with timeouts.
TEST(FlowTable, AgreesWithAMap) {
  struct Known {
    std::uint16_t backend;
    State state;
    Seconds seen;
  };
  std::vector<FlowBucket> buckets(1024);
  std::array<std::atomic<std::uint32_t>, 16> of_backend{};
  FlowTable table(buckets, of_backend, kTimeouts);
  std::map<std::uint64_t, Known> oracle;
  std::mt19937_64 random(20261124);
  const auto timeout_of = [](State state) {
    return state == State::probation ? kTimeouts.probation
           : state == State::closing ? kTimeouts.closing
                                     : kTimeouts.established;
  };
  std::vector<std::uint64_t> hashes(2000);
  for (std::uint64_t& hash : hashes) hash = random();
  Seconds now{65000};
  for (int step = 0; step < 300000; step++) {
    if (random() % 50 == 0) now += Seconds{static_cast<std::uint32_t>(random() % 20)};
    table.sweep(now);
    const std::uint64_t hash = hashes[random() % hashes.size()];
    auto known = oracle.find(hash);
    if (known != oracle.end() && now - known->second.seen > timeout_of(known->second.state)) {
      oracle.erase(known);
      known = oracle.end();
    }
    const FlowTable::Flow found = table.find(hash, now);
    ASSERT_EQ(bool{found}, known != oracle.end()) << step;
    const auto state = static_cast<State>(1 + random() % 3);
    const auto backend = static_cast<std::uint16_t>(random() % 16);
    if (!found) {
      ASSERT_TRUE(table.insert(hash, backend, state, now)) << step;
      oracle[hash] = {backend, state, now};
    } else if (random() % 8 == 0) {
      table.erase(found);
      oracle.erase(known);
    } else {
      ASSERT_EQ(found.backend(), known->second.backend) << step;
      ASSERT_EQ(found.state(), known->second.state) << step;
      table.touch(found, state, now);
      known->second.state = state;
      known->second.seen = now;
    }
  }
  EXPECT_EQ(table.usage().refused + table.usage().evicted, 0U) << "the oracle knows neither";
  std::uint64_t sum = 0;
  for (const auto& count : of_backend) sum += count;
  EXPECT_EQ(sum, table.usage().flows);
  EXPECT_GT(table.usage().expired, 1000U);
}

}  // namespace
}  // namespace guideway
