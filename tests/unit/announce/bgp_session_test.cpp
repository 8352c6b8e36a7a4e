#include "dataplane/announce/bgp_session.h"

#include <gtest/gtest.h>

#include <random>

#include "tests/unit/announce/bgp_bytes.h"

namespace guideway::bgp {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const Identity kIdentity{65001, ip("10.255.0.9").v4(), 3};
const PathAttributes kAttributes{.next_hop4 = ip("192.0.2.1"), .next_hop6 = ip("2001:db8:ffff::1")};
const TimePoint kStart{seconds(1000)};

Bytes announcement(std::initializer_list<const char*> routes) {
  Bytes out;
  for (const Family family : {Family::ipv4, Family::ipv6}) {
    std::vector<IpPrefix> of_family;
    for (const char* route : routes)
      if (prefix(route).address.family() == family) of_family.push_back(prefix(route));
    append_announcements(out, of_family, kAttributes);
  }
  return out;
}
Bytes withdrawal(const char* route) {
  Bytes out;
  append_withdrawals(out, std::array{prefix(route)});
  return out;
}
Bytes notification(ErrorCode code, std::uint8_t subcode, const Bytes& data = {}) {
  Bytes out;
  append_notification(out, {code, subcode, data});
  return out;
}

class BgpSession : public testing::Test {
 protected:
  Bytes take_output() {
    Bytes bytes;
    for (ByteSpan output = session_.output(); !output.empty(); output = session_.output()) {
      bytes.insert(bytes.end(), output.begin(), output.end());
      session_.written(output.size());
    }
    return bytes;
  }
  void set_routes(std::initializer_list<const char*> routes) {
    std::vector<IpPrefix> sorted;
    for (const char* route : routes) sorted.push_back(prefix(route));
    std::ranges::sort(sorted);
    session_.set_routes(sorted);
  }
  void bring_to(SpeakerState state, const Bytes& open = kPeerOpen) {
    session_.start(kStart);
    if (state >= SpeakerState::open_confirm) session_.receive(open, kStart);
    if (state == SpeakerState::established) session_.receive(kKeepalive, kStart);
    ASSERT_EQ(session_.state(), state) << session_.error();
    take_output();
  }
  Session session_{kIdentity, kAttributes};
};

TEST_F(BgpSession, OpensConfirmsAndAnnounces) {
  set_routes({"203.0.113.10", "2001:db8:1::10"});
  EXPECT_TRUE(take_output().empty());
  session_.start(kStart);
  EXPECT_EQ(session_.state(), SpeakerState::open_sent);
  EXPECT_EQ(take_output(), kMarker + hex("0033 01 04 fde9 0003 0aff0009 16 02 14"
                                         "01 04 0001 00 01  01 04 0002 00 01  02 00  41 04 0000fde9"));
  session_.receive(kPeerOpen, kStart);
  EXPECT_EQ(session_.state(), SpeakerState::open_confirm);
  EXPECT_EQ(take_output(), kKeepalive);
  session_.receive(kKeepalive, kStart);
  EXPECT_EQ(session_.state(), SpeakerState::established);
  EXPECT_FALSE(session_.synchronized());
  EXPECT_EQ(take_output(), announcement({"203.0.113.10", "2001:db8:1::10"}));
  EXPECT_TRUE(session_.synchronized());
}

TEST_F(BgpSession, UnderstandsInputByteByByte) {
  set_routes({"203.0.113.10"});
  session_.start(kStart);
  for (const std::uint8_t byte : kPeerOpen + kKeepalive + kPeerUpdate + kKeepalive)
    session_.receive(ByteSpan(&byte, 1), kStart);
  EXPECT_EQ(session_.state(), SpeakerState::established);
  EXPECT_FALSE(session_.finished());
}

TEST_F(BgpSession, SaysOnlyWhatChanged) {
  set_routes({"203.0.113.10", "203.0.113.11"});
  bring_to(SpeakerState::established);
  set_routes({"203.0.113.11", "203.0.113.12"});
  EXPECT_EQ(take_output(), withdrawal("203.0.113.10") + announcement({"203.0.113.12"}));
  set_routes({"203.0.113.11", "203.0.113.12"});
  EXPECT_TRUE(take_output().empty());
  set_routes({});
  Bytes both;
  append_withdrawals(both, std::array{prefix("203.0.113.11"), prefix("203.0.113.12")});
  EXPECT_EQ(take_output(), both);
}

TEST_F(BgpSession, PrefixesOfOneAddressAreDifferentRoutes) {
  set_routes({"203.0.113.0/24", "203.0.113.0"});
  bring_to(SpeakerState::established);
  set_routes({"203.0.113.0/24"});
  EXPECT_EQ(take_output(), withdrawal("203.0.113.0"));
  set_routes({"203.0.113.0/25"});
  EXPECT_EQ(take_output(), withdrawal("203.0.113.0/24") + announcement({"203.0.113.0/25"}));
}

TEST_F(BgpSession, ChangesCoalesceWhileThePeerIsSlow) {
  bring_to(SpeakerState::established);
  set_routes({"203.0.113.10"});
  session_.output();
  session_.written(5);  // the rest does not leave yet
  set_routes({"203.0.113.11"});
  set_routes({"203.0.113.12"});
  const Bytes first = announcement({"203.0.113.10"});
  EXPECT_EQ(take_output(),
            Bytes(first.begin() + 5, first.end()) + withdrawal("203.0.113.10") + announcement({"203.0.113.12"}));
}

TEST_F(BgpSession, TellsEverythingAgainAfterAReconnect) {
  set_routes({"203.0.113.10"});
  bring_to(SpeakerState::established);
  session_.stop();
  EXPECT_EQ(session_.state(), SpeakerState::idle);
  session_.start(kStart);
  session_.receive(kPeerOpen + kKeepalive, kStart);
  const Bytes told = announcement({"203.0.113.10"});
  const Bytes output = take_output();
  EXPECT_EQ(Bytes(output.end() - static_cast<std::ptrdiff_t>(told.size()), output.end()), told);
}

TEST_F(BgpSession, RouteRefreshTellsOneFamilyAgain) {
  set_routes({"203.0.113.10", "2001:db8:1::10"});
  bring_to(SpeakerState::established);
  session_.receive(kRefreshIpv4, kStart);
  EXPECT_EQ(take_output(), announcement({"203.0.113.10"}));
  session_.receive(kRefreshIpv6, kStart);
  EXPECT_EQ(take_output(), announcement({"2001:db8:1::10"}));
  session_.receive(kMarker + hex("0017 05 0001 00 02"), kStart);  // multicast: not ours
  EXPECT_TRUE(take_output().empty());
}

TEST_F(BgpSession, RouteRefreshLosesNoWithdrawal) {
  set_routes({"203.0.113.10", "203.0.113.11"});
  bring_to(SpeakerState::established);
  set_routes({"203.0.113.11"});
  session_.receive(kRefreshIpv4, kStart);
  EXPECT_EQ(take_output(), withdrawal("203.0.113.10") + announcement({"203.0.113.11"}));
}

TEST_F(BgpSession, LeavesOutAFamilyThatThePeerDoesNotTake) {
  set_routes({"203.0.113.10", "2001:db8:1::10"});
  bring_to(SpeakerState::established, kMarker + hex("001d 01 04 fde9 0003 0aff0001 00"));
  EXPECT_FALSE(session_.peer_takes(Family::ipv6));
  EXPECT_TRUE(session_.synchronized());
  session_.receive(kRefreshIpv4, kStart);
  EXPECT_EQ(take_output(), announcement({"203.0.113.10"}));
}

TEST_F(BgpSession, LeavesOutAFamilyWithoutNextHop) {
  session_ = Session(kIdentity, {.next_hop4 = {}, .next_hop6 = ip("2001:db8:ffff::1")});
  set_routes({"203.0.113.10", "2001:db8:1::10"});
  session_.start(kStart);
  take_output();
  session_.receive(kPeerOpen + kKeepalive, kStart);
  EXPECT_EQ(take_output(), kKeepalive + announcement({"2001:db8:1::10"}));
}

TEST_F(BgpSession, KeepsTheSessionAliveEveryThirdOfTheHoldTime) {
  bring_to(SpeakerState::established);
  session_.tick(kStart + milliseconds(999));
  EXPECT_TRUE(take_output().empty());
  session_.tick(kStart + milliseconds(1000));
  EXPECT_EQ(take_output(), kKeepalive);
  session_.tick(kStart + milliseconds(1999));
  EXPECT_TRUE(take_output().empty());
  session_.tick(kStart + milliseconds(2000));
  EXPECT_EQ(take_output(), kKeepalive);
}

TEST_F(BgpSession, ASilentPeerLosesTheSession) {
  bring_to(SpeakerState::established);
  session_.receive(kKeepalive, kStart + milliseconds(1000));
  session_.receive(kPeerUpdate, kStart + milliseconds(2000));
  session_.tick(kStart + milliseconds(4999));
  take_output();
  EXPECT_FALSE(session_.finished());
  session_.tick(kStart + milliseconds(5000));
  EXPECT_EQ(take_output(), notification(ErrorCode::hold_timer_expired, 0));
  EXPECT_TRUE(session_.finished());
}

TEST_F(BgpSession, APeerThatNeverAnswersOpenIsGivenUp) {
  bring_to(SpeakerState::open_sent);
  session_.tick(kStart + milliseconds(9999));
  EXPECT_FALSE(session_.finished());
  session_.tick(kStart + seconds(10));
  EXPECT_EQ(take_output(), notification(ErrorCode::hold_timer_expired, 0));
}

TEST_F(BgpSession, TheShorterHoldTimeCountsAndZeroMeansNoTimers) {
  session_ = Session({65001, kIdentity.router_id, 90}, kAttributes);
  bring_to(SpeakerState::established);
  session_.tick(kStart + seconds(3));
  EXPECT_TRUE(session_.finished());
  session_.stop();
  bring_to(SpeakerState::established, kMarker + hex("001d 01 04 fde9 0000 0aff0001 00"));
  session_.tick(kStart + std::chrono::hours(24));
  EXPECT_TRUE(take_output().empty());
  EXPECT_FALSE(session_.finished());
}

TEST_F(BgpSession, CeaseWithdrawsFirst) {
  set_routes({"203.0.113.10"});
  bring_to(SpeakerState::established);
  session_.cease();
  EXPECT_EQ(take_output(), withdrawal("203.0.113.10") + notification(ErrorCode::cease, 2));
  EXPECT_TRUE(session_.finished());
}

TEST_F(BgpSession, ANotificationEndsItWithoutAnAnswer) {
  bring_to(SpeakerState::open_sent);
  session_.receive(kMarker + hex("0015 03 02 02"), kStart);
  EXPECT_TRUE(session_.finished());
  EXPECT_EQ(session_.error(), "the peer says: bad peer AS (2/2)");
  EXPECT_TRUE(take_output().empty());
}

TEST_F(BgpSession, NothingIsReadAfterTheEnd) {
  bring_to(SpeakerState::open_sent);
  session_.receive(kKeepalive + kPeerOpen + kKeepalive, kStart);
  EXPECT_EQ(take_output(), notification(ErrorCode::state_machine, 1));
  session_.receive(kPeerOpen, kStart);
  session_.tick(kStart + seconds(60));
  EXPECT_TRUE(take_output().empty());
}

struct Malformed {
  const char* name;
  SpeakerState state;
  Bytes input;
  Notification answer;
};

Bytes open_body(std::string_view body) {
  Bytes bytes = hex(body);
  return kMarker + Bytes{0, static_cast<std::uint8_t>(kHeaderBytes + bytes.size()), 1} + bytes;
}

const std::vector<Malformed> kMalformed = {
    {"marker", SpeakerState::established, hex("ffffffffffffffff fffffffffffffffe 0013 04"), {ErrorCode::header, 1, {}}},
    {"length 18", SpeakerState::established, kMarker + hex("0012 04"), {ErrorCode::header, 2, hex("0012")}},
    {"length 4097", SpeakerState::established, kMarker + hex("1001 02"), {ErrorCode::header, 2, hex("1001")}},
    {"long KEEPALIVE", SpeakerState::established, kMarker + hex("0014 04 00"), {ErrorCode::header, 2, hex("0014")}},
    {"short OPEN", SpeakerState::open_sent, kMarker + hex("001c 01"), {ErrorCode::header, 2, hex("001c")}},
    {"short UPDATE", SpeakerState::established, kMarker + hex("0016 02"), {ErrorCode::header, 2, hex("0016")}},
    {"short NOTIFICATION", SpeakerState::established, kMarker + hex("0014 03"), {ErrorCode::header, 2, hex("0014")}},
    {"long ROUTE-REFRESH", SpeakerState::established, kMarker + hex("0018 05"), {ErrorCode::header, 2, hex("0018")}},
    {"type 0", SpeakerState::established, kMarker + hex("0013 00"), {ErrorCode::header, 3, hex("00")}},
    {"type 6", SpeakerState::established, kMarker + hex("0013 06"), {ErrorCode::header, 3, hex("06")}},
    {"version 3", SpeakerState::open_sent, open_body("03 fde9 0003 0aff0001 00"), {ErrorCode::open, 1, hex("0004")}},
    {"AS 65002", SpeakerState::open_sent, open_body("04 fdea 0003 0aff0001 00"), {ErrorCode::open, 2, {}}},
    {"4-octet AS 65002 behind a right AS field",
     SpeakerState::open_sent,
     open_body("04 fde9 0003 0aff0001 08 02 06 41 04 0000fdea"),
     {ErrorCode::open, 2, {}}},
    {"router id 0", SpeakerState::open_sent, open_body("04 fde9 0003 00000000 00"), {ErrorCode::open, 3, {}}},
    {"our router id", SpeakerState::open_sent, open_body("04 fde9 0003 0aff0009 00"), {ErrorCode::open, 3, {}}},
    {"parameter 1", SpeakerState::open_sent, open_body("04 fde9 0003 0aff0001 02 01 00"), {ErrorCode::open, 4, {}}},
    {"hold time 1", SpeakerState::open_sent, open_body("04 fde9 0001 0aff0001 00"), {ErrorCode::open, 6, {}}},
    {"hold time 2", SpeakerState::open_sent, open_body("04 fde9 0002 0aff0001 00"), {ErrorCode::open, 6, {}}},
    {"parameters longer than the message",
     SpeakerState::open_sent,
     open_body("04 fde9 0003 0aff0001 04 02 00"),
     {ErrorCode::open, 0, {}}},
    {"parameter longer than the parameters",
     SpeakerState::open_sent,
     open_body("04 fde9 0003 0aff0001 02 02 01"),
     {ErrorCode::open, 0, {}}},
    {"half a parameter", SpeakerState::open_sent, open_body("04 fde9 0003 0aff0001 01 02"), {ErrorCode::open, 0, {}}},
    {"half a capability",
     SpeakerState::open_sent,
     open_body("04 fde9 0003 0aff0001 03 02 01 41"),
     {ErrorCode::open, 0, {}}},
    {"capability longer than its parameter",
     SpeakerState::open_sent,
     open_body("04 fde9 0003 0aff0001 05 02 03 41 04 00"),
     {ErrorCode::open, 0, {}}},
    {"4-octet AS of 2 octets",
     SpeakerState::open_sent,
     open_body("04 fde9 0003 0aff0001 06 02 04 41 02 fde9"),
     {ErrorCode::open, 0, {}}},
    {"multiprotocol of 3 octets",
     SpeakerState::open_sent,
     open_body("04 fde9 0003 0aff0001 07 02 05 01 03 000100"),
     {ErrorCode::open, 0, {}}},
    {"withdrawn routes longer than the UPDATE",
     SpeakerState::established,
     kMarker + hex("0017 02 0001 0000"),
     {ErrorCode::update, 1, {}}},
    {"attributes longer than the UPDATE",
     SpeakerState::established,
     kMarker + hex("0017 02 0000 0001"),
     {ErrorCode::update, 1, {}}},
    {"KEEPALIVE before OPEN", SpeakerState::open_sent, kKeepalive, {ErrorCode::state_machine, 1, {}}},
    {"UPDATE before KEEPALIVE", SpeakerState::open_confirm, kPeerUpdate, {ErrorCode::state_machine, 2, {}}},
    {"OPEN in Established", SpeakerState::established, kPeerOpen, {ErrorCode::state_machine, 3, {}}},
};

class MalformedInput : public BgpSession, public testing::WithParamInterface<Malformed> {};

TEST_P(MalformedInput, IsAnsweredWithTheRightNotification) {
  bring_to(GetParam().state);
  session_.receive(GetParam().input, kStart);
  Bytes expected;
  append_notification(expected, GetParam().answer);
  EXPECT_EQ(take_output(), expected) << session_.error();
  EXPECT_TRUE(session_.finished());
  EXPECT_EQ(session_.error(), "ended by us: " + to_text(GetParam().answer));
}

INSTANTIATE_TEST_SUITE_P(Bgp, MalformedInput, testing::ValuesIn(kMalformed), [](const auto& parameter) {
  std::string name = parameter.param.name;
  std::ranges::replace_if(
      name, [](char c) { return std::isalnum(static_cast<unsigned char>(c)) == 0; }, '_');
  return name;
});

// 100,000 inputs made of good messages with flipped, lost and added bytes. Whatever comes, we write whole messages and
// end with a NOTIFICATION or go on.
TEST_F(BgpSession, SurvivesGarbage) {
  std::mt19937 random(4271);
  const auto pick = [&](std::size_t below) { return std::uniform_int_distribution<std::size_t>(0, below - 1)(random); };
  const std::array good{kPeerOpen, kKeepalive, kPeerUpdate, kRefreshIpv4, kRefreshIpv6};
  std::array<std::size_t, 6> seen{};
  std::size_t ended = 0;
  for (int i = 0; i < 100'000; i++) {
    set_routes({"203.0.113.10", "2001:db8:1::10"});
    Bytes input = pick(2) == 0 ? kPeerOpen : Bytes{};
    if (!input.empty() && pick(2) == 0) input = input + kKeepalive;
    for (std::size_t n = pick(4); n > 0; n--) input = input + good[pick(good.size())];
    for (std::size_t n = pick(4); n > 0 && !input.empty(); n--) {
      const auto at = input.begin() + static_cast<std::ptrdiff_t>(pick(input.size()));
      if (pick(4) == 0)
        input.erase(at);
      else
        *at = static_cast<std::uint8_t>(pick(256));
    }
    session_.start(kStart);
    for (ByteSpan rest = input; !rest.empty();) {
      const ByteSpan piece = rest.first(std::size_t{1} + pick(rest.size()));
      session_.receive(piece, kStart);
      rest = rest.subspan(piece.size());
    }
    seen[static_cast<std::size_t>(session_.state())]++;
    if (session_.finished()) ended++;
    const Bytes output = take_output();
    MessageType last{};
    for (ByteSpan rest = output; !rest.empty();) {
      Header header;
      ASSERT_GE(rest.size(), kHeaderBytes);
      ASSERT_EQ(parse_header(rest, header), std::nullopt);
      ASSERT_LE(header.length_bytes, rest.size());
      rest = rest.subspan(header.length_bytes);
      last = header.type;
    }
    const bool told_by_peer = session_.error().starts_with("the peer says");
    ASSERT_EQ(session_.finished() && !told_by_peer, last == MessageType::notification) << "input " << i;
    session_.stop();
  }
  for (const auto state : {SpeakerState::open_sent, SpeakerState::open_confirm, SpeakerState::established})
    EXPECT_GT(seen[static_cast<std::size_t>(state)], 10'000U);
  EXPECT_GT(ended, 10'000U);
}

}  // namespace
}  // namespace guideway::bgp
