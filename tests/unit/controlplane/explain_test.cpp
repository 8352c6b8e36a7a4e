// explain() over tables that were published as the control plane publishes them: the order of lookup and the ends of
// docs/packet_policy.md, sections 1 and 3. And what a new control plane reads back from such tables.
#include "controlplane/explain.h"

#include <gtest/gtest.h>

#include <set>
#include <string_view>

#include "common/config/load.h"
#include "common/net/address_text.h"
#include "common/tables/from_config.h"
#include "controlplane/live_tables.h"

namespace guideway::controlplane {
namespace {

constexpr const char* kConfig = R"(schema = 1
[dataplane]
worker_cores = [1]
[[dataplane.port]]
name = "uplink"
device = "net_null0"
next_hop_mac = "02:00:5e:10:00:01"
source_addresses = ["192.0.2.1", "2001:db8:f::1"]
ipip_source_prefixes = ["198.18.0.0/24"]
vlan = [100, 7]
[pool.gue]
backends = [{ name = "a", address = "10.0.0.1" }, { name = "b", address = "2001:db8::b" }]
[pool.ipip]
encap = "ipip"
backends = [{ name = "a", address = "10.0.0.1" }]
[pool.gre]
encap = "gre"
backends = [{ name = "c", address = "2001:db8::c" }]
[pool.l2dsr]
encap = "l2dsr"
backends = [{ name = "d", address = "10.0.0.4" }]
[pool.empty]
backends = []
[vip.one]
address = ["203.0.113.7", "2001:db8:1::7"]
port = 80
pool = "gue"
[vip.one_any]
address = "203.0.113.7"
port = "any"
pool = "ipip"
[vip.net]
address = ["203.0.113.0/24", "2001:db8:1::/64"]
port = 81
pool = "gre"
unserved = "kernel"
[vip.half]
address = "203.0.113.128/25"
port = "any"
protocol = ["tcp", "udp"]
pool = "l2dsr"
[vip.away]
address = "198.51.100.1"
port = 80
pool = "empty"
[vip.away_told]
address = "198.51.100.2"
port = 80
pool = "empty"
no_backend = "reject"
unserved = "reject"
)";

class ExplainTest : public testing::Test {
 protected:
  ExplainTest() : config_(config::load_config_text(kConfig, "guideway.toml").config.value()) { publish(); }
  void publish() { writer_->publish(ImageBuilder().build(tables_offline(config_))); }
  const TablesView& view() { return *live_.view(*writer_); }
  Explanation explain(const char* source, const char* destination, std::uint16_t port,
                      IpProto protocol = IpProto::tcp) {
    const Family family = std::string_view(source).find(':') == std::string_view::npos ? Family::ipv4 : Family::ipv6;
    return controlplane::explain(view(), {protocol, family, *parse_ip(source), 40000, *parse_ip(destination), port});
  }

  config::Config config_;
  std::unique_ptr<shm::TablesWriter> writer_ = shm::TablesWriter::create(16 << 20);
  LiveTables live_;
};

TEST_F(ExplainTest, FindsTheLongestAndMostSpecificService) {
  struct Case {
    const char* destination;
    std::uint16_t port;
    IpProto protocol;
    const char* vip;  // "": none serves it
    const char* verdict;
  };
  const Case cases[] = {
      {"203.0.113.7", 80, IpProto::tcp, "one", "forward"},
      {"203.0.113.7", 81, IpProto::tcp, "net", "forward"},  // prefix and port before address with any port
      {"203.0.113.7", 82, IpProto::tcp, "one_any", "forward"},
      {"203.0.113.7", 80, IpProto::udp, "", "drop_unserved"},
      {"203.0.113.7", kGuePort, IpProto::udp, "", "drop_encapsulated"},
      {"203.0.113.8", 81, IpProto::tcp, "net", "forward"},
      {"203.0.113.8", 80, IpProto::tcp, "", "to_kernel"},
      {"203.0.113.200", 81, IpProto::tcp, "net", "forward"},
      {"203.0.113.200", 80, IpProto::tcp, "half", "forward"},
      {"203.0.113.200", kGuePort, IpProto::udp, "half", "forward"},
      {"198.51.100.1", 80, IpProto::tcp, "away", "drop_no_backend"},
      {"198.51.100.2", 80, IpProto::tcp, "away_told", "answered_no_backend"},
      {"198.51.100.2", 81, IpProto::tcp, "", "answered_unserved"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(std::string(c.destination) + " port " + std::to_string(c.port));
    const Explanation e = explain("198.51.100.77", c.destination, c.port, c.protocol);
    EXPECT_EQ(e.vip_index ? config_.vips[*e.vip_index].name : "", c.vip);
    EXPECT_STREQ(to_text(e.verdict), c.verdict);
    EXPECT_NE(e.vip, nullptr);
    EXPECT_FALSE(e.own);
  }
}

TEST_F(ExplainTest, FindsPrefixesOfIpv6) {
  const auto vip_at = [&](const char* destination, std::uint16_t port) {
    const Explanation e = explain("2001:db8:9::9", destination, port);
    return e.vip_index ? config_.vips[*e.vip_index].name : "";
  };
  EXPECT_EQ(vip_at("2001:db8:1::7", 80), "one");
  EXPECT_EQ(vip_at("2001:db8:1::7", 81), "net");
  EXPECT_EQ(vip_at("2001:db8:1::8", 81), "net");
  EXPECT_EQ(vip_at("2001:db8:1:1::7", 81), "");
  EXPECT_EQ(explain("2001:db8:9::9", "2001:db8:1:1::7", 81).vip, nullptr);
}

TEST_F(ExplainTest, NamesWhoOwnedTheSlotBefore) {
  DesiredTables tables = tables_offline(config_);
  DesiredPool& pool = tables.pools[0];  // a, b
  pool.past.recent = {weights_of(pool)};
  pool.backends[0].weight = 0;
  writer_->publish(ImageBuilder().build(tables));
  int moved = 0;
  for (int client = 1; client < 40; client++) {
    const Explanation e = explain(("198.51.100." + std::to_string(client)).c_str(), "203.0.113.7", 80);
    EXPECT_EQ(e.backend, 1U);
    moved += e.unsettled ? 1 : 0;
    EXPECT_EQ(e.previous, e.unsettled ? std::vector<std::uint32_t>{0} : std::vector<std::uint32_t>{});
    EXPECT_EQ(e.has_oldest, e.unsettled);
  }
  EXPECT_GT(moved, 5);
  EXPECT_LT(moved, 35);
}

TEST_F(ExplainTest, NamesWhoIsNothingButAHop) {
  DesiredTables tables = tables_offline(config_);
  DesiredPool& pool = tables.pools[0];  // a, b
  pool.second_chance = true;
  pool.past = {.recent = {}, .older = {}, .kept = {weights_of(pool)}};
  pool.backends[0].weight = 0;
  writer_->publish(ImageBuilder().build(tables));
  int moved = 0;
  for (int client = 1; client < 40; client++) {
    const Explanation e = explain(("198.51.100." + std::to_string(client)).c_str(), "203.0.113.7", 80);
    EXPECT_EQ(e.backend, 1U);
    EXPECT_FALSE(e.has_oldest);
    moved += e.previous == std::vector<std::uint32_t>{0} ? 1 : 0;
  }
  EXPECT_GT(moved, 5);
}

TEST_F(ExplainTest, GoesByTheSourceAloneIfThatIsTheScheduler) {
  config_.pools[0].scheduler = Scheduler::source_hash;
  config_.pools[0].source_bits4 = 24;
  publish();
  std::set<std::uint32_t> slots;
  for (int client = 1; client < 10; client++)
    slots.insert(index(*explain(("198.51.100." + std::to_string(client)).c_str(), "203.0.113.7", 80).slot));
  EXPECT_EQ(slots.size(), 1U);
  EXPECT_NE(slots, std::set{index(*explain("198.51.101.1", "203.0.113.7", 80).slot)});
}

// What looks like IPv4 in an IPv6 packet is not (RFC 4291, section 2.5.5.2): the worker hashes the packet's bytes.
TEST_F(ExplainTest, TakesMappedAddressesForTheIpv6OnesThatTheyAre) {
  config_.pools[0].scheduler = Scheduler::source_hash;
  publish();
  for (const char* source : {"::ffff:198.51.100.7", "::ffff:127.0.0.1", "2001:db8::7"}) {
    SCOPED_TRACE(source);
    const Explanation e = explain(source, "2001:db8:1::7", 80);
    const Block16 bytes = parse_ip(source)->bytes;
    EXPECT_STREQ(to_text(e.verdict), "forward");
    EXPECT_EQ(e.slot, slot_of(source_hash(view().hash_keys, bytes, 128), e.slot_count));
    EXPECT_EQ(e.hash, flow_hash(view().hash_keys, FlowKey6{bytes,
                                                           parse_ip("2001:db8:1::7")->bytes,
                                                           {Be16::from_host(40000), Be16::from_host(80)},
                                                           IpProto::tcp}));
  }
  const Explanation e = explain("2001:db8::7", "::ffff:203.0.113.7", 80);
  EXPECT_STREQ(to_text(e.verdict), "to_kernel") << "it is not the VIP 203.0.113.7";
  EXPECT_EQ(e.vip, nullptr);
}

TEST_F(ExplainTest, KnowsSourcesThatCannotBe) {
  for (const char* source : {"0.0.0.0", "127.0.0.1", "169.254.1.1", "224.0.0.1", "255.255.255.255", "203.0.113.7"})
    for (const std::uint16_t port : {std::uint16_t{80}, std::uint16_t{99}}) {
      SCOPED_TRACE(std::string(source) + " to port " + std::to_string(port));
      const Explanation e = explain(source, "203.0.113.7", port);
      EXPECT_STREQ(to_text(e.verdict), "drop_bad_source");
      EXPECT_NE(e.vip, nullptr);
      EXPECT_FALSE(e.backend);
    }
  EXPECT_STREQ(to_text(explain("127.0.0.1", "10.0.0.1", 80).verdict), "to_kernel") << "it is no VIP's";
}

TEST_F(ExplainTest, KnowsOurOwnAddresses) {
  struct Case {
    const char* source;
    const char* destination;
    std::uint16_t port;
    bool own;
    const char* verdict;
  };
  const Case cases[] = {
      {"198.51.100.77", "192.0.2.1", 53, true, "to_kernel"},
      {"198.51.100.77", "198.18.0.200", 53, true, "to_kernel"},
      {"198.51.100.77", "192.0.2.1", kGuePort, true, "drop_encapsulated"},
      {"198.51.100.77", "198.18.0.200", kGuePort, true, "drop_encapsulated"},
      {"2001:db8:9::9", "2001:db8:f::1", kGuePort, true, "drop_encapsulated"},
      {"192.0.2.1", "10.0.0.1", kGuePort, false, "drop_returned"},
      {"198.18.0.5", "10.0.0.1", kGuePort, false, "drop_returned"},
      {"192.0.2.1", "10.0.0.1", 53, false, "to_kernel"},
      {"192.0.2.2", "10.0.0.1", kGuePort, false, "to_kernel"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(std::string(c.source) + " to " + c.destination + " port " + std::to_string(c.port));
    const Explanation e = explain(c.source, c.destination, c.port, IpProto::udp);
    EXPECT_EQ(e.vip, nullptr);
    EXPECT_EQ(e.own, c.own);
    EXPECT_STREQ(to_text(e.verdict), c.verdict);
  }
}

// ---- reading back --------------------------------------------------------------------------------------------------

TEST_F(ExplainTest, ANewControlPlaneReadsTheWaysOutBack) {
  const Inheritance inherited = inherit(view(), config_, {});
  const DesiredTables published = tables_offline(config_);
  for (const DesiredPool& pool : published.pools)
    for (const DesiredBackend& backend : pool.backends) {
      SCOPED_TRACE(to_text(backend.address));
      Egress expected = *backend.egress;
      expected.source_prefix.reset();
      if (pool.encap == Encap::l2dsr) expected.source = {};
      EXPECT_EQ(inherited.egress.at(backend.address), expected);
    }
  EXPECT_EQ(inherited.egress.size(), 4U);
  EXPECT_EQ(inherited.vip_indices.size(), config_.vips.size());
}

// What it read back and the configuration say the same again, so nothing is published anew.
TEST_F(ExplainTest, WhatWasReadBackMakesTheSameTables) {
  const Inheritance inherited = inherit(view(), config_, {});
  std::vector<std::vector<BackendNow>> backends;
  std::uint32_t stats_index = 0;
  for (const config::Pool& pool : config_.pools) {
    auto& of_pool = backends.emplace_back();
    for (const config::Backend& backend : pool.backends)
      of_pool.push_back({backend.weight, true, stats_index++, inherited.egress.at(backend.address)});
  }
  std::vector<std::uint32_t> vips;
  for (const config::Vip& vip : config_.vips) vips.push_back(inherited.vip_indices.at(key_of(vip)));
  const TableImage again = ImageBuilder().build(tables_from_config(config_, backends, vips));
  EXPECT_EQ(writer_->publish(again), shm::PublishResult::unchanged);
}

TEST_F(ExplainTest, ABackendThatWasRemovedIsNotTakenForDown) {
  config_.health_checks.push_back({.name = "tcp", .host = ""});
  config_.pools[0].health_check = 0;
  DesiredTables tables = tables_offline(config_);
  tables.pools[0].backends[0].alive = false;
  tables.pools[0].backends[0].weight = 0;
  writer_->publish(ImageBuilder().build(tables));
  const HealthTarget target{*parse_ip("10.0.0.1"), "tcp"};
  EXPECT_EQ(inherit(view(), config_, {}).health.at(target), Health::down);
  EXPECT_FALSE(inherit(view(), config_, {{"gue", target.address}}).health.contains(target));
}

// Of a pool that failed open with nobody up: else its VIP would be announced until the checks have failed again.
TEST_F(ExplainTest, WhoHadSlotsWhileNobodyWasUpIsDown) {
  const HealthTarget target{*parse_ip("10.0.0.1"), "tcp"};
  config_.health_checks.push_back({.name = "tcp", .host = ""});
  config_.pools[0].health_check = 0;
  const struct {
    const char* what;
    std::uint32_t fail_open_below;
    bool announce;
    std::uint32_t weight;
    std::optional<Health> inherited;
  } cases[] = {
      {"it failed open", 50, false, 1, Health::down},
      {"somebody was up", 50, true, 1, Health::up},
      {"it never fails open", 0, false, 1, Health::up},
      {"not checked yet", 50, false, 0, std::nullopt},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.what);
    config_.pools[0].fail_open_below = c.fail_open_below;
    DesiredTables tables = tables_offline(config_);
    for (DesiredVip& vip : tables.vips) vip.announce = c.announce;
    tables.pools[0].backends[0].weight = c.weight;
    writer_->publish(ImageBuilder().build(tables));
    const auto health = inherit(view(), config_, {}).health;
    EXPECT_EQ(health.contains(target) ? std::optional(health.at(target)) : std::nullopt, c.inherited);
  }
}

TEST_F(ExplainTest, AWayWithoutASourceIsOnlyForItsOwnEncapsulation) {
  config_.pools[3].encap = Encap::ipip;  // was l2dsr when it was published
  EXPECT_FALSE(inherit(view(), config_, {}).egress.contains(*parse_ip("10.0.0.4")));
}

}  // namespace
}  // namespace guideway::controlplane
