// What a drain looks like from outside, second by second.
#include "controlplane/ctl/drain_watch.h"

#include <gtest/gtest.h>

#include "tests/unit/ctl/sample.h"

namespace guideway::ctl {
namespace {

using nlohmann::json;
using Outcome = DrainWatch::Outcome;

class DrainWatchTest : public testing::Test {
 protected:
  DrainWatchTest() {
    backend_.update(
        {{"pool", "web"}, {"drained", true}, {"state", "drained"}, {"remaining_s", 1800}, {"packets", 1000}});
  }
  Outcome see(const json& change, int second) {
    backend_.update(change);
    watch_.see(backend_, DrainWatch::Time{} + std::chrono::seconds(second));
    return watch_.outcome();
  }

  json backend_ = sample_backend("b2", "10.1.0.12", 2, 0, 0);
  DrainWatch watch_;
};

TEST_F(DrainWatchTest, IsDoneWhenNoFlowIsLeftAndItIsQuiet) {
  EXPECT_EQ(see({{"flows", 3}}, 100), Outcome::going_on);
  EXPECT_EQ(watch_.progress(), "web/b2: 3 known flows, 2.5 pkt/s, quiet for 0s, removed in 30m0s");
  EXPECT_EQ(see({{"flows", 0}, {"packets", 1001}, {"remaining_s", 1799}}, 101), Outcome::going_on);
  EXPECT_EQ(see({{"packets_per_second", 0.0}, {"remaining_s", nullptr}}, 110), Outcome::going_on);
  EXPECT_EQ(watch_.progress(), "web/b2: no known flows, 0 pkt/s, quiet for 9s, no deadline");
  EXPECT_EQ(see(json::object(), 111), Outcome::drained);
  EXPECT_EQ(watch_.conclusion(), "web/b2: drained; no known flow is left, and no packet came for 10s");
  EXPECT_FALSE(watch_.may_have_cut());
}

TEST_F(DrainWatchTest, IsNotDoneWhilePacketsComeOrFlowsAreKnown) {
  see({{"flows", 0}}, 100);
  for (int second = 101; second < 200; second++) EXPECT_EQ(see({{"packets", second}}, second), Outcome::going_on);
  for (int second = 200; second < 300; second++) EXPECT_EQ(see({{"flows", 1}}, second), Outcome::going_on);
  EXPECT_EQ(watch_.progress(), "web/b2: 1 known flow, 2.5 pkt/s, quiet for 1m40s, removed in 30m0s");
}

TEST_F(DrainWatchTest, IsNotDoneBeforeItIsInForce) {
  see({{"flows", 0}, {"not_in_force", "readers hold it up"}}, 100);
  EXPECT_EQ(see(json::object(), 120), Outcome::going_on);
  EXPECT_EQ(watch_.progress(), "web/b2: not in force yet: readers hold it up");
  EXPECT_EQ(see({{"not_in_force", ""}}, 121), Outcome::drained);
}

TEST_F(DrainWatchTest, NobodyKnowsWithoutADataPlane) {
  see({{"flows", nullptr}, {"packets", 0}}, 100);
  EXPECT_EQ(see(json::object(), 120), Outcome::going_on);
  EXPECT_EQ(watch_.progress(),
            "web/b2: no data plane, so nobody knows its flows, 2.5 pkt/s, quiet for 0s, removed in 30m0s");
  EXPECT_EQ(see({{"flows", 0}}, 121), Outcome::going_on) << "quiet only since it is there again";
  EXPECT_EQ(see(json::object(), 130), Outcome::drained);
}

TEST_F(DrainWatchTest, TheDeadlineCutsWhatIsLeft) {
  const struct {
    json flows;
    bool cut;
    const char* conclusion;
  } cases[] = {
      {0, false, "web/b2: removed at its deadline; no known flow was left"},
      {1, true, "web/b2: removed at its deadline with 1 known flow left; connections that had not ended are cut"},
      {12, true, "web/b2: removed at its deadline with 12 known flows left; connections that had not ended are cut"},
      {nullptr, true,
       "web/b2: removed at its deadline; nobody knows how many flows were left, for there is no data plane"},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(see({{"state", "removed"}, {"remaining_s", 0}, {"flows", c.flows}}, 100), Outcome::removed);
    EXPECT_EQ(watch_.may_have_cut(), c.cut);
    EXPECT_EQ(watch_.conclusion(), c.conclusion);
  }
}

TEST_F(DrainWatchTest, SomebodyMayUndrainIt) {
  EXPECT_EQ(see({{"drained", false}, {"state", "up"}}, 100), Outcome::undrained);
  EXPECT_EQ(watch_.conclusion(), "web/b2: is no longer drained, somebody has undrained it");
}

}  // namespace
}  // namespace guideway::ctl
