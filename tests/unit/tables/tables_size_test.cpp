// What is said of the size of tables before there are any, against what they take.
#include "common/config/tables_size.h"

#include <gtest/gtest.h>

#include "common/config/load.h"
#include "common/shm/tables_writer.h"
#include "common/tables/from_config.h"

namespace guideway {
namespace {

std::string pool(int number, int slots, int backends) {
  const std::string name = "p" + std::to_string(number);
  std::string text = "[pool." + name + "]\nslots = " + std::to_string(slots) + "\nbackends = [";
  for (int b = 1; b <= backends; b++)
    text += "{ name = \"b" + std::to_string(b) + "\", address = \"10." + std::to_string(number) + "." +
            std::to_string(b / 256) + "." + std::to_string(b % 256) + "\" },\n";
  return text + "]\n[vip." + name + "]\npool = \"" + name + "\"\nport = 80\naddress = [\"203.0.113." +
         std::to_string(number) + "\", \"2001:db8::" + std::to_string(number) + "\"]\n";
}

config::Config load(const std::string& pools) {
  const config::LoadResult result = config::load_config_text(
      "schema = 1\n[dataplane]\nworker_cores = [1]\n[[dataplane.port]]\nname = \"uplink\"\ndevice = \"net_null0\"\n" +
          pools,
      "guideway.toml");
  EXPECT_TRUE(result.config) << result.report();
  return result.config.value();
}

// Every slot had another owner before.
DesiredTables unsettled(DesiredTables tables) {
  for (DesiredPool& pool : tables.pools) {
    pool.past.recent.push_back(weights_of(pool));
    DesiredBackend other = pool.backends.front();
    other.address = IpAddress::from_v4(Be32::from_host(0x0a636363));
    for (DesiredBackend& backend : pool.backends) backend.weight = 0;
    pool.backends.front() = other;
  }
  return tables;
}

// Each backend has a way out of its own.
DesiredTables with_ways_apart(DesiredTables tables) {
  std::uint16_t mtu = 1400;
  for (DesiredPool& pool : tables.pools)
    for (DesiredBackend& backend : pool.backends) backend.egress->path_mtu_bytes = mtu++;
  return tables;
}

bool fits(const DesiredTables& tables, std::uint64_t bytes) {
  return shm::TablesWriter::create(bytes)->publish(ImageBuilder{}.build(tables)) == shm::PublishResult::published;
}

struct Case {
  const char* what;
  std::string pools;
};

TEST(TablesSize, IsEnoughAndNotMuchMore) {
  const Case cases[] = {
      {"slots", pool(1, 65521, 3) + pool(2, 65521, 1)},
      {"many pools",
       [] {
         std::string all;
         for (int p = 1; p <= 100; p++) all += pool(p, 1021, 2);
         return all;
       }()},
      {"backends", pool(1, 65521, 900)},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.what);
    const config::Config config = load(c.pools);
    const config::TablesSize size = config::tables_size(config);
    const DesiredTables tables = with_ways_apart(tables_offline(config));
    EXPECT_TRUE(fits(tables, size.settled_bytes));
    EXPECT_FALSE(fits(tables, size.settled_bytes * 6 / 10));
    EXPECT_TRUE(fits(unsettled(tables), size.unsettled_bytes));
    EXPECT_FALSE(fits(unsettled(tables), size.unsettled_bytes * 6 / 10));
  }
}

}  // namespace
}  // namespace guideway
