// Rise, fall, the first verdict and the plan of checks, with a clock and a dice of the test's own.
#include "controlplane/health/health_state.h"

#include <gtest/gtest.h>

#include <string_view>

namespace guideway::controlplane {
namespace {

using std::chrono::milliseconds;

const SteadyTime kStart{};

config::HealthCheck check(std::uint32_t rise, std::uint32_t fall) {
  config::HealthCheck check;
  check.rise = rise;
  check.fall = fall;
  check.interval = milliseconds(1000);
  check.jitter = 0.2;
  return check;
}

// Results as '+' and '-'; the health after each as 'U' (up), 'D' (down).
std::string run(HealthState state, std::string_view results) {
  std::string healths;
  for (const char result : results) {
    const Health before = state.health();
    const bool changed = state.finish(result == '+');
    EXPECT_EQ(changed, before != state.health());
    healths += state.health() == Health::up ? 'U' : state.health() == Health::down ? 'D' : '?';
  }
  return healths;
}

TEST(HealthStateTest, Histories) {
  struct Case {
    const char* what;
    Health initial;
    std::uint32_t rise, fall;
    const char* results;
    const char* healths;
  };
  const Case cases[] = {
      {"the first result decides", Health::unknown, 3, 3, "+", "U"},
      {"the first result decides, down too", Health::unknown, 3, 3, "-", "D"},
      {"fall failures in a row", Health::up, 2, 3, "---", "UUD"},
      {"a success starts the count anew", Health::up, 2, 3, "--+---", "UUUUUD"},
      {"rise successes in a row", Health::down, 2, 3, "++", "DU"},
      {"a failure starts the count anew", Health::down, 2, 3, "+-++", "DDDU"},
      {"one is enough when told so", Health::up, 1, 1, "-+-", "DUD"},
      {"after the first verdict the thresholds hold", Health::unknown, 2, 2, "+--++", "UUDDU"},
      {"what served before the start needs fall failures", Health::up, 2, 2, "-+--", "UUUD"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.what);
    EXPECT_EQ(run(HealthState(check(c.rise, c.fall), c.initial, kStart, 0), c.results), c.healths);
  }
}

TEST(HealthStateTest, FirstCheckIsDueWithinAShortSpread) {
  EXPECT_EQ(HealthState(check(2, 3), Health::unknown, kStart, 0).due(), kStart);
  const SteadyTime latest = HealthState(check(2, 3), Health::unknown, kStart, 0.999).due();
  EXPECT_GT(latest, kStart);
  EXPECT_LE(latest, kStart + milliseconds(100));
}

TEST(HealthStateTest, JitterStaysWithinItsBoundsAroundTheInterval) {
  HealthState state(check(2, 3), Health::unknown, kStart, 0);
  state.begin(kStart, 0);
  EXPECT_EQ(state.due(), kStart + milliseconds(800));
  state.begin(kStart, 0.5);
  EXPECT_EQ(state.due(), kStart + milliseconds(1000));
  state.begin(kStart, 0.9999999);
  EXPECT_LE(state.due(), kStart + milliseconds(1200));
  EXPECT_GT(state.due(), kStart + milliseconds(1199));
}

TEST(HealthStateTest, CountsWhatSpeaksAgainstTheVerdict) {
  HealthState state(check(2, 3), Health::up, kStart, 0);
  state.finish(false);
  state.finish(false);
  EXPECT_EQ(state.contrary(), 2U);
  EXPECT_EQ(state.threshold(), 3U);
  state.finish(true);
  EXPECT_EQ(state.contrary(), 0U);
}

}  // namespace
}  // namespace guideway::controlplane
