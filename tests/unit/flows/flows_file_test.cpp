// A data plane after another: what it takes over, with other numbers of workers and sizes, and after a bad file.
#include "dataplane/flows/flows_file.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/lib/temporary_directory.h"

namespace guideway {
namespace {

constexpr std::uint64_t kFlow = 0xfedc'ba98'7654'3210;

class FlowsFileTest : public testing::Test {
 protected:
  FlowsFile open(std::uint32_t workers, Seconds now, std::uint32_t flows_max = 1) {
    return {directory, workers, flows_max, timeouts, now};
  }
  FlowTable table(FlowsFile& file, std::uint32_t worker) { return {file.worker(WorkerId{worker}), {}, timeouts}; }

  const TemporaryDirectory temporary{"/dev/shm"};
  const std::string directory = temporary.path();
  FlowTimeouts timeouts;
};

TEST_F(FlowsFileTest, StartsEmpty) {
  FlowsFile file = open(2, Seconds{10});
  EXPECT_EQ(file.taken_over(), 0U);
  EXPECT_EQ(file.trouble(), "");
  EXPECT_EQ(table(file, 1).usage().flows, 0U);
}

// Whoever is killed leaves the file as it is: nothing has to be closed or flushed.
TEST_F(FlowsFileTest, GivesEachWorkerItsFlowsBack) {
  {
    FlowsFile before = open(2, Seconds{1000});
    ASSERT_TRUE(table(before, 1).insert(kFlow, 42, FlowState::established, Seconds{1000}));
    before.set_clock(Seconds{1100});
  }
  const Seconds now{5};  // another process, another clock
  FlowsFile after = open(2, now);
  EXPECT_EQ(after.taken_over(), 1U);
  EXPECT_FALSE(table(after, 0).find(kFlow, now));
  FlowTable of_one = table(after, 1);
  const FlowTable::Flow found = of_one.find(kFlow, now);
  ASSERT_TRUE(found);
  EXPECT_EQ(found.backend(), 42);
  EXPECT_EQ(found.state(), FlowState::established);
  EXPECT_TRUE(of_one.find(kFlow, now + timeouts.established - Seconds{100})) << "it has been silent for 100 s already";
  EXPECT_FALSE(of_one.find(kFlow, now + timeouts.established - Seconds{99}));
}

// The main core writes the clock between other things, and is killed like everybody else: a worker's second may be a
// later one.
TEST_F(FlowsFileTest, KeepsFlowsThatWereSeenAfterTheClockWasWrittenLast) {
  {
    FlowsFile before = open(1, Seconds{1000});
    ASSERT_TRUE(table(before, 0).insert(kFlow, 42, FlowState::established, Seconds{1003}));
  }
  const Seconds now{5};
  FlowsFile after = open(1, now);
  EXPECT_EQ(after.taken_over(), 1U);
  FlowTable flows = table(after, 0);
  EXPECT_TRUE(flows.find(kFlow, now + timeouts.established));
  EXPECT_FALSE(flows.find(kFlow, now + timeouts.established + Seconds{1}));
}

TEST_F(FlowsFileTest, GivesEveryWorkerAllFlowsWhenTheirNumberChanges) {
  {
    FlowsFile before = open(2, Seconds{1000});
    ASSERT_TRUE(table(before, 0).insert(kFlow, 1, FlowState::established, Seconds{1000}));
    ASSERT_TRUE(table(before, 1).insert(~kFlow, 2, FlowState::established, Seconds{1000}));
  }
  FlowsFile after = open(3, Seconds{1000});
  for (std::uint32_t w = 0; w < 3; w++) {
    FlowTable of_worker = table(after, w);
    EXPECT_TRUE(of_worker.find(kFlow, Seconds{1000})) << w;
    EXPECT_TRUE(of_worker.find(~kFlow, Seconds{1000})) << w;
  }
}

// Two workers take over all flows of one. Both have them all, but each flow goes on at one of them alone.
TEST_F(FlowsFileTest, BelievesTheWorkerThatMetAFlowLast) {
  {
    FlowsFile before = open(1, Seconds{1000});
    FlowTable flows = table(before, 0);
    for (const std::uint64_t flow : {kFlow, ~kFlow})
      ASSERT_TRUE(flows.insert(flow, 1, FlowState::probation, Seconds{1000}));
  }
  {
    FlowsFile between = open(2, Seconds{1000});
    for (const auto& [worker, flow] : {std::pair{0U, kFlow}, std::pair{1U, ~kFlow}}) {
      FlowTable flows = table(between, worker);
      flows.touch(flows.find(flow, Seconds{1005}), FlowState::established, Seconds{1005});
    }
    between.set_clock(Seconds{1010});
  }
  FlowsFile after = open(1, Seconds{1010});
  EXPECT_EQ(after.taken_over(), 2U) << "each once";
  FlowTable flows = table(after, 0);
  for (const std::uint64_t flow : {kFlow, ~kFlow}) {
    ASSERT_TRUE(flows.find(flow, Seconds{1010}));
    EXPECT_EQ(flows.find(flow, Seconds{1010}).state(), FlowState::established);
    EXPECT_TRUE(flows.find(flow, Seconds{1005} + timeouts.established));
  }
}

TEST_F(FlowsFileTest, MovesFlowsToATableOfAnotherSize) {
  std::vector<std::uint64_t> hashes;
  for (std::uint64_t n = 1; n <= 1000; n++) hashes.push_back(n * 0x9e37'79b9'7f4a'7c15);
  for (const std::uint32_t flows_max : {1U, 1U << 20, 1U}) {
    FlowsFile file = open(1, Seconds{1000}, flows_max);
    FlowTable flows = table(file, 0);
    for (const std::uint64_t hash : hashes)
      ASSERT_TRUE(flows.find(hash, Seconds{1000}) || flows.insert(hash, 9, FlowState::datagram, Seconds{1000}));
    EXPECT_EQ(flows.usage().flows, hashes.size());
    EXPECT_EQ(flows.usage().inserted, file.taken_over() == 0 ? hashes.size() : 0) << "all others were taken over";
  }
}

TEST_F(FlowsFileTest, BeginsAnewWithAFileThatIsNone) {
  std::ofstream(directory + "/flows") << std::string(1 << 20, 'x');
  FlowsFile file = open(1, Seconds{10});
  EXPECT_EQ(file.trouble(), "bad magic: not a Guideway segment");
  EXPECT_EQ(table(file, 0).usage().flows, 0U);
  EXPECT_EQ(open(1, Seconds{10}).trouble(), "") << "it was replaced";
}

TEST_F(FlowsFileTest, TakesNothingFromAFileThatWasCutShort) {
  { FlowsFile before = open(1, Seconds{1000}); }
  std::filesystem::resize_file(directory + "/flows", 4096);
  EXPECT_EQ(open(1, Seconds{10}).trouble(), "truncated: smaller than its header says");
}

}  // namespace
}  // namespace guideway
