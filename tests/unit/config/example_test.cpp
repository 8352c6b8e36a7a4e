// deploy/guideway.toml: it loads, it means what it says, and it names every key that the loader knows.

#include <gtest/gtest.h>

#include <fstream>
#include <regex>
#include <set>
#include <sstream>

#include "common/config/load_reviewed.h"
#include "common/config/review.h"
#include "common/net/address_text.h"
#include "tests/unit/config/loaded.h"

namespace guideway::config {
namespace {

std::string example() {
  std::ifstream file(GUIDEWAY_EXAMPLE);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// "#key = value" shows a key; "# Prose" does not.
std::string with_shown_keys(const std::string& text) {
  static const std::regex kShown("(^|\n)#([a-z_0-9]+ = )");
  return std::regex_replace(text, kShown, "$1$2");
}

// The keys of a document, as the loader calls them: the names of the operator are NAME.
void collect(const Table& table, const std::string& path, std::set<std::string>& keys) {
  for (const Entry& entry : table) {
    const bool is_name = path == "health_check." || path == "pool." || path == "vip.";
    const std::string key = path + (is_name ? "NAME" : entry.key);
    if (!is_name) keys.insert(key);
    if (const auto* child = std::get_if<Table>(&entry.value.data)) collect(*child, key + ".", keys);
    if (const auto* list = std::get_if<List>(&entry.value.data))
      for (const Value& element : *list)
        if (const auto* child = std::get_if<Table>(&element.data)) collect(*child, key + ".", keys);
  }
}

TEST(Example, LoadsWithNoMoreThanTheWarningAboutTheKey) {
  const LoadResult result = load_config(GUIDEWAY_EXAMPLE);
  ASSERT_TRUE(result.config) << result.report();
  ASSERT_EQ(result.diagnostics.size(), 1U) << result.report();
  EXPECT_EQ(result.diagnostics[0].message,
            "no flow_hash.key_file: the flow hash key is a published one, fit for labs only");
}

TEST(Example, NamesEveryKeyTheLoaderKnowsAndNoOther) {
  const Directory directory;
  for (const char* key : {"flow_hash.key", "quic.key"}) directory.write(key, "000102030405060708090a0b0c0d0e0f");
  const std::string text = with_shown_keys(example());
  Review review(directory.path("guideway.toml"));
  EXPECT_TRUE(load_reviewed(text, directory.path("guideway.toml"), review));
  std::set<std::string> named;
  collect(std::get<Table>(parse_document(text)), "", named);
  EXPECT_EQ(named, review.known_keys());
  for (const Diagnostic& diagnostic : std::move(review).in_order_of_the_file())
    ADD_FAILURE() << format(diagnostic, text);
}

// What the example calls a default is written beside it as the value, so both loads must agree.
TEST(Example, WritesDefaultsAsTheyAre) {
  const auto minimal = load_with_base(
                           "[health_check.h]\nport = 80\ntype = \"http\"\n[pool.p]\nbackends = []\n"
                           "[vip.v]\naddress = \"192.0.2.1\"\nport = 1\npool = \"p\"\n")
                           .config;
  const auto full = load_config(GUIDEWAY_EXAMPLE).config;
  ASSERT_TRUE(minimal && full);
  EXPECT_EQ(full->dataplane.main_core, minimal->dataplane.main_core);
  EXPECT_EQ(full->dataplane.hugepages, minimal->dataplane.hugepages);
  EXPECT_EQ(full->dataplane.memory_mib, minimal->dataplane.memory_mib);
  EXPECT_EQ(full->dataplane.rx_descriptors, minimal->dataplane.rx_descriptors);
  EXPECT_EQ(full->dataplane.tx_descriptors, minimal->dataplane.tx_descriptors);
  EXPECT_EQ(full->dataplane.vips_max, minimal->dataplane.vips_max);
  EXPECT_EQ(full->dataplane.backends_max, minimal->dataplane.backends_max);
  EXPECT_EQ(full->dataplane.echo_per_second, minimal->dataplane.echo_per_second);
  EXPECT_EQ(full->dataplane.errors_per_second, minimal->dataplane.errors_per_second);
  EXPECT_EQ(full->dataplane.idle_sleep_us, minimal->dataplane.idle_sleep_us);
  EXPECT_EQ(full->dataplane.heartbeat_timeout, minimal->dataplane.heartbeat_timeout);
  EXPECT_EQ(full->dataplane.ports[0].kernel, minimal->dataplane.ports[0].kernel);
  const HealthCheck& check = full->health_checks[0].name == "http" ? full->health_checks[0] : full->health_checks[1];
  EXPECT_EQ(check.expect_status_min, minimal->health_checks[0].expect_status_min);
  EXPECT_EQ(check.expect_status_max, minimal->health_checks[0].expect_status_max);
  EXPECT_EQ(check.interval, minimal->health_checks[0].interval);
  EXPECT_EQ(check.timeout, minimal->health_checks[0].timeout);
  EXPECT_EQ(check.rise, minimal->health_checks[0].rise);
  EXPECT_EQ(check.fall, minimal->health_checks[0].fall);
  EXPECT_EQ(check.jitter, minimal->health_checks[0].jitter);
  EXPECT_EQ(full->pools[0].encap, minimal->pools[0].encap);
  EXPECT_EQ(full->pools[0].slots, minimal->pools[0].slots);
  EXPECT_EQ(full->pools[0].dscp, minimal->pools[0].dscp);
  EXPECT_EQ(full->pools[0].oversize, minimal->pools[0].oversize);
  EXPECT_EQ(full->flows, minimal->flows);
  EXPECT_EQ(full->pools[0].fail_open_below, minimal->pools[0].fail_open_below);
  EXPECT_EQ(full->pools[0].scheduler, minimal->pools[0].scheduler);
  EXPECT_EQ(full->pools[0].second_chance, minimal->pools[0].second_chance);
  EXPECT_EQ(full->vips[0].announce, minimal->vips[0].announce);
  EXPECT_EQ(full->vips[0].echo, minimal->vips[0].echo);
  EXPECT_EQ(full->vips[0].unserved, minimal->vips[0].unserved);
  EXPECT_EQ(full->vips[0].no_backend, minimal->vips[0].no_backend);
  EXPECT_EQ(full->bgp.peer_port, minimal->bgp.peer_port);
  EXPECT_EQ(full->bgp.hold_time_s, minimal->bgp.hold_time_s);
  EXPECT_EQ(full->bgp.shutdown_linger, minimal->bgp.shutdown_linger);
  EXPECT_EQ(full->control.run_dir, minimal->control.run_dir);
  EXPECT_EQ(full->control.state_dir, minimal->control.state_dir);
  EXPECT_EQ(full->control.tables_mib, minimal->control.tables_mib);
}

TEST(Example, BecomesTheTypedConfig) {
  const auto config = load_config(GUIDEWAY_EXAMPLE).config;
  ASSERT_TRUE(config);
  EXPECT_EQ(config->dataplane.worker_cores, std::vector<std::uint32_t>{1});
  ASSERT_EQ(config->dataplane.ports.size(), 1U);
  EXPECT_EQ(config->dataplane.ports[0].device, "net_af_xdp0,iface=eth1");

  ASSERT_EQ(config->pools.size(), 2U);
  const Pool& web = config->pools[0];
  EXPECT_EQ(web.name, "web");
  EXPECT_EQ(config->health_checks.at(web.health_check.value()).name, "http");
  ASSERT_EQ(web.backends.size(), 3U);
  EXPECT_EQ(web.backends[1].weight, 2);
  EXPECT_EQ(to_text(web.backends[2].address), "2001:db8:1::13");
  EXPECT_EQ(config->pools[1].encap, Encap::ipip);

  // Two addresses with two protocols, one with two, and a prefix.
  ASSERT_EQ(config->vips.size(), 7U);
  EXPECT_EQ(to_text_with_port(config->vips[0].prefix, config->vips[0].port), "203.0.113.10:443");
  EXPECT_EQ(config->vips[0].protocol, IpProto::tcp);
  EXPECT_FALSE(config->vips[0].quic);
  EXPECT_EQ(config->vips[1].protocol, IpProto::udp);
  EXPECT_TRUE(config->vips[1].quic);
  EXPECT_EQ(config->pools.at(config->vips[5].pool).name, "resolvers");
  EXPECT_EQ(config->vips[5].echo, Echo::healthy);
  EXPECT_EQ(config->vips[5].unserved, Unserved::reject);
  EXPECT_EQ(to_text_with_port(config->vips[6].prefix, config->vips[6].port), "198.18.0.0/24:any");

  EXPECT_TRUE(config->bgp.enabled);
  EXPECT_EQ(config->bgp.local_as, 65001U);
  EXPECT_EQ(to_text(*config->bgp.next_hop6), "2001:db8:ff::11");
}

TEST(Example, DigestFollowsTheText) {
  const std::string text = example();
  const auto digest = [](const std::string& t) { return load_config_text(t, "guideway.toml").config.value().digest; };
  EXPECT_EQ(digest(text), digest(text));
  EXPECT_NE(digest(text), digest(text + "\n"));
}

}  // namespace
}  // namespace guideway::config
