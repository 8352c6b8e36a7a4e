// Which changes of the file take a restart of the data plane.
#include "common/config/start_digests.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "common/config/load.h"

namespace guideway::config {
namespace {

std::string example() {
  std::ifstream file(GUIDEWAY_EXAMPLE);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

StartDigests digests_of(const std::string& text) {
  const LoadResult result = load_config_text(text, "guideway.toml");
  EXPECT_TRUE(result.config) << result.report();
  return result.config ? start_digests_of(*result.config) : StartDigests{};
}

// Which of the three differ once `before` is `after` in the example.
std::string changed(const std::string& before, const std::string& after) {
  std::string text = example();
  const StartDigests old = digests_of(text);
  const std::size_t at = text.find("\n" + before);
  EXPECT_NE(at, std::string::npos) << before;
  text.replace(at + 1, before.size(), after);
  const StartDigests now = digests_of(text);
  std::string sections;
  if (now.dataplane != old.dataplane) sections += " dataplane";
  if (now.flows != old.flows) sections += " flows";
  if (now.bgp != old.bgp) sections += " bgp";
  return sections;
}

TEST(StartDigests, TellSectionsThatTakeARestart) {
  EXPECT_EQ(changed("worker_cores = [1]", "worker_cores = [1, 2]"), " dataplane");
  EXPECT_EQ(changed("memory = \"512MiB\"", "memory = \"1GiB\""), " dataplane");
  EXPECT_EQ(changed("hugepages = \"auto\"", "hugepages = \"off\""), " dataplane");
  EXPECT_EQ(changed("kernel = \"auto\"", "kernel = \"steer\""), " dataplane");
  EXPECT_EQ(changed("#vlan = 100", "vlan = [10, 20]"), " dataplane");
  EXPECT_EQ(changed("#source_addresses", "source_addresses"), " dataplane");
  EXPECT_EQ(changed("closing_timeout = \"4m\"", "closing_timeout = \"5m\""), " flows");
  EXPECT_EQ(changed("hold_time = \"3s\"", "hold_time = \"4s\""), " bgp");
  EXPECT_EQ(changed("next_hop6 = \"2001:db8:ff::11\"", "next_hop6 = \"2001:db8:ff::12\""), " bgp");
}

TEST(StartDigests, PassOverWhatDoesNot) {
  EXPECT_EQ(changed("settle_after = \"125m\"", "settle_after = \"3h\""), "");
  EXPECT_EQ(changed("memory = \"512MiB\"", "# another way to say it\n"), "") << "the default";
  EXPECT_EQ(changed("heartbeat_timeout = \"1s\"", "heartbeat_timeout = \"1000ms\""), "");
  EXPECT_EQ(changed("interval = \"5s\"", "interval = \"6s\""), "");
  EXPECT_EQ(changed("tables_memory = \"64MiB\"", "tables_memory = \"65MiB\""), "");
}

}  // namespace
}  // namespace guideway::config
