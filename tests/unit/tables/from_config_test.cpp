// What the configuration alone decides of the tables.
#include "common/tables/from_config.h"

#include <gtest/gtest.h>

#include "common/config/load.h"
#include "common/net/address_text.h"

namespace guideway {
namespace {

IpPrefix prefix(std::string_view text) {
  std::string why;
  return parse_prefix(text, why).value();
}

std::vector<IpPrefix> prefixes(std::initializer_list<const char*> texts) {
  std::vector<IpPrefix> all;
  for (const char* text : texts) all.push_back(prefix(text));
  return all;
}

constexpr const char* kPort = "[[dataplane.port]]\nname = \"uplink\"\ndevice = \"net_null0\"\n";
constexpr const char* kBackends =
    "backends = [{ name = \"a\", address = \"10.0.0.1\" }, { name = \"b\", address = \"2001:db8::b\", weight = 3 }]\n";

config::Config load(const std::string& text) {
  const config::LoadResult result =
      config::load_config_text("schema = 1\n[dataplane]\nworker_cores = [1]\n" + text, "guideway.toml");
  EXPECT_TRUE(result.config) << result.report();
  return result.config.value();
}

std::string vip(const std::string& name, const std::string& more) {
  return "[vip." + name + "]\npool = \"web\"\n" + more;
}

TEST(TablesFromConfig, PoolsSayHowPacketsTravel) {
  const DesiredTables tables = tables_offline(
      load(std::string(kPort) + "[pool.web]\nencap = \"gre\"\nslots = 251\ndscp = 46\noversize = \"drop\"\n" +
           kBackends + "[pool.usual]\n" + kBackends));
  ASSERT_EQ(tables.pools.size(), 2U);
  EXPECT_EQ(tables.pools[0].encap, Encap::gre);
  EXPECT_EQ(tables.pools[0].slot_count, 251U);
  EXPECT_EQ(tables.pools[0].dscp, 46);
  EXPECT_EQ(tables.pools[0].oversize, Oversize::drop);
  EXPECT_EQ(tables.pools[1].encap, Encap::gue0);
  EXPECT_EQ(tables.pools[1].dscp, std::nullopt);
  EXPECT_EQ(tables.pools[1].oversize, Oversize::fragment_outer);
}

TEST(TablesFromConfig, VipsSayWhatBecomesOfPackets) {
  const DesiredTables tables = tables_offline(
      load(std::string(kPort) + "[pool.web]\n" + kBackends +
           vip("all",
               "address = \"203.0.113.0/24\"\nport = \"any\"\nprotocol = \"udp\"\nunserved = \"reject\"\n"
               "no_backend = \"reject\"\nannounce = \"never\"\necho = \"drop\"\n") +
           vip("one", "address = \"203.0.113.7\"\nport = 443\n")));
  ASSERT_EQ(tables.vips.size(), 2U);
  const DesiredVip all{prefix("203.0.113.0/24"),
                       0,
                       IpProto::udp,
                       0,
                       0,
                       false,
                       false,
                       false,
                       Unserved::reject,
                       NoBackend::reject,
                       Tracking::all};
  const DesiredVip one{
      prefix("203.0.113.7"), 443, IpProto::tcp, 0, 1, true, true, false, Unserved::drop, NoBackend::drop,
      Tracking::moved};
  EXPECT_EQ(tables.vips[0], all);
  EXPECT_EQ(tables.vips[1], one);
}

TEST(TablesFromConfig, AnnouncementAndEchoGoByTheWholePrefix) {
  const config::Config config =
      load(std::string(kPort) + "[pool.web]\n" + kBackends + "[pool.empty]\nbackends = []\n" +
           vip("served", "address = \"203.0.113.7\"\nport = 80\necho = \"healthy\"\n") +
           "[vip.beside]\npool = \"empty\"\naddress = \"203.0.113.7\"\nport = 81\necho = \"healthy\"\n"
           "[vip.alone]\npool = \"empty\"\naddress = \"203.0.113.8\"\nport = 80\necho = \"healthy\"\n"
           "[vip.always]\npool = \"empty\"\naddress = \"203.0.113.9\"\nport = 80\nannounce = \"always\"\n");
  const DesiredTables tables = tables_offline(config);
  const std::vector<bool> announced{true, true, false, true};
  const std::vector<bool> answered{true, true, false, true};
  for (std::size_t v = 0; v < tables.vips.size(); v++) {
    EXPECT_EQ(tables.vips[v].announce, announced[v]) << config.vips[v].name;
    EXPECT_EQ(tables.vips[v].echo, answered[v]) << config.vips[v].name;
  }
  std::vector<std::vector<BackendNow>> nothing_works(2);
  nothing_works[0].resize(2);
  const DesiredTables down = tables_from_config(config, nothing_works, {0, 1, 2, 3});
  for (std::size_t v = 0; v < down.vips.size(); v++) {
    EXPECT_EQ(down.vips[v].announce, v == 3) << config.vips[v].name;
    EXPECT_EQ(down.vips[v].echo, v == 3) << config.vips[v].name;
  }
}

TEST(TablesFromConfig, PortsAndBackendsChangeTheWayOut) {
  const config::Config config = load(
      std::string(kPort) + "vlan = [100, 7]\nipip_source_prefixes = [\"198.18.0.0/24\"]\n" +
      "[pool.ipip]\nencap = \"ipip\"\n" + kBackends + "[pool.gue]\nencap = \"gue\"\n" +
      "backends = [{ name = \"a\", address = \"10.0.0.1\", mtu = 1400 }, { name = \"b\", address = \"10.0.0.2\" }]\n");
  Egress egress;
  egress.source = prefix("192.0.2.1").address;
  egress.path_mtu_bytes = 9000;
  const std::vector<BackendNow> of_pool{{1, true, 0, egress}, {1, true, 1, egress}};
  const DesiredTables tables = tables_from_config(config, {of_pool, of_pool}, {});
  const auto way = [&](std::size_t pool, std::size_t backend) { return tables.pools[pool].backends[backend].egress; };
  const std::vector<std::uint16_t> tags{100, 7};
  EXPECT_EQ(way(0, 0)->vlans, tags);
  EXPECT_EQ(way(0, 0)->source_prefix, prefix("198.18.0.0/24"));
  EXPECT_EQ(way(0, 0)->path_mtu_bytes, 9000);
  EXPECT_EQ(way(0, 1)->source_prefix, std::nullopt);  // IPv6, and the port has none for it
  EXPECT_EQ(way(1, 0)->vlans, tags);
  EXPECT_EQ(way(1, 0)->source_prefix, std::nullopt);
  EXPECT_EQ(way(1, 0)->path_mtu_bytes, 1400);
  EXPECT_EQ(way(1, 1)->path_mtu_bytes, 9000);
}

TEST(TablesFromConfig, OwnAddressesAreTheSourcesOfOuterHeaders) {
  const std::string one_backend = "backends = [{ name = \"a\", address = \"10.0.0.1\" }]\n";
  const std::string ports = std::string(kPort) +
                            "source_addresses = [\"192.0.2.9\"]\nipip_source_prefixes = [\"198.18.0.0/24\"]\n"
                            "[[dataplane.port]]\nname = \"other\"\ndevice = \"net_null1\"\n";
  Egress egress;
  egress.source = prefix("192.0.2.1").address;
  egress.port = 1;
  const auto own_with = [&](const std::string& encap) {
    return tables_from_config(load(ports + "[pool.web]\nencap = \"" + encap + "\"\n" + one_backend),
                              {{{1, true, 0, egress}}}, {})
        .own;
  };
  EXPECT_EQ(own_with("gue"), prefixes({"192.0.2.1", "192.0.2.9", "198.18.0.0/24"}));
  EXPECT_EQ(own_with("l2dsr"), prefixes({"192.0.2.9", "198.18.0.0/24"}));
  egress.port = 0;
  EXPECT_EQ(own_with("ipip"), prefixes({"192.0.2.9", "198.18.0.0/24"}));
}

TEST(TablesOffline, TakesWhatTheFileSaysOrStandIns) {
  const auto first_egress = [](const std::string& port) {
    return tables_offline(load(kPort + port + "[pool.web]\n" + kBackends)).pools[0].backends;
  };
  const auto silent = first_egress("");
  EXPECT_EQ(
      silent[0].egress,
      (Egress{
          0, *parse_mac("02:00:00:00:00:01"), *parse_mac("02:00:00:00:00:02"), *parse_ip("192.0.0.8"), 1500, {}, {}}));
  EXPECT_EQ(silent[1].egress->source, *parse_ip("100::1"));
  EXPECT_EQ(silent[1].weight, 3U);
  EXPECT_EQ(silent[1].stats_index, 1U);
  EXPECT_TRUE(silent[1].alive);
  const auto told = first_egress(
      "next_hop_mac = \"02:00:5e:10:00:01\"\nsource_addresses = [\"192.0.2.1\", \"2001:db8::1\"]\nmtu = 9000\n");
  EXPECT_EQ(
      told[0].egress,
      (Egress{
          0, *parse_mac("02:00:00:00:00:01"), *parse_mac("02:00:5e:10:00:01"), *parse_ip("192.0.2.1"), 9000, {}, {}}));
  EXPECT_EQ(told[1].egress->source, *parse_ip("2001:db8::1"));
}

}  // namespace
}  // namespace guideway
