// decide(): config × health × egress × intents → state, weight, announcement.
#include "controlplane/desired_state.h"

#include <gtest/gtest.h>

#include "common/net/address_text.h"

namespace guideway::controlplane {
namespace {

const IpAddress kB1 = *parse_ip("10.1.0.11");
const IpAddress kB2 = *parse_ip("2001:db8::12");
const IpPrefix kVip = IpPrefix::of(*parse_ip("203.0.113.10"));

// One pool "web" of b1 (weight 1) and b2 (weight 2) behind two services on one address.
class DesiredStateTest : public testing::Test {
 protected:
  DesiredStateTest() {
    config_.health_checks.push_back({.name = "tcp", .host = ""});
    config::Pool& web = config_.pools.emplace_back();
    web.name = "web";
    web.health_check = 0;
    web.backends = {{"b1", kB1, 1, 0, {}}, {"b2", kB2, 2, 0, {}}};
    config_.vips.push_back({.name = "web", .prefix = kVip, .port = 80});
    health_ = {{{kB1, "tcp"}, Health::up}, {{kB2, "tcp"}, Health::up}};
    egress_ = {{kB1, Egress{}}, {kB2, Egress{1, {}, {}, {}, 1500, {}, {}}}};
  }
  DesiredState decide() const {
    return controlplane::decide(
        {config_, intents_, health_, egress_, behind_gateway_, waiting_, {}, vip_indices_, backend_indices_, now_});
  }
  BackendDecision b1() const { return decide().backends[0][0]; }
  BackendDecision b2() const { return decide().backends[0][1]; }
  bool announced(std::size_t vip = 0) const { return decide().tables.vips[vip].announce; }

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

TEST_F(DesiredStateTest, HealthyReachableBackendsHaveTheirWeights) {
  EXPECT_EQ(b1(), (BackendDecision{BackendState::up, 1}));
  EXPECT_EQ(b2(), (BackendDecision{BackendState::up, 2}));
  const DesiredTables tables = decide().tables;
  EXPECT_EQ(tables.pools[0].backends[1].weight, 2U);
  EXPECT_EQ(tables.pools[0].backends[1].egress, egress_.at(kB2));
  EXPECT_TRUE(announced());
}

TEST_F(DesiredStateTest, WhatStandsInTheWay) {
  struct Case {
    const char* what;
    bool drained;
    Health health;
    bool reachable;
    BackendState state;
  };
  const Case cases[] = {
      {"down", false, Health::down, true, BackendState::down},
      {"down and unreachable", false, Health::down, false, BackendState::down},
      {"not checked yet", false, Health::unknown, true, BackendState::unknown},
      {"no next hop", false, Health::up, false, BackendState::unreachable},
      {"drained", true, Health::up, true, BackendState::drained},
      {"drained and down", true, Health::down, true, BackendState::drained},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.what);
    intents_.clear();
    if (c.drained) intents_[{"web", "b1"}].drained = true;
    health_[{kB1, "tcp"}] = c.health;
    egress_.erase(kB1);
    if (c.reachable) egress_[kB1] = {};
    EXPECT_EQ(b1(), (BackendDecision{c.state, 0}));
    EXPECT_EQ(decide().tables.pools[0].backends[0].alive, c.health != Health::down);
    EXPECT_EQ(b2(), (BackendDecision{BackendState::up, 2}));
  }
}

TEST_F(DesiredStateTest, ADrainWithADeadlineEndsInRemoval) {
  struct Case {
    const char* what;
    std::optional<std::chrono::milliseconds> left;
    BackendState state;
    bool alive;
  };
  const Case cases[] = {
      {"no deadline", std::nullopt, BackendState::drained, true},
      {"before the deadline", std::chrono::milliseconds(1), BackendState::drained, true},
      {"at the deadline", std::chrono::milliseconds(0), BackendState::removed, false},
      {"after the deadline", std::chrono::hours(-24), BackendState::removed, false},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.what);
    Intent& intent = intents_[{"web", "b1"}];
    intent.drained = true;
    intent.deadline = c.left ? std::optional(now_ + *c.left) : std::nullopt;
    EXPECT_EQ(b1(), (BackendDecision{c.state, 0}));
    EXPECT_EQ(decide().tables.pools[0].backends[0].alive, c.alive);
    EXPECT_EQ(b2(), (BackendDecision{BackendState::up, 2}));
  }
  health_[{kB1, "tcp"}] = Health::down;
  EXPECT_EQ(b1().state, BackendState::removed);
  intents_.clear();
  health_[{kB1, "tcp"}] = Health::up;
  EXPECT_EQ(b1(), (BackendDecision{BackendState::up, 1})) << "undrained";
}

TEST_F(DesiredStateTest, AnOverrideReplacesTheWeightAndZeroIsStillUp) {
  intents_[{"web", "b2"}].weight = 7;
  EXPECT_EQ(b2(), (BackendDecision{BackendState::up, 7}));
  intents_[{"web", "b2"}].weight = 0;
  EXPECT_EQ(b2(), (BackendDecision{BackendState::up, 0}));
  health_[{kB2, "tcp"}] = Health::down;
  intents_[{"web", "b2"}].weight = 7;
  EXPECT_EQ(b2(), (BackendDecision{BackendState::down, 0}));
}

TEST_F(DesiredStateTest, AnIntentForAnUnknownBackendChangesNothing) {
  const DesiredTables before = decide().tables;
  intents_[{"web", "b9"}].drained = true;
  EXPECT_EQ(decide().tables, before);
}

TEST_F(DesiredStateTest, WithoutACheckBackendsCountAsHealthy) {
  health_.clear();
  config_.pools[0].health_check.reset();
  EXPECT_EQ(b1().state, BackendState::up);
  config_.pools[0].health_check = 0;
  config_.health_checks[0].type = config::CheckType::none;
  EXPECT_EQ(b1().state, BackendState::up);
}

TEST_F(DesiredStateTest, AnotherCheckTakesForGrantedWhatCounts) {
  using Kept = std::map<HealthTarget, Health>;
  const auto kept_by = [this](const config::Config& next) {
    return health_kept_by(
        next,
        {config_, intents_, health_, egress_, behind_gateway_, waiting_, {}, vip_indices_, backend_indices_, now_});
  };
  config::Config next = config_;
  next.health_checks.push_back({.name = "other", .host = ""});
  next.pools[0].health_check = 1;
  health_[{kB2, "tcp"}] = Health::down;
  EXPECT_EQ(kept_by(next), (Kept{{{kB1, "other"}, Health::up}, {{kB2, "other"}, Health::down}}));
  health_.erase({kB2, "tcp"});
  EXPECT_EQ(kept_by(next), (Kept{{{kB1, "other"}, Health::up}})) << "nobody has asked the other one";
  config_.pools[0].health_check.reset();
  EXPECT_EQ(kept_by(next), (Kept{{{kB1, "other"}, Health::up}, {{kB2, "other"}, Health::up}})) << "the first check";
  waiting_ = {"web"};
  config_.pools[0].health_check = 0;
  EXPECT_EQ(kept_by(next), Kept{}) << "nothing counts while the pool waits";
  waiting_.clear();
  next.pools[0].name = "new";
  EXPECT_EQ(kept_by(next), Kept{});
  next.pools[0].name = "web";
  next.health_checks[1].type = config::CheckType::none;
  EXPECT_EQ(kept_by(next), Kept{}) << "no check asks";
}

TEST_F(DesiredStateTest, L2dsrDoesNotReachBehindAGateway) {
  behind_gateway_ = {kB1};
  EXPECT_EQ(b1().state, BackendState::up);
  config_.pools[0].encap = Encap::l2dsr;
  EXPECT_EQ(b1(), (BackendDecision{BackendState::unreachable, 0}));
  EXPECT_EQ(decide().tables.pools[0].backends[0].egress, std::nullopt);
  EXPECT_EQ(b2().state, BackendState::up);
}

TEST_F(DesiredStateTest, AnnounceModes) {
  health_.clear();  // nothing is usable
  EXPECT_FALSE(announced());
  config_.vips[0].announce = config::Announce::always;
  EXPECT_TRUE(announced());
  health_[{kB1, "tcp"}] = Health::up;
  config_.vips[0].announce = config::Announce::never;
  EXPECT_FALSE(announced());
}

TEST_F(DesiredStateTest, OneUsableServiceAnnouncesTheWholeAddress) {
  config_.pools.emplace_back().name = "empty";
  config_.vips.push_back({.name = "other", .prefix = kVip, .port = 443, .pool = 1});
  EXPECT_TRUE(announced(1));
  health_[{kB1, "tcp"}] = health_[{kB2, "tcp"}] = Health::down;
  EXPECT_FALSE(announced(0));
  EXPECT_FALSE(announced(1));
}

TEST_F(DesiredStateTest, DrainedBackendsKeepTheirAddressAnnounced) {
  Intent& b1 = intents_[{"web", "b1"}];
  b1.drained = true;
  intents_[{"web", "b2"}].weight = 0;
  config_.vips[0].echo = config::Echo::healthy;
  EXPECT_TRUE(announced());
  EXPECT_FALSE(decide().tables.vips[0].echo) << "nobody takes new flows";
  health_[{kB2, "tcp"}] = Health::down;
  EXPECT_TRUE(announced()) << "b1 has connections";
  b1.deadline = now_;
  EXPECT_FALSE(announced()) << "b1 is removed";
  b1.deadline.reset();
  EXPECT_TRUE(announced());
  egress_.erase(kB1);
  EXPECT_FALSE(announced()) << "b1 cannot be reached";
  health_.erase({kB2, "tcp"});
  EXPECT_FALSE(announced()) << "nobody knows of b2 yet";
}

// ---- positions of counters -----------------------------------------------------------------------------------------

TEST(StatsIndicesTest, StayWithTheirKeysWhateverComesAndGoes) {
  StatsIndices<std::string> indices;
  indices.assign({"a", "b", "c"}, 8);
  const std::uint32_t b = indices.at("b");
  const std::uint32_t c = indices.at("c");
  indices.assign({"c", "x", "b"}, 8);
  EXPECT_EQ(indices.at("b"), b);
  EXPECT_EQ(indices.at("c"), c);
  EXPECT_EQ(indices.at("a"), kNotCounted);
  EXPECT_NE(indices.at("x"), indices.at("b"));
}

TEST(StatsIndicesTest, AFreedNumberIsGivenAgainOnlyWhenAllOthersWereUsed) {
  StatsIndices<std::string> indices;
  indices.assign({"a", "b"}, 3);
  indices.assign({"b", "c"}, 3);
  EXPECT_EQ(indices.at("c"), 2U);
  indices.assign({"b", "c", "d"}, 3);
  EXPECT_EQ(indices.at("d"), 0U);
  indices.assign({"b", "c", "d", "e"}, 3);
  EXPECT_EQ(indices.at("e"), kNotCounted);
}

TEST(StatsIndicesTest, RecoveredNumbersAreKeptAndNotGivenTwice) {
  StatsIndices<std::string> indices;
  indices.recover("a", 5);
  indices.recover("b", 5);  // a contradiction: the first holder wins
  indices.assign({"a", "b", "c"}, 8);
  EXPECT_EQ(indices.at("a"), 5U);
  EXPECT_NE(indices.at("b"), 5U);
  EXPECT_NE(indices.at("b"), indices.at("c"));
}

TEST_F(DesiredStateTest, APoolThatWaitsTakesNoFlows) {
  waiting_.insert("web");
  const DesiredState state = decide();
  for (const BackendDecision& backend : state.backends[0]) {
    EXPECT_EQ(backend.state, BackendState::unknown);
    EXPECT_FALSE(backend.usable());
  }
  EXPECT_FALSE(state.tables.vips[0].announce);
}

}  // namespace
}  // namespace guideway::controlplane
