#include "controlplane/ctl/commands.h"

#include <gtest/gtest.h>

#include "controlplane/ctl/figures.h"
#include "tests/unit/ctl/sample.h"

namespace guideway::ctl {
namespace {

std::string found(const std::string& argument) {
  try {
    const BackendName backend = find_backend(good_status(), argument);
    return backend.pool + " " + backend.name;
  } catch (const UsageError& error) {
    return error.what();
  }
}

TEST(FindBackend, ByFullOrUnambiguousName) {
  EXPECT_EQ(found("web/b1"), "web b1");
  EXPECT_EQ(found("resolvers/b1"), "resolvers b1");
  EXPECT_EQ(found("b2"), "web b2");
  EXPECT_EQ(found("b1"), "more than one pool has a backend \"b1\"; say web/b1 or resolvers/b1");
  EXPECT_EQ(found("wbe/b1"), "there is no backend \"wbe/b1\"; did you mean \"web/b1\"?");
  EXPECT_EQ(found("mail"), "there is no backend \"mail\"; guidewayctl status shows all of them");
  EXPECT_EQ(found("../../reload"), "there is no backend \"../../reload\"; guidewayctl status shows all of them");
}

TEST(Figures, Rates) {
  const std::pair<double, const char*> kCases[] = {
      {0, "0 pkt/s"},        {0.04, "0.0 pkt/s"},  {1, "1.0 pkt/s"},        {9.94, "9.9 pkt/s"},
      {9.96, "10 pkt/s"},    {999.4, "999 pkt/s"}, {999.6, "1.0 kpkt/s"},   {12345, "12 kpkt/s"},
      {1.84e7, "18 Mpkt/s"}, {1e12, "1.0 Tpkt/s"}, {1e18, "1000000 Tpkt/s"}};
  for (const auto& [value, text] : kCases) EXPECT_EQ(rate(value, "pkt"), text);
}

TEST(Figures, Ages) {
  EXPECT_EQ(age(-1), "0s");
  EXPECT_EQ(age(59), "59s");
  EXPECT_EQ(age(60), "1m0s");
  EXPECT_EQ(age(3600 * 4 + 300), "4h5m");
  EXPECT_EQ(age(86400 * 12 + 3600 * 4), "12d4h");
  EXPECT_EQ(age_since("2026-11-23T12:00:00Z", kSampleNow), "1m2s");
  EXPECT_EQ(age_since("yesterday", kSampleNow), "?");
}

}  // namespace
}  // namespace guideway::ctl
