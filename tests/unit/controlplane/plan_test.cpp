// What a reload would change, from two configuration files.
#include "controlplane/plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "common/config/load.h"
#include "common/net/address_text.h"
#include "common/tables/slot_table.h"
#include "tests/lib/temporary_directory.h"

namespace guideway::controlplane {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using Change = Plan::Change;

constexpr const char* kHead = R"(schema = 1
[dataplane]
worker_cores = [1]
[[dataplane.port]]
name = "uplink"
device = "net_null0"
)";
constexpr const char* kPool = R"([pool.web]
slots = 1021
backends = [{ name = "b1", address = "10.1.0.1" }, { name = "b2", address = "10.1.0.2" }]
)";
constexpr const char* kVip = R"([vip.web]
address = "203.0.113.10"
port = 80
pool = "web"
)";

config::Config config_of(const std::string& text) {
  config::LoadResult loaded = config::load_config_text(kHead + text, "guideway.toml");
  EXPECT_TRUE(loaded.config) << loaded.report();
  return *std::move(loaded.config);
}

class PlanTest : public testing::Test {
 protected:
  PlanTest() {
    std::string warning;
    eras_.emplace(directory_, std::chrono::hours(1), warning);
  }

  // With all backends of `running` up, unless the test said otherwise, and `running` in force.
  Plan plan(const std::string& running, const std::string& other) {
    const config::Config before = config_of(running);
    const config::Config after = config_of(other);
    for (const config::Pool& pool : before.pools)
      for (const config::Backend& backend : pool.backends) egress_.try_emplace(backend.address);
    const Facts facts{before,   intents_,   health_,      egress_,          behind_gateway_,
                      waiting_, held_open_, vip_indices_, backend_indices_, now_};
    const DesiredState desired = decide(facts);
    for (std::size_t p = 0; p < before.pools.size(); p++)
      eras_->note(before.pools[p].name, before.pools[p].slots, weights_of(desired.tables.pools[p]), now_);
    return make_plan({facts, desired, *eras_, after, [this](const BackendKey& key) -> std::optional<std::uint64_t> {
                        const auto found = flows_.find(to_text(key.address));
                        return found == flows_.end() ? std::nullopt : std::optional(found->second);
                      }});
  }

  const TemporaryDirectory temporary_;
  const std::string directory_ = temporary_.path();
  std::optional<Eras> eras_;
  Intents intents_;
  std::map<HealthTarget, Health> health_;
  std::map<IpAddress, Egress> egress_;
  std::set<IpAddress> behind_gateway_;
  std::set<std::string> waiting_;
  std::set<std::string> held_open_;
  StatsIndices<ServiceKey> vip_indices_;
  StatsIndices<BackendKey> backend_indices_;
  std::map<std::string, std::uint64_t> flows_;
  Deadline now_{std::chrono::hours(500'000)};
};

const std::string kRunning = std::string(kPool) + kVip;

std::string with_backends(const std::string& backends, const std::string& more = "") {
  return "[pool.web]\nslots = 1021\n" + more + "backends = [" + backends + "]\n" + kVip;
}
const std::string kB1 = R"({ name = "b1", address = "10.1.0.1" })";
const std::string kB2 = R"({ name = "b2", address = "10.1.0.2" })";
const std::string kB3 = R"({ name = "b3", address = "10.1.0.3" })";

TEST_F(PlanTest, TheSameFileChangesNothing) {
  const Plan same = plan(kRunning, kRunning);
  EXPECT_THAT(same.vips, IsEmpty());
  EXPECT_THAT(same.pools, IsEmpty());
  EXPECT_THAT(same.warnings, IsEmpty());
}

TEST_F(PlanTest, ANewBackendCountsAsUpAndTakesItsShare) {
  const Plan added = plan(kRunning, with_backends(kB1 + "," + kB2 + "," + kB3));
  ASSERT_EQ(added.pools.size(), 1U);
  const Plan::PlannedPool& web = added.pools[0];
  EXPECT_EQ(web.change, Change::changed);
  EXPECT_THAT(web.keys, IsEmpty());
  EXPECT_GE(web.moved_slots, 340U);
  EXPECT_LE(web.moved_slots, 420U);
  EXPECT_EQ(web.unsettled_slots, web.moved_slots) << "one change ago";
  EXPECT_EQ(web.crowded_slots, 0U);
  ASSERT_EQ(web.backends.size(), 1U);
  EXPECT_EQ(web.backends[0].name, "b3");
  EXPECT_EQ(web.backends[0].change, Change::added);
  EXPECT_EQ(web.backends[0].flows, std::nullopt);
  EXPECT_THAT(added.warnings, IsEmpty());
}

// The oracle: slot tables of the weights, compared by hand.
TEST_F(PlanTest, MovedSlotsAreThoseWithAnotherOwner) {
  const Plan heavier = plan(kRunning, with_backends(kB1 + R"(, { name = "b2", address = "10.1.0.2", weight = 3 })"));
  const IpAddress b1 = *parse_ip("10.1.0.1");
  const IpAddress b2 = *parse_ip("10.1.0.2");
  const auto before = build_slot_table(Weights{{b1, 1}, {b2, 1}}, 1021);
  const auto after = build_slot_table(Weights{{b1, 1}, {b2, 3}}, 1021);
  std::uint32_t moved = 0;
  for (std::size_t s = 0; s < before.size(); s++) moved += before[s] != after[s] ? 1U : 0U;
  ASSERT_EQ(heavier.pools.size(), 1U);
  EXPECT_EQ(heavier.pools[0].moved_slots, moved);
  EXPECT_EQ(heavier.pools[0].backends[0].weight_before, 1);
  EXPECT_EQ(heavier.pools[0].backends[0].weight_after, 3);
}

TEST_F(PlanTest, ABackendThatGoesTakesItsFlowsWithIt) {
  flows_["10.1.0.2"] = 12;
  Plan removed = plan(kRunning, with_backends(kB1));
  ASSERT_EQ(removed.pools.size(), 1U);
  EXPECT_EQ(removed.pools[0].removed_flows, 12U);
  EXPECT_EQ(removed.pools[0].backends[0].change, Change::removed);
  EXPECT_EQ(removed.pools[0].backends[0].flows, 12U);
  EXPECT_THAT(
      removed.warnings,
      ElementsAre(HasSubstr("backend b2 goes while it takes flows: all its connections break; drain it first")));
  intents_[{"web", "b2"}].drained = true;
  removed = plan(kRunning, with_backends(kB1));
  EXPECT_EQ(removed.pools[0].moved_slots, 0U);
  EXPECT_THAT(removed.warnings, ElementsAre("pool web: backend b2 goes, and 12 known flows of it break"));
  flows_["10.1.0.2"] = 0;
  EXPECT_THAT(plan(kRunning, with_backends(kB1)).warnings, IsEmpty());
}

TEST_F(PlanTest, WhatIsDownStaysDown) {
  const std::string check = "[health_check.tcp]\ntype = \"tcp\"\nport = 80\n";
  const std::string pool = "health_check = \"tcp\"\n";
  health_ = {{{*parse_ip("10.1.0.1"), "tcp"}, Health::up}, {{*parse_ip("10.1.0.2"), "tcp"}, Health::down}};
  const Plan same = plan(check + with_backends(kB1 + "," + kB2, pool), check + with_backends(kB2, pool));
  ASSERT_EQ(same.pools.size(), 1U);
  EXPECT_EQ(same.pools[0].moved_slots, 1021U);
  EXPECT_THAT(same.warnings,
              ElementsAre(HasSubstr("b1 goes while it takes flows"), "pool web: no backend would be usable"));
}

TEST_F(PlanTest, TooManyChangesCrowdTheHistory) {
  const auto backend = [](std::uint32_t n) {
    return ", { name = \"b" + std::to_string(n) + "\", address = \"10.1.0." + std::to_string(n) + "\" }";
  };
  for (std::uint32_t era = 0; era < 7; era++)
    eras_->note("web", 1021, {{*parse_ip("10.1.0." + std::to_string(1 + era % 6)), 1}},
                now_ - std::chrono::seconds(60 - era));
  const std::string six = kB1 + "," + kB2 + "," + kB3 + backend(4) + backend(5) + backend(6);
  const Plan crowded = plan(with_backends(six), with_backends(six + backend(7)));
  ASSERT_EQ(crowded.pools.size(), 1U);
  EXPECT_EQ(crowded.pools[0].crowded_slots, 1021U);
  EXPECT_THAT(crowded.warnings, ElementsAre(HasSubstr("1021 slots would have more living owners")));
}

TEST_F(PlanTest, WhatReshufflesFlowsIsSaid) {
  const struct {
    const char* change;
    std::string other;
    const char* key;
    const char* warning;
  } cases[] = {
      {"slots", "[pool.web]\nslots = 4093\nbackends = [" + kB1 + "," + kB2 + "]\n" + kVip, "slots",
       "its number of slots changes"},
      {"scheduler", with_backends(kB1 + "," + kB2, "scheduler = \"source-hash\"\n"), "scheduler",
       "its scheduler changes"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.change);
    const Plan reshuffled = plan(kRunning, c.other);
    ASSERT_EQ(reshuffled.pools.size(), 1U);
    EXPECT_THAT(reshuffled.pools[0].keys, ElementsAre(c.key));
    EXPECT_THAT(reshuffled.warnings, ElementsAre(HasSubstr(c.warning)));
  }
  EXPECT_EQ(plan(kRunning, cases[0].other).pools[0].moved_slots, 1021U);
}

TEST_F(PlanTest, TrackingThatEndsWhileItIsNeededIsSaid) {
  const auto with = [](const char* protocol, const char* tracking) {
    return kRunning + "protocol = \"" + protocol + "\"\ntracking = \"" + tracking + "\"\n";
  };
  eras_->note("web", 1021, {{*parse_ip("10.1.0.1"), 1}}, now_ - std::chrono::seconds(60));
  const auto before = build_slot_table(Weights{{*parse_ip("10.1.0.1"), 1}, {*parse_ip("10.1.0.2"), 1}}, 1021);
  const std::string unsettled = std::to_string(std::ranges::count(before, SlotEntry{1}));
  const auto is_said = ElementsAre(
      "VIP web 203.0.113.10:80 ends its tracking while pool web has " + unsettled +
      " unsettled slots: connections that are not at their slots' owners break; keep it until `guidewayctl status` "
      "shows none");
  EXPECT_THAT(plan(with("tcp", "moved"), with("tcp", "none")).warnings, is_said);
  EXPECT_THAT(plan(with("udp", "all"), with("udp", "none")).warnings, is_said);
  EXPECT_THAT(plan(with("tcp", "all"), with("tcp", "moved")).warnings, IsEmpty());
  EXPECT_THAT(plan(with("tcp", "none"), with("tcp", "none")).warnings, IsEmpty());
}

// Slots settle before the flows end that were remembered of them.
TEST_F(PlanTest, TrackingThatEndsWhileFlowsAreKnownIsSaid) {
  const std::string all = kRunning + "tracking = \"all\"\n";
  const std::string none = kRunning + "tracking = \"none\"\n";
  EXPECT_THAT(plan(kRunning, none).warnings, IsEmpty());
  flows_ = {{"10.1.0.1", 4}, {"10.1.0.2", 3}};
  EXPECT_THAT(plan(kRunning, none).warnings, ElementsAre(HasSubstr("while pool web has 7 known flows: connections")));
  EXPECT_THAT(plan(all, none).warnings, IsEmpty()) << "it knows the flows of settled slots, too";
}

// The move of the same change counts as well: with the tracking left alone nothing of it would break.
TEST_F(PlanTest, TrackingThatEndsTogetherWithAMoveIsSaid) {
  const std::string three = with_backends(kB1 + "," + kB2 + "," + kB3);
  const Plan moved = plan(kRunning, three + "tracking = \"none\"\n");
  ASSERT_EQ(moved.pools.size(), 1U);
  EXPECT_THAT(moved.warnings,
              ElementsAre(HasSubstr("has " + std::to_string(moved.pools[0].moved_slots) + " unsettled slots")));
}

TEST_F(PlanTest, SecondChanceThatEndsWhileItIsNeededIsSaid) {
  const auto with = [](bool second_chance, const char* vip) {
    return with_backends(kB1 + "," + kB2, std::string("second_chance = ") + (second_chance ? "true\n" : "false\n")) +
           vip;
  };
  const auto warnings = [&](const char* vip) { return plan(with(true, vip), with(false, vip)).warnings; };
  EXPECT_THAT(warnings(""), IsEmpty()) << "all slots are settled";
  // Over for longer than the window: only hops are left of it.
  eras_->note("web", 1021, {{*parse_ip("10.1.0.1"), 1}, {*parse_ip("10.1.0.2"), 0}}, now_ + std::chrono::hours(1));
  now_ += std::chrono::hours(1) + std::chrono::minutes(1);
  plan(with(true, ""), with(true, ""));  // both are in force again
  now_ += std::chrono::hours(2);
  EXPECT_THAT(warnings(""),
              ElementsAre(testing::MatchesRegex(
                  "pool web: its second chance ends while it has 5[0-9][0-9] unsettled slots: connections that began "
                  "there at another load balancer may break; keep it until `guidewayctl status` shows none")));
  EXPECT_THAT(warnings("tracking = \"none\"\n"), IsEmpty()) << "its packets have no hops";
  EXPECT_THAT(warnings("protocol = \"udp\"\n"), IsEmpty()) << "its packets have no hops";
  EXPECT_THAT(plan(with(true, ""), with(true, "")).warnings, IsEmpty());
}

// Both backends are down. With fail-open they have their slots.
TEST_F(PlanTest, FailOpenIsPartOfThePlan) {
  const std::string check = "[health_check.tcp]\nport = 80\n";
  const auto pool = [&](const char* below) {
    return check +
           with_backends(kB1 + "," + kB2, std::string("health_check = \"tcp\"\nfail_open_below = ") + below + "\n");
  };
  for (const char* address : {"10.1.0.1", "10.1.0.2"}) health_[{*parse_ip(address), "tcp"}] = Health::down;
  const Plan on = plan(pool("0"), pool("50"));
  ASSERT_EQ(on.pools.size(), 1U);
  EXPECT_THAT(on.pools[0].keys, ElementsAre("fail_open_below"));
  EXPECT_EQ(on.pools[0].moved_slots, 0U) << "nobody has them";
  EXPECT_THAT(on.warnings, ElementsAre("pool web: it would fail open, and backends that are down would get traffic"));
  const Plan off = plan(pool("50"), pool("0"));
  EXPECT_EQ(off.pools[0].moved_slots, 1021U);
  EXPECT_THAT(off.warnings, ElementsAre("pool web: no backend would be usable"));
}

TEST_F(PlanTest, AnotherHashKeyReshufflesEverything) {
  const std::string key = directory_ + "/flow_hash.key";
  std::ofstream(key) << "000102030405060708090a0b0c0d0e0f\n";
  const Plan reshuffled = plan(kRunning, kRunning + "[flow_hash]\nkey_file = \"" + key + "\"\n");
  EXPECT_THAT(reshuffled.warnings, ElementsAre(HasSubstr("the key of the flow hash changes")));
}

TEST_F(PlanTest, VipsComeGoAndChange) {
  const std::string two_pools = std::string(kPool) + "[pool.api]\nslots = 1021\nbackends = [" + kB1 + "]\n";
  const auto vip = [](const char* name, int port, const char* pool, const char* more = "") {
    return std::string("[vip.") + name + "]\naddress = \"203.0.113.10\"\nport = " + std::to_string(port) +
           "\npool = \"" + pool + "\"\n" + more;
  };
  const Plan changed =
      plan(two_pools + vip("web", 80, "web") + vip("old", 81, "web") + vip("api", 82, "api"),
           two_pools + vip("web", 80, "api") + vip("new", 83, "web") + vip("api", 82, "api", "tracking = \"all\"\n"));
  std::vector<std::string> found;
  for (const Plan::PlannedVip& each : changed.vips)
    found.push_back(each.name + " " + to_text(each.change) + (each.keys.empty() ? "" : " " + each.keys.front()));
  EXPECT_THAT(found, ElementsAre("web changed pool", "api changed tracking", "new added", "old removed"));
  EXPECT_THAT(changed.pools, IsEmpty());
  EXPECT_THAT(changed.warnings, ElementsAre("VIP web 203.0.113.10:80 gets another pool: its connections may break"));
}

TEST_F(PlanTest, PoolsComeAndGo) {
  const std::string renamed = "[pool.new]\nslots = 1021\nbackends = [" + kB1 + "]\n[vip.web]\n" +
                              "address = \"203.0.113.10\"\nport = 80\npool = \"new\"\n";
  const Plan changed = plan(kRunning, renamed);
  ASSERT_EQ(changed.pools.size(), 2U);
  EXPECT_EQ(changed.pools[0].name, "new");
  EXPECT_EQ(changed.pools[0].change, Change::added);
  EXPECT_EQ(changed.pools[0].moved_slots, 0U);
  EXPECT_EQ(changed.pools[1].name, "web");
  EXPECT_EQ(changed.pools[1].change, Change::removed);
  EXPECT_EQ(changed.pools[1].moved_slots, 1021U);
  EXPECT_EQ(changed.pools[1].backends.size(), 2U);
}

}  // namespace
}  // namespace guideway::controlplane
