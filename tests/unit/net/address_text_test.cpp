#include "common/net/address_text.h"

#include <gtest/gtest.h>

namespace guideway {
namespace {

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

TEST(AddressText, PortFormBracketsIpv6Only) {
  EXPECT_EQ(to_text_with_port(*parse_ip("192.0.2.1"), 80), "192.0.2.1:80");
  EXPECT_EQ(to_text_with_port(*parse_ip("2001:db8::1"), 443), "[2001:db8::1]:443");
}

}  // namespace
}  // namespace guideway
