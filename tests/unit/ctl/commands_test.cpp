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

// What goes wrong without a control plane.
template <typename Command>
std::string said(const Command& command) {
  try {
    command();
  } catch (const std::runtime_error& error) {
    return error.what();
  }
  return "nothing";
}

TEST(Reason, IsUtf8) {
  const ApiClient nobody("/nowhere");
  const auto of_drain = [&](const char* reason) {
    return said([&] { drain(nobody, "b1", {reason, std::nullopt, false}, {}); });
  };
  const auto of_weight = [&](const char* reason) { return said([&] { weight(nobody, "b1", 1, reason, {}); }); };
  for (const char* reason : {"\xff",
                             "gr\xf6\xdf"
                             "er",
                             "\xc3", "\xed\xa0\x80"}) {
    SCOPED_TRACE(reason);
    for (const std::string& sentence : {of_drain(reason), of_weight(reason)})
      EXPECT_EQ(sentence, "--reason must be UTF-8; set the terminal to that, or use ASCII");
  }
  for (const char* reason : {"", "disk", "größer", "\xf0\x9f\x94\xa7"})
    for (const std::string& sentence : {of_drain(reason), of_weight(reason)})
      EXPECT_NE(sentence.find("there is no /nowhere"), std::string::npos) << sentence;
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
