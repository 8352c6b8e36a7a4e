#include "common/net/address_text.h"

#include <gtest/gtest.h>

#include "common/net/prefix.h"

namespace guideway {
namespace {

IpPrefix prefix(std::string_view text) {
  std::string why;
  return parse_prefix(text, why).value();
}

TEST(AddressText, RoundTripsBothFamilies) {
  for (const char* text :
       {"0.0.0.0", "203.0.113.10", "255.255.255.255", "::", "::1", "2001:db8::1", "ff02::1:ff00:1"}) {
    const auto ip = parse_ip(text);
    ASSERT_TRUE(ip) << text;
    EXPECT_EQ(to_text(*ip), text);
  }
}

TEST(AddressText, RefusesWhatIsNoAddress) {
  using namespace std::string_view_literals;
  for (const auto text :
       {""sv, "1.2.3"sv, "1.2.3.256"sv, "01.2.3.4"sv, "1.2.3.4/32"sv, ":::"sv, "1.2.3.4\0"sv, " ::1"sv})
    EXPECT_FALSE(parse_ip(text)) << text;
}

TEST(AddressText, MacRoundTripsAndRefuses) {
  EXPECT_EQ(to_text(*parse_mac("02:00:00:AB:cd:ef")), "02:00:00:ab:cd:ef");
  for (const char* text : {"", "02:00:00:ab:cd", "02:00:00:ab:cd:eg", "02-00-00-ab-cd-ef", "02:00:00:ab:cd:ef:"})
    EXPECT_FALSE(parse_mac(text)) << text;
}

TEST(AddressText, AMappedAddressOfAnIpv6PacketKeepsItsForm) {
  EXPECT_EQ(to_text(*parse_ip("::ffff:192.0.2.1"), Family::ipv6), "::ffff:192.0.2.1");
  EXPECT_EQ(to_text(*parse_ip("192.0.2.1"), Family::ipv4), "192.0.2.1");
  EXPECT_EQ(to_text(*parse_ip("2001:db8::1"), Family::ipv6), "2001:db8::1");
}

TEST(AddressText, PortFormBracketsIpv6Only) {
  EXPECT_EQ(to_text_with_port(*parse_ip("192.0.2.1"), 80), "192.0.2.1:80");
  EXPECT_EQ(to_text_with_port(*parse_ip("2001:db8::1"), 443), "[2001:db8::1]:443");
  EXPECT_EQ(to_text_with_port(prefix("192.0.2.0/24"), 80), "192.0.2.0/24:80");
  EXPECT_EQ(to_text_with_port(prefix("2001:db8::/32"), 0), "[2001:db8::/32]:any");
}

TEST(PrefixText, RoundTripsBothFamilies) {
  for (const char* text : {"0.0.0.0/0", "203.0.113.0/24", "203.0.113.128/25", "203.0.113.10", "::/0", "2001:db8::/32",
                           "2001:db8:0:0:8000::/65", "2001:db8::1"})
    EXPECT_EQ(to_text(prefix(text)), text);
}

TEST(PrefixText, AnAddressAloneIsAPrefixOfOne) {
  EXPECT_EQ(prefix("203.0.113.10"), IpPrefix::of(*parse_ip("203.0.113.10")));
  EXPECT_EQ(prefix("203.0.113.10/32"), prefix("203.0.113.10"));
  EXPECT_EQ(prefix("2001:db8::1/128"), prefix("2001:db8::1"));
  EXPECT_TRUE(prefix("2001:db8::1").is_host());
}

TEST(PrefixText, SaysWhatIsWrongAndTheFix) {
  struct Case {
    std::string_view text;
    const char* why;
  };
  using namespace std::string_view_literals;
  const Case cases[] = {
      {"", "is no address or prefix; write it like 203.0.113.0/24 or 2001:db8::/32"},
      {"/24", "is no address or prefix; write it like 203.0.113.0/24 or 2001:db8::/32"},
      {"203.0.113/24", "is no address or prefix; write it like 203.0.113.0/24 or 2001:db8::/32"},
      {"203.0.113.0\0/24"sv, "is no address or prefix; write it like 203.0.113.0/24 or 2001:db8::/32"},
      {"203.0.113.0/", "has no prefix length from 0 to 32 behind its slash"},
      {"203.0.113.0/33", "has no prefix length from 0 to 32 behind its slash"},
      {"203.0.113.0/-1", "has no prefix length from 0 to 32 behind its slash"},
      {"203.0.113.0/24/8", "has no prefix length from 0 to 32 behind its slash"},
      {"203.0.113.0/256", "has no prefix length from 0 to 32 behind its slash"},
      {"2001:db8::/129", "has no prefix length from 0 to 128 behind its slash"},
      {"203.0.113.1/24", "has bits set behind its prefix; write 203.0.113.0/24, or 203.0.113.1 for one address"},
      {"203.0.113.1/31", "has bits set behind its prefix; write 203.0.113.0/31, or 203.0.113.1 for one address"},
      {"2001:db8::1/0", "has bits set behind its prefix; write ::/0, or 2001:db8::1 for one address"},
  };
  for (const Case& c : cases) {
    std::string why;
    EXPECT_FALSE(parse_prefix(c.text, why)) << c.text;
    EXPECT_EQ(why, c.why) << c.text;
  }
}

TEST(Prefix, Contains) {
  EXPECT_TRUE(contains(prefix("203.0.113.0/24"), *parse_ip("203.0.113.255")));
  EXPECT_FALSE(contains(prefix("203.0.113.0/24"), *parse_ip("203.0.114.0")));
  EXPECT_TRUE(contains(prefix("203.0.113.7"), *parse_ip("203.0.113.7")));
  EXPECT_TRUE(contains(prefix("0.0.0.0/0"), *parse_ip("255.255.255.255")));
  EXPECT_TRUE(contains(prefix("2001:db8::/33"), *parse_ip("2001:db8:7fff::")));
  EXPECT_FALSE(contains(prefix("2001:db8::/33"), *parse_ip("2001:db8:8000::")));
  EXPECT_FALSE(contains(prefix("0.0.0.0/0"), *parse_ip("2001:db8::1")));
  EXPECT_FALSE(contains(prefix("::/0"), *parse_ip("203.0.113.1")));
}

TEST(Prefix, OverlapIsThatOneHoldsTheOther) {
  struct Case {
    const char* a;
    const char* b;
    bool overlap;
  };
  const Case cases[] = {
      {"203.0.113.0/24", "203.0.112.0/23", true},  {"203.0.113.0/24", "203.0.113.7", true},
      {"203.0.113.0/24", "203.0.112.0/24", false}, {"203.0.113.4/31", "203.0.113.6/31", false},
      {"0.0.0.0/0", "203.0.113.0/24", true},       {"0.0.0.0/0", "::/0", false},
      {"2001:db8::/32", "2001:db8::/32", true},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(overlap(prefix(c.a), prefix(c.b)), c.overlap) << c.a << " and " << c.b;
    EXPECT_EQ(overlap(prefix(c.b), prefix(c.a)), c.overlap) << c.b << " and " << c.a;
  }
}

TEST(PrefixText, RoundTripsPrefixesAndAddresses) {
  std::string why;
  for (const char* text :
       {"0.0.0.0/0", "10.0.0.0/8", "10.2.0.128/25", "10.2.0.2", "::/0", "2001:db8::/33", "2001:db8::2"}) {
    const auto prefix = parse_prefix(text, why);
    ASSERT_TRUE(prefix) << text << " " << why;
    EXPECT_EQ(to_text(*prefix), text);
  }
  EXPECT_EQ(to_text(*parse_prefix("10.2.0.2/32", why)), "10.2.0.2");
}

TEST(PrefixText, SaysWhatIsWrong) {
  const auto why_not = [](const char* text) {
    std::string why;
    return parse_prefix(text, why) ? "it is one" : why;
  };
  EXPECT_EQ(why_not("10.2.0.2/24"), "has bits set behind its prefix; write 10.2.0.0/24, or 10.2.0.2 for one address");
  EXPECT_EQ(why_not("2001:db8::1/64"),
            "has bits set behind its prefix; write 2001:db8::/64, or 2001:db8::1 for one address");
  for (const char* text : {"10.0.0.0/33", "10.0.0.0/", "10.0.0.0/8x", "10.0.0.0/-1", "10.0.0.0/256"})
    EXPECT_EQ(why_not(text), "has no prefix length from 0 to 32 behind its slash") << text;
  EXPECT_EQ(why_not("::/129"), "has no prefix length from 0 to 128 behind its slash");
  for (const char* text : {"", "/8", "lb1", "10.0.0"})
    EXPECT_EQ(why_not(text), "is no address or prefix; write it like 203.0.113.0/24 or 2001:db8::/32") << text;
}

}  // namespace
}  // namespace guideway
