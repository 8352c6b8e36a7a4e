// Files of large installations load in time that grows with their size, not with its square.

#include <gtest/gtest.h>

#include <ctime>
#include <iostream>

#include "tests/unit/config/loaded.h"

namespace guideway::config {
namespace {

// One VIP in ten is a prefix, and every pool has its own backends.
std::string installation(int vips, int pools) {
  std::string text = "vips_max = 65536\nbackends_max = 65535\n";
  const auto number = [](int n) { return std::to_string(n); };
  for (int p = 0; p < pools; p++) {
    text += "[pool.p" + number(p) + "]\nslots = 1021\nbackends = [";
    for (int b = 0; b < 4; b++)
      text += "{ name = \"b" + number(b) + "\", address = \"10." + number(p / 256) + "." + number(p % 256) + "." +
              number(b + 1) + "\" }, ";
    text += "]\n";
  }
  for (int v = 0; v < vips; v++) {
    const std::string host = number(20 + v / 62500) + "." + number(v / 250 % 250) + "." + number(v % 250);
    text += "[vip.v" + number(v) + "]\nport = 443\npool = \"p" + number(v % pools) + "\"\naddress = [\"" +
            (v % 10 == 0 ? host + ".0/24" : host + ".7") + "\", \"2001:db8:" + number(v) + "::1\"]\n";
  }
  return text;
}

double seconds_to_load(int vips, int pools) {
  const std::string text = installation(vips, pools);
  const std::clock_t start = std::clock();
  const LoadResult result = load_with_base(text);
  const double took = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
  EXPECT_TRUE(result.config) << result.report().substr(0, 1000);
  EXPECT_EQ(result.config ? result.config->vips.size() : 0, 2U * static_cast<unsigned>(vips));
  return took;
}

TEST(Large, TenThousandVipsTakeTenTimesAsLongAsOneThousand) {
  const double small = seconds_to_load(1'000, 400);
  const double large = seconds_to_load(10'000, 4'000);
  std::cout << "1,000 VIPs: " << small << " s; 10,000: " << large << " s of one core" << std::endl;
  EXPECT_LT(large, 40 * small);
}

TEST(Large, MorePoolsThanTheTablesTake) {
  const LoadResult result = load_with_base(installation(4'097, 4'097));
  EXPECT_FALSE(result.config);
  ASSERT_EQ(result.diagnostics.size(), 1U) << result.report();
  EXPECT_EQ(result.diagnostics[0].message, "here are more than 4096 pools in all; let VIPs share them");
}

TEST(Large, MoreSlotsThanTablesCanHold) {
  std::string text = installation(1, 600);
  for (std::size_t at = 0; (at = text.find("= 1021", at)) != std::string::npos;) text.replace(at, 6, "= 1048573");
  const LoadResult result = load_with_base(text);
  EXPECT_FALSE(result.config);
  ASSERT_FALSE(result.diagnostics.empty());
  EXPECT_EQ(result.diagnostics[0].message,
            "tables_memory is 64MiB, but these pools, backends and VIPs take up to 1201MiB; no more than 1024MiB is "
            "possible, so give pools fewer slots");
}

}  // namespace
}  // namespace guideway::config
