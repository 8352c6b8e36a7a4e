// Sources that no packet for a VIP may have: each range by its edges, and what lies beside them.
#include "guideway/bad_source.h"

#include <gtest/gtest.h>

#include "common/net/address_text.h"

namespace guideway {
namespace {

struct Case {
  const char* source;
  bool is_bad;
};

TEST(BadSource, Ipv4) {
  const Be32 vip = parse_ip("203.0.113.1")->v4();
  for (const Case& c : {Case{"0.0.0.0", true},
                        {"0.0.0.1", false},
                        {"0.255.255.255", false},
                        {"126.255.255.255", false},
                        {"127.0.0.0", true},
                        {"127.255.255.255", true},
                        {"128.0.0.0", false},
                        {"169.253.255.255", false},
                        {"169.254.0.0", true},
                        {"169.254.255.255", true},
                        {"169.255.0.0", false},
                        {"223.255.255.255", false},
                        {"224.0.0.0", true},
                        {"239.255.255.255", true},
                        {"240.0.0.0", false},
                        {"255.255.255.254", false},
                        {"255.255.255.255", true},
                        {"203.0.113.1", true},
                        {"203.0.113.0", false}})
    EXPECT_EQ(is_bad_source(parse_ip(c.source)->v4(), vip), c.is_bad) << c.source;
}

TEST(BadSource, Ipv6) {
  const Block16 vip = parse_ip("2001:db8::1")->bytes;
  for (const Case& c : {Case{"::", true},
                        {"::1", true},
                        {"::2", false},
                        {"fe7f:ffff::", false},
                        {"fe80::", true},
                        {"febf:ffff::1", true},
                        {"fec0::", false},
                        {"feff:ffff::", false},
                        {"ff00::", true},
                        {"ffff::1", true},
                        {"2001:db8::1", true},
                        {"2001:db8::2", false}})
    EXPECT_EQ(is_bad_source(parse_ip(c.source)->bytes, vip), c.is_bad) << c.source;
}

}  // namespace
}  // namespace guideway
