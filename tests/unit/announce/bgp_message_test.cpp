#include "dataplane/announce/bgp_message.h"

#include <gtest/gtest.h>

#include "tests/unit/announce/bgp_bytes.h"

namespace guideway::bgp {
namespace {

const PathAttributes kAttributes{.next_hop4 = ip("192.0.2.1"), .next_hop6 = ip("2001:db8:ffff::1")};

TEST(BgpMessage, OpenCarriesItsFourCapabilities) {
  Bytes out;
  append_open(out, {65001, 3, ip("10.255.0.1").v4(), true, true});
  EXPECT_EQ(out, kPeerOpen);
}

TEST(BgpMessage, OpenSaysAsTransForAFourOctetAs) {
  Bytes out;
  append_open(out, {4200000001, 90, ip("10.255.0.1").v4(), true, false});
  EXPECT_EQ(out, kMarker + hex("002d 01 04 5ba0 005a 0aff0001 10 02 0e"
                               "01 04 0001 00 01  02 00  41 04 fa56ea01"));
}

TEST(BgpMessage, AnnouncesIpv4InTheClassicFields) {
  Bytes out;
  append_announcements(out, std::array{prefix("203.0.113.10"), prefix("203.0.113.11")}, kAttributes);
  EXPECT_EQ(out, kMarker + hex("0036 02 0000 0015"
                               "40 01 01 00  40 02 00  40 03 04 c0000201  40 05 04 00000064"
                               "20 cb00710a  20 cb00710b"));
}

TEST(BgpMessage, AnnouncesIpv6InMpReach) {
  Bytes out;
  append_announcements(out, std::array{prefix("2001:db8:1::10")}, kAttributes);
  EXPECT_EQ(out, kMarker + hex("004f 02 0000 0038"
                               "90 0e 0026 0002 01 10 20010db8ffff0000 0000000000000001 00"
                               "80 20010db800010000 0000000000000010"
                               "40 01 01 00  40 02 00  40 05 04 00000064"));
}

TEST(BgpMessage, WithdrawsIpv4InTheClassicFields) {
  Bytes out;
  append_withdrawals(out, std::array{prefix("203.0.113.10")});
  EXPECT_EQ(out, kMarker + hex("001c 02 0005 20 cb00710a 0000"));
}

TEST(BgpMessage, WithdrawsIpv6InMpUnreach) {
  Bytes out;
  append_withdrawals(out, std::array{prefix("2001:db8:1::10")});
  EXPECT_EQ(out, kMarker + hex("002f 02 0000 0018 90 0f 0014 0002 01 80 20010db800010000 0000000000000010"));
}

// RFC 4271, section 4.3: as many bytes as the bits need.
TEST(BgpMessage, PrefixesHaveAsManyBytesAsTheirBitsNeed) {
  struct Case {
    const char* prefix;
    const char* withdrawal;
  };
  const Case cases[] = {
      {"0.0.0.0/0", "0018 02 0001 00 0000"},
      {"128.0.0.0/1", "0019 02 0002 01 80 0000"},
      {"10.0.0.0/8", "0019 02 0002 08 0a 0000"},
      {"203.0.113.0/24", "001b 02 0004 18 cb0071 0000"},
      {"203.0.113.128/25", "001c 02 0005 19 cb007180 0000"},
      {"203.0.113.10", "001c 02 0005 20 cb00710a 0000"},
      {"2001:db8::/32", "0023 02 0000 000c 90 0f 0008 0002 01 20 20010db8"},
      {"2001:db8:8000::/33", "0024 02 0000 000d 90 0f 0009 0002 01 21 20010db880"},
      {"2001:db8:1::/64", "0027 02 0000 0010 90 0f 000c 0002 01 40 20010db800010000"},
  };
  for (const auto& [route, withdrawal] : cases) {
    Bytes out;
    append_withdrawals(out, std::array{prefix(route)});
    EXPECT_EQ(out, kMarker + hex(withdrawal)) << route;
  }
  Bytes out;
  append_announcements(out, std::array{prefix("203.0.113.0/24"), prefix("203.0.113.128/25")}, kAttributes);
  EXPECT_EQ(out, kMarker + hex("0035 02 0000 0015"
                               "40 01 01 00  40 02 00  40 03 04 c0000201  40 05 04 00000064"
                               "18 cb0071  19 cb007180"));
  out.clear();
  append_announcements(out, std::array{prefix("2001:db8:1::/64")}, kAttributes);
  EXPECT_EQ(out, kMarker + hex("0047 02 0000 0030"
                               "90 0e 001e 0002 01 10 20010db8ffff0000 0000000000000001 00 40 20010db800010000"
                               "40 01 01 00  40 02 00  40 05 04 00000064"));
}

TEST(BgpMessage, NothingToSayIsNoMessage) {
  Bytes out;
  append_announcements(out, {}, kAttributes);
  append_withdrawals(out, {});
  EXPECT_TRUE(out.empty());
}

TEST(BgpMessage, ManyRoutesFillFewMessages) {
  for (const char* first : {"198.18.0.0", "2001:db8:1::"}) {
    std::vector<IpPrefix> routes;
    for (std::uint32_t i = 0; i < 10000; i++) {
      routes.push_back(prefix(first));
      store(routes.back().address.bytes.data() + 14, Be16::from_host(static_cast<std::uint16_t>(i)));
    }
    Bytes announced, withdrawn;
    append_announcements(announced, routes, kAttributes);
    append_withdrawals(withdrawn, routes);
    for (const Bytes& out : {announced, withdrawn}) {
      std::size_t messages = 0;
      for (ByteSpan rest = out; !rest.empty(); messages++) {
        Header header;
        ASSERT_EQ(parse_header(rest, header), std::nullopt);
        ASSERT_EQ(check_update(rest.subspan(kHeaderBytes, header.length_bytes - kHeaderBytes)), std::nullopt);
        rest = rest.subspan(header.length_bytes);
      }
      EXPECT_EQ(messages, routes.front().address.is_v4() ? 13U : 43U);
    }
  }
}

TEST(BgpMessage, ParsesAnOpen) {
  Open open;
  ASSERT_EQ(parse_open(ByteSpan(kPeerOpen).subspan(kHeaderBytes), open), std::nullopt);
  EXPECT_EQ(open, (Open{65001, 3, ip("10.255.0.1").v4(), true, true}));
}

TEST(BgpMessage, APeerWithoutCapabilitiesTakesIpv4) {
  Open open;
  ASSERT_EQ(parse_open(hex("04 fde9 005a 0aff0001 00"), open), std::nullopt);
  EXPECT_EQ(open, (Open{65001, 90, ip("10.255.0.1").v4(), true, false}));
}

TEST(BgpMessage, UnknownCapabilitiesAndSeveralParametersAreFine) {
  Open open;  // graceful restart, a parameter of its own; IPv6 unicast only; IPv4 multicast
  ASSERT_EQ(
      parse_open(hex("04 fde9 005a 0aff0001 14  02 04 40 02 4078  02 06 01 04 0002 00 01  02 04 46 00 06 00"), open),
      std::nullopt);
  EXPECT_FALSE(open.ipv4);
  EXPECT_TRUE(open.ipv6);
}

TEST(BgpMessage, ReasonsAreReadable) {
  EXPECT_EQ(to_text(Notification{ErrorCode::open, 2, {}}), "bad peer AS (2/2)");
  EXPECT_EQ(to_text(Notification{ErrorCode::cease, 99, {}}), "cease (6/99)");
  EXPECT_EQ(to_text(Notification{static_cast<ErrorCode>(77), 1, {}}), "unknown error (77/1)");
}

}  // namespace
}  // namespace guideway::bgp
