// When a pool stops believing its checks, for how long, and what that does to its slots.
#include "controlplane/fail_open.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "common/net/address_text.h"
#include "controlplane/eras.h"
#include "tests/lib/temporary_directory.h"

namespace guideway::controlplane {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// One pool "web" behind one service, with a check that takes 3 × 1.1 s + 0.5 s to change its mind.
class FailOpenTest : public testing::Test {
 protected:
  FailOpenTest() {
    config::HealthCheck& check = config_.health_checks.emplace_back();
    check.name = "tcp";
    check.interval = milliseconds(1000);
    check.timeout = milliseconds(500);
    config::Pool& web = config_.pools.emplace_back();
    web.name = "web";
    web.health_check = 0;
    web.slots = 1021;
    web.fail_open_below = 50;
    config_.vips.push_back({.name = "web", .prefix = IpPrefix::of(*parse_ip("203.0.113.10")), .port = 80});
    backends({1, 1, 1, 1});
  }
  config::Pool& web() { return config_.pools[0]; }
  static IpAddress address(std::size_t n) { return *parse_ip("10.1.0." + std::to_string(n)); }
  static HealthTarget target(std::size_t n) { return {address(n), "tcp"}; }
  // b1, b2 …, all up.
  void backends(const std::vector<std::uint16_t>& weights) {
    web().backends.clear();
    for (std::size_t n = 1; n <= weights.size(); n++) {
      web().backends.push_back({"b" + std::to_string(n), address(n), weights[n - 1], 0, {}});
      health_[target(n)] = Health::up;
      egress_[address(n)] = {};
    }
  }
  // One letter for each backend: up, down, ? for no verdict.
  void checks_say(const std::string& verdicts) {
    for (std::size_t n = 1; n <= verdicts.size(); n++)
      health_[target(n)] = verdicts[n - 1] == 'u'   ? Health::up
                           : verdicts[n - 1] == 'd' ? Health::down
                                                    : Health::unknown;
  }
  Facts facts() const {
    return {config_,  intents_,           health_,      egress_,          behind_gateway_,
            waiting_, fail_open_.pools(), vip_indices_, backend_indices_, now_};
  }
  DesiredState decide() const { return controlplane::decide(facts()); }
  // The control plane's steps.
  DesiredState follow(const std::set<HealthTarget>& failing = {}) {
    fail_open_.follow(facts(), failing);
    return decide();
  }
  bool is_open_after(milliseconds wait) {
    now_ += wait;
    return follow().fails_open[0];
  }

  EventLoop loop_;
  int ended_ = 0;
  FailOpen fail_open_{loop_, [this] {
                        ended_++;
                        loop_.stop();
                      }};
  config::Config config_;
  Intents intents_;
  std::map<HealthTarget, Health> health_;
  std::map<IpAddress, Egress> egress_;
  std::set<IpAddress> behind_gateway_;
  std::set<std::string> waiting_;
  StatsIndices<ServiceKey> vip_indices_;
  StatsIndices<BackendKey> backend_indices_;
  Deadline now_{std::chrono::hours(500'000)};
};

std::vector<std::uint32_t> weights(const DesiredState& state) {
  std::vector<std::uint32_t> weights;
  for (const DesiredBackend& backend : state.tables.pools[0].backends) weights.push_back(backend.weight);
  return weights;
}

// ---- decide() ------------------------------------------------------------------------------------------------------

TEST_F(FailOpenTest, GoesByTheWeightThatIsNotDown) {
  struct Case {
    const char* what;
    std::uint32_t below;
    std::vector<std::uint16_t> weights;
    const char* verdicts;
    bool open;
  };
  const Case cases[] = {
      {"all up", 50, {1, 1, 1, 1}, "uuuu", false},
      {"more than enough", 50, {1, 1, 1, 1}, "uuud", false},
      {"exactly enough", 50, {1, 1, 1, 1}, "uudd", false},
      {"less than enough", 50, {1, 1, 1, 1}, "uddd", true},
      {"all down", 50, {1, 1, 1, 1}, "dddd", true},
      {"the only one", 50, {1}, "d", true},
      {"one of two", 50, {1, 1}, "ud", false},
      {"most backends, but not most weight", 50, {7, 1, 1, 1}, "uddd", false},
      {"one backend, but most weight", 50, {7, 1, 1, 1}, "duuu", true},
      {"exactly enough weight", 50, {3, 1, 1, 1}, "duuu", false},
      {"one unit too few", 50, {4, 1, 1, 1}, "duuu", true},
      {"not checked is not down", 50, {1, 1, 1, 1}, "??dd", false},
      {"not checked at all", 50, {1, 1, 1, 1}, "????", false},
      {"the rest are down", 50, {1, 1, 1, 1}, "?ddd", true},
      {"weight 0 does not count", 50, {0, 0, 0, 1}, "dddu", false},
      {"weight 0 does not count for it either", 50, {0, 0, 0, 1}, "uuud", true},
      {"no weight at all", 50, {0, 0}, "dd", false},
      {"off", 0, {1, 1, 1, 1}, "dddd", false},
      {"1: the last one counts", 1, {65535, 1}, "du", true},
      {"1: but for its weight", 1, {99, 1}, "du", false},
      {"99: two of a hundred", 99, {98, 2}, "ud", true},
      {"100: one is enough", 100, {65535, 1}, "ud", true},
      {"100: none is not", 100, {1, 1}, "uu", false},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.what);
    backends(c.weights);
    web().fail_open_below = c.below;
    checks_say(c.verdicts);
    const DesiredState state = decide();
    EXPECT_EQ(state.fails_open, std::vector<bool>{c.open});
    for (std::size_t b = 0; b < c.weights.size(); b++) {
      SCOPED_TRACE(web().backends[b].name);
      const bool up = c.verdicts[b] == 'u';
      const bool down = c.verdicts[b] == 'd';
      const DesiredBackend& backend = state.tables.pools[0].backends[b];
      EXPECT_EQ(backend.weight, up || (down && c.open) ? c.weights[b] : 0U);
      EXPECT_EQ(backend.alive, !down || c.open);
      const BackendState expected = up ? BackendState::up : down ? BackendState::down : BackendState::unknown;
      EXPECT_EQ(state.backends[0][b].state, expected) << "the state stays honest";
      EXPECT_EQ(state.backends[0][b].usable(), backend.weight > 0);
    }
  }
}

TEST_F(FailOpenTest, OperatorsIntentsHold) {
  checks_say("uudd");
  EXPECT_FALSE(decide().fails_open[0]);
  intents_[{"web", "b1"}].drained = true;
  EXPECT_THAT(weights(decide()), ElementsAre(0, 1, 1, 1)) << "one of three is not down";
  intents_.clear();
  intents_[{"web", "b1"}].weight = 3;
  EXPECT_FALSE(decide().fails_open[0]) << "four of six";
  intents_[{"web", "b3"}].weight = 7;
  EXPECT_THAT(weights(decide()), ElementsAre(3, 1, 7, 1)) << "four of twelve";
}

TEST_F(FailOpenTest, ADrainedBackendKeepsItsConnectionsAndARemovedOneDoesNot) {
  checks_say("dddd");
  intents_[{"web", "b1"}].drained = true;
  intents_[{"web", "b2"}] = {.drained = true, .deadline = now_, .weight = {}, .reason = ""};
  const DesiredState state = decide();
  EXPECT_EQ(state.backends[0][0], (BackendDecision{BackendState::drained, 0}));
  EXPECT_TRUE(state.tables.pools[0].backends[0].alive);
  EXPECT_EQ(state.backends[0][1], (BackendDecision{BackendState::removed, 0}));
  EXPECT_FALSE(state.tables.pools[0].backends[1].alive);
  EXPECT_THAT(weights(state), ElementsAre(0, 0, 1, 1));
}

TEST_F(FailOpenTest, NobodyIsSentWhereThereIsNoWay) {
  checks_say("dddd");
  egress_.erase(address(1));
  const DesiredState state = decide();
  EXPECT_EQ(state.backends[0][0], (BackendDecision{BackendState::down, 0}));
  EXPECT_THAT(weights(state), ElementsAre(0, 1, 1, 1));
}

TEST_F(FailOpenTest, APoolThatWaitsForItsFirstChecksWaits) {
  checks_say("dddd");
  waiting_.insert("web");
  EXPECT_FALSE(decide().fails_open[0]);
  EXPECT_THAT(weights(decide()), ElementsAre(0, 0, 0, 0));
}

TEST_F(FailOpenTest, WhatIsAnnouncedGoesByTheChecks) {
  struct Case {
    const char* verdicts;
    config::Announce announce;
    bool announced;
  };
  const Case cases[] = {
      {"uddd", config::Announce::healthy, true},  {"dddd", config::Announce::healthy, false},
      {"?ddd", config::Announce::healthy, false}, {"dddd", config::Announce::always, true},
      {"uddd", config::Announce::never, false},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.verdicts);
    checks_say(c.verdicts);
    config_.vips[0].announce = c.announce;
    config_.vips[0].echo = config::Echo::healthy;
    const DesiredState state = decide();
    EXPECT_TRUE(state.fails_open[0]);
    EXPECT_EQ(state.tables.vips[0].announce, c.announced);
    EXPECT_EQ(state.tables.vips[0].echo, c.verdicts[0] == 'u');
  }
}

TEST_F(FailOpenTest, AHealthyBackendThatNobodyReachesAnnouncesNothing) {
  checks_say("uddd");
  egress_.erase(address(1));
  EXPECT_TRUE(decide().fails_open[0]);
  EXPECT_FALSE(decide().tables.vips[0].announce);
}

// ---- one verdict after another -------------------------------------------------------------------------------------

std::set<HealthTarget> all_of(const std::map<HealthTarget, Health>& health) {
  std::set<HealthTarget> all;
  for (const auto& [target, verdict] : health) all.insert(target);
  return all;
}

TEST_F(FailOpenTest, TheFirstToGoDownKeepsItsSlotsWhileTheOthersFailTheirChecks) {
  follow();
  checks_say("duuu");
  EXPECT_THAT(weights(follow(all_of(health_))), ElementsAre(1, 1, 1, 1));
  for (const char* verdicts : {"dduu", "dddu", "dddd"}) {
    SCOPED_TRACE(verdicts);
    checks_say(verdicts);
    now_ += milliseconds(200);
    EXPECT_THAT(weights(follow(all_of(health_))), ElementsAre(1, 1, 1, 1));
  }
  EXPECT_TRUE(is_open_after(std::chrono::hours(1))) << "for as long as it takes";
}

TEST_F(FailOpenTest, OneThatGoesDownAloneIsTakenOutAtOnce) {
  follow();
  checks_say("duuu");
  EXPECT_THAT(weights(follow()), ElementsAre(0, 1, 1, 1));
  // What fails later does not bring it back, unless it goes down as well.
  EXPECT_THAT(weights(follow({target(2), target(3)})), ElementsAre(0, 1, 1, 1));
  EXPECT_THAT(weights(follow({target(2)})), ElementsAre(0, 1, 1, 1));
}

TEST_F(FailOpenTest, AFalseAlarmEndsByItself) {
  follow();
  checks_say("duuu");
  EXPECT_TRUE(follow({target(2), target(3)}).fails_open[0]);
  EXPECT_TRUE(is_open_after(milliseconds(3799)));
  EXPECT_FALSE(is_open_after(milliseconds(1)));
  EXPECT_THAT(weights(decide()), ElementsAre(0, 1, 1, 1));
}

TEST_F(FailOpenTest, TheLastToComeBackKeepTheirSlots) {
  checks_say("dddd");
  EXPECT_TRUE(follow().fails_open[0]);
  EXPECT_TRUE(is_open_after(std::chrono::minutes(10)));
  checks_say("uudd");  // enough
  EXPECT_TRUE(is_open_after(milliseconds(1)));
  EXPECT_TRUE(is_open_after(milliseconds(3799)));
  EXPECT_FALSE(is_open_after(milliseconds(1)));
  EXPECT_THAT(weights(decide()), ElementsAre(1, 1, 0, 0)) << "these are really down";
}

TEST_F(FailOpenTest, EndsWhenNothingIsDown) {
  checks_say("dddd");
  follow();
  checks_say("uuuu");
  EXPECT_FALSE(follow().fails_open[0]);
}

TEST_F(FailOpenTest, EndsAtOnceWhenTheFileSaysSo) {
  checks_say("dddd");
  follow();
  web().fail_open_below = 0;
  EXPECT_THAT(weights(follow()), ElementsAre(0, 0, 0, 0));
  EXPECT_THAT(fail_open_.pools(), IsEmpty());
}

TEST_F(FailOpenTest, AsksToDecideAgainWhenItsTimeIsOver) {
  config_.health_checks[0].interval = config_.health_checks[0].timeout = milliseconds(10);
  checks_say("dddd");
  follow();
  checks_say("uudd");
  EXPECT_TRUE(follow().fails_open[0]);
  Timer guard(loop_, [this] { loop_.stop(); });
  guard.start(std::chrono::seconds(10));
  loop_.run();
  EXPECT_EQ(ended_, 1);
  EXPECT_FALSE(is_open_after(milliseconds(43)));
}

// ---- slots and eras ------------------------------------------------------------------------------------------------

// A connection's packets go to the owner of its slot when it began, or to who is named first in the slot's history.
class Slots {
 public:
  Slots() {
    std::string warning;
    eras_.emplace(directory_, std::chrono::hours(1), warning);
  }
  Slots(const Slots&) = delete;
  Slots& operator=(const Slots&) = delete;

  void publish(DesiredState state, EraTime now) {
    DesiredPool& pool = state.tables.pools[0];
    eras_->note("web", pool.slot_count, weights_of(pool), now);
    pool.past = eras_->past("web", now);
    past_eras_ = pool.past.recent.size();
    slots_ = build_slot_table(weights_of(pool), pool.slot_count);
    std::vector<KnownBackend> known;
    for (const DesiredBackend& backend : pool.backends)
      known.push_back({backend.address, backend.alive && backend.egress.has_value(), false});
    owners_.assign(slots_.begin(), slots_.end());
    history_ = make_slot_history(slots_, known, pool.past, tables_);
  }
  const std::vector<std::uint16_t>& owners() const { return owners_; }
  std::size_t past_eras() const { return past_eras_; }
  std::uint32_t unsettled() const { return history_.unsettled_slots; }
  // Where each slot sends flows that nobody knows.
  std::vector<std::uint16_t> homes() const {
    std::vector<std::uint16_t> homes = owners_;
    const std::size_t blocks = history_.words.empty() ? 0 : history_blocks(static_cast<std::uint32_t>(slots_.size()));
    std::size_t at = blocks;
    for (std::size_t s = 0; s < slots_.size(); s++) {
      if ((slots_[s] & kSlotUnsettled) == 0) continue;
      const auto past = std::bit_cast<PastOwners>(history_.words[at++]);
      if (past.backends[0] != BackendId::none) homes[s] = static_cast<std::uint16_t>(index(past.backends[0]));
    }
    return homes;
  }

 private:
  const TemporaryDirectory temporary_;
  const std::string directory_ = temporary_.path();
  std::optional<Eras> eras_;
  SlotTables tables_;
  std::vector<SlotEntry> slots_;
  std::vector<std::uint16_t> owners_;
  SlotHistory history_;
  std::size_t past_eras_ = 0;
};

std::size_t differing(const std::vector<std::uint16_t>& a, const std::vector<std::uint16_t>& b) {
  std::size_t differing = 0;
  for (std::size_t s = 0; s < a.size(); s++) differing += a[s] != b[s] ? 1U : 0U;
  return differing;
}

TEST_F(FailOpenTest, SlotsStayWhereTheyAreWhenAllChecksFailTogether) {
  Slots slots;
  slots.publish(follow(), now_);
  const auto before = slots.owners();
  for (const char* verdicts : {"uduu", "udud", "dddu", "dddd", "ddud", "udud", "uduu", "uuuu"}) {
    SCOPED_TRACE(verdicts);
    checks_say(verdicts);
    now_ += milliseconds(100);
    slots.publish(follow(all_of(health_)), now_);
    EXPECT_EQ(slots.owners(), before);
    EXPECT_EQ(slots.past_eras(), 0U) << "no era began";
    EXPECT_EQ(slots.unsettled(), 0U);
  }
}

// With fall = 1 nothing fails before it is down. So the first ones lose their slots for a moment, and what comes then
// goes astray; when the pool fails open everything is at home again, remembered or not.
TEST_F(FailOpenTest, SlotsComeHomeWhenThePoolFailsOpenTooLate) {
  Slots slots;
  slots.publish(follow(), now_);
  const auto before = slots.owners();
  const struct {
    const char* verdicts;
    bool at_home;
    std::size_t past_eras;
  } steps[] = {{"duuu", false, 1}, {"dduu", false, 2}, {"dddu", true, 3}, {"dddd", true, 3},
               {"uddd", true, 3},  {"uudd", true, 3},  {"uuud", true, 3}, {"uuuu", true, 3}};
  for (const auto& step : steps) {
    SCOPED_TRACE(step.verdicts);
    checks_say(step.verdicts);
    now_ += milliseconds(100);
    slots.publish(follow(), now_);
    EXPECT_EQ(slots.owners() == before, step.at_home);
    EXPECT_EQ(slots.homes() == before, step.at_home);
    EXPECT_EQ(slots.past_eras(), step.past_eras);
    EXPECT_GT(slots.unsettled(), before.size() / 5) << "who went elsewhere meanwhile is still looked for";
  }
  EXPECT_EQ(differing(slots.homes(), before), 0U);
}

// ---- what it says --------------------------------------------------------------------------------------------------

TEST_F(FailOpenTest, TheWarningSaysWhatHappensAndWhatToLookFor) {
  checks_say("uddd");
  const std::string warning = fail_open_warning(web(), decide().backends[0]);
  EXPECT_THAT(warning, HasSubstr("pool web fails open: its checks hold 3 of 4 backends down and are not believed "
                                 "(fail_open_below = 50)"));
  EXPECT_THAT(warning, HasSubstr("a firewall"));
  EXPECT_THAT(warning, HasSubstr("drain those that are dead"));
}

}  // namespace
}  // namespace guideway::controlplane
