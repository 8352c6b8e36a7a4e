#include "dataplane/announce/announcer.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/net/address_text.h"
#include "guideway/tables_view.h"
#include "tests/unit/announce/bgp_bytes.h"

namespace guideway {
namespace {

using bgp::ip;
using bgp::operator+;
using std::chrono::milliseconds;

std::vector<IpPrefix> prefixes(std::initializer_list<const char*> texts) {
  std::vector<IpPrefix> result;
  for (const char* text : texts) result.push_back(bgp::prefix(text));
  std::ranges::sort(result);
  return result;
}

// A view of which only the VIPs and the generation matter.
struct Vips {
  explicit Vips(std::uint64_t generation, std::initializer_list<const char*> flagged,
                std::initializer_list<const char*> unflagged = {}) {
    for (const char* text : flagged) add(text, kVipAnnounce);
    for (const char* text : unflagged) add(text, 0);
    view.vips = records;
    view.generation = Generation{generation};
  }
  void add(const char* text, std::uint8_t flags) {
    VipRecord& record = records.emplace_back();
    record.address = bgp::prefix(text).address;
    record.prefix_bits = bgp::prefix(text).bits;
    record.flags = flags;
  }
  std::vector<VipRecord> records;
  TablesView view;
};

TEST(AnnouncePolicy, NothingBeforeTheWorkersFollow) {
  const Vips vips(1, {"203.0.113.10"});
  EXPECT_EQ(prefixes_to_announce({}, &vips.view, false, true), prefixes({}));
  EXPECT_EQ(prefixes_to_announce({}, &vips.view, true, true), prefixes({"203.0.113.10"}));
}

TEST(AnnouncePolicy, WithdrawsAtOnceAndAnnouncesOnlyWhenFollowed) {
  const Vips vips(2, {"203.0.113.11", "203.0.113.12"}, {"203.0.113.10"});
  const auto before = prefixes({"203.0.113.10", "203.0.113.11"});
  EXPECT_EQ(prefixes_to_announce(before, &vips.view, false, true), prefixes({"203.0.113.11"}));
  EXPECT_EQ(prefixes_to_announce(before, &vips.view, true, true), prefixes({"203.0.113.11", "203.0.113.12"}));
}

TEST(AnnouncePolicy, NothingWhenDeadOrWithoutTables) {
  const Vips vips(3, {"203.0.113.10"});
  EXPECT_EQ(prefixes_to_announce(prefixes({"203.0.113.10"}), &vips.view, true, false), prefixes({}));
  EXPECT_EQ(prefixes_to_announce(prefixes({"203.0.113.10"}), nullptr, true, true), prefixes({}));
}

TEST(AnnouncePolicy, OneRoutePerAddressIfAnyOfItsVipsIsFlagged) {
  const Vips vips(4, {"203.0.113.10", "2001:db8:1::10", "203.0.113.10"}, {"203.0.113.10"});
  EXPECT_EQ(prefixes_to_announce({}, &vips.view, true, true), prefixes({"203.0.113.10", "2001:db8:1::10"}));
}

TEST(AnnouncePolicy, APrefixAndAnAddressInItAreTwoRoutes) {
  const Vips vips(5, {"203.0.113.0/24", "203.0.113.0", "203.0.113.0/25", "2001:db8:1::/48"}, {"203.0.113.10"});
  EXPECT_EQ(prefixes_to_announce({}, &vips.view, true, true),
            prefixes({"203.0.113.0/24", "203.0.113.0/25", "203.0.113.0", "2001:db8:1::/48"}));
}

// The records are read again and again from memory that somebody else may scribble on.
TEST(AnnouncePolicy, WhateverARecordSaysAPrefixIsOne) {
  Vips vips(6, {"203.0.113.10", "2001:db8:1::10"});
  for (VipRecord& record : vips.records) record.prefix_bits = 255;
  EXPECT_EQ(prefixes_to_announce({}, &vips.view, true, true), prefixes({"203.0.113.10", "2001:db8:1::10"}));
  for (VipRecord& record : vips.records) record.prefix_bits = 24;
  EXPECT_EQ(prefixes_to_announce({}, &vips.view, true, true), prefixes({"203.0.113.0/24", "2001:d00::/24"}));
}

// A listening socket on loopback that answers like a BGP daemon, as far as a test tells it to.
class Daemon {
 public:
  Daemon() {
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(listen(listener_, 8), 0);
    socklen_t bytes = sizeof address;
    getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &bytes);
    port_ = ntohs(address.sin_port);
  }
  ~Daemon() {
    hang_up();
    close(listener_);
  }
  std::uint16_t port() const { return port_; }
  void accept_one() {
    sockaddr_in from{};
    socklen_t bytes = sizeof from;
    connection_ = accept4(listener_, reinterpret_cast<sockaddr*>(&from), &bytes, SOCK_NONBLOCK | SOCK_CLOEXEC);
    EXPECT_EQ(from.sin_addr.s_addr, htonl(0x7f000002));
  }
  void say(const bgp::Bytes& bytes) {
    EXPECT_EQ(send(connection_, bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
  }
  bgp::Bytes heard() {
    std::array<std::uint8_t, 65536> bytes;
    const ssize_t count = recv(connection_, bytes.data(), bytes.size(), 0);
    return count > 0 ? bgp::Bytes(bytes.begin(), bytes.begin() + count) : bgp::Bytes{};
  }
  // Whether the other end closed, after all it said was heard.
  bool at_end() {
    std::uint8_t byte = 0;
    return recv(connection_, &byte, 1, 0) == 0;
  }
  void hang_up() {
    if (connection_ >= 0) close(connection_);
    connection_ = -1;
  }

 private:
  int listener_ = -1;
  int connection_ = -1;
  std::uint16_t port_ = 0;
};

config::Bgp config_for(std::uint16_t port) {
  config::Bgp config;
  config.enabled = true;
  config.peer = ip("127.0.0.1");
  config.peer_port = port;
  config.source = ip("127.0.0.2");
  config.local_as = 65001;
  config.router_id = ip("10.255.0.9");
  config.next_hop4 = ip("192.0.2.1");
  config.next_hop6 = ip("2001:db8:ffff::1");
  return config;
}

class AnnouncerTest : public testing::Test {
 protected:
  void run_for(milliseconds duration) {
    for (const auto end = now_ + duration; now_ < end; now_ += milliseconds(1)) announcer_.run(now_);
  }
  void establish() {
    run_for(milliseconds(1));
    daemon_.accept_one();
    daemon_.say(bgp::kPeerOpen + bgp::kKeepalive);
    run_for(milliseconds(2));
    ASSERT_EQ(announcer_.state(), SpeakerState::established) << announcer_.error();
  }
  Daemon daemon_;
  Announcer announcer_{config_for(daemon_.port())};
  std::chrono::steady_clock::time_point now_{std::chrono::seconds(1000)};
};

TEST_F(AnnouncerTest, AnnouncesAGenerationOnceItIsSaid) {
  const Vips vips(7, {"203.0.113.10"});
  announcer_.update(&vips.view, true, true);
  EXPECT_EQ(announcer_.announced(), Generation::none);
  establish();
  EXPECT_EQ(announcer_.announced(), Generation{7});
  EXPECT_EQ(announcer_.error(), "");
  EXPECT_EQ(announcer_.events(), POLLIN);

  const Vips more(8, {"203.0.113.10", "203.0.113.11"});
  announcer_.update(&more.view, false, true);
  run_for(milliseconds(1));
  EXPECT_EQ(announcer_.announced(), Generation{7});
  announcer_.update(&more.view, true, true);
  EXPECT_EQ(announcer_.events(), POLLIN | POLLOUT);
  run_for(milliseconds(1));
  EXPECT_EQ(announcer_.announced(), Generation{8});
}

TEST_F(AnnouncerTest, WithdrawsWhenNotAlive) {
  const Vips vips(7, {"203.0.113.10"});
  announcer_.update(&vips.view, true, true);
  establish();
  daemon_.heard();
  announcer_.update(&vips.view, true, false);
  EXPECT_EQ(announcer_.announced(), Generation::none);
  run_for(milliseconds(1));
  EXPECT_EQ(daemon_.heard(), bgp::kMarker + bgp::hex("001c 02 0005 20 cb00710a 0000"));
  EXPECT_EQ(announcer_.announced(), Generation::none);
}

TEST_F(AnnouncerTest, ReconnectsWithBackoffWhenThePeerHangsUp) {
  establish();
  daemon_.heard();
  daemon_.hang_up();
  run_for(milliseconds(2));
  EXPECT_EQ(announcer_.state(), SpeakerState::idle);
  EXPECT_EQ(announcer_.fd(), -1);
  EXPECT_NE(announcer_.error().find("closed by the peer"), std::string_view::npos) << announcer_.error();
  run_for(milliseconds(190));
  EXPECT_EQ(announcer_.state(), SpeakerState::idle);
  run_for(milliseconds(10));
  establish();
  EXPECT_EQ(announcer_.error(), "");
}

TEST_F(AnnouncerTest, SaysWhyThePeerRefused) {
  run_for(milliseconds(1));
  daemon_.accept_one();
  daemon_.say(bgp::kMarker + bgp::hex("0015 03 02 02"));
  daemon_.hang_up();
  run_for(milliseconds(2));
  EXPECT_NE(announcer_.error().find("bad peer AS (2/2)"), std::string_view::npos) << announcer_.error();
}

TEST_F(AnnouncerTest, ShutdownWithdrawsCeasesAndIsFinal) {
  const Vips vips(7, {"203.0.113.10"});
  announcer_.update(&vips.view, true, true);
  establish();
  daemon_.heard();
  announcer_.shutdown();
  EXPECT_EQ(daemon_.heard(),
            bgp::kMarker + bgp::hex("001c 02 0005 20 cb00710a 0000") + bgp::kMarker + bgp::hex("0015 03 06 02"));
  EXPECT_TRUE(daemon_.at_end());
  EXPECT_EQ(announcer_.state(), SpeakerState::off);
  EXPECT_EQ(announcer_.fd(), -1);
  announcer_.update(&vips.view, true, true);
  run_for(milliseconds(5000));
  EXPECT_EQ(announcer_.state(), SpeakerState::off);
}

TEST(Announcer, BacksOffUpToTwoSeconds) {
  Daemon daemon;
  Announcer announcer(config_for(daemon.port()));
  const std::chrono::steady_clock::time_point start{std::chrono::seconds(1000)};
  std::vector<std::int64_t> attempts_ms;
  for (std::int64_t ms = 0; ms < 10'000; ms++) {
    const bool idle = announcer.fd() < 0;
    announcer.run(start + milliseconds(ms));
    if (!idle || announcer.fd() < 0) continue;
    attempts_ms.push_back(ms);
    daemon.accept_one();
    daemon.hang_up();
  }
  const std::vector<std::int64_t> expected{0, 201, 602, 1403, 3004, 5005, 7006, 9007};
  EXPECT_EQ(attempts_ms, expected);
}

TEST(Announcer, SaysThatItsSourceIsNoAddressOfThisHost) {
  config::Bgp config = config_for(1790);
  config.source = ip("192.0.2.77");
  Announcer announcer(config);
  announcer.run(std::chrono::steady_clock::time_point{std::chrono::seconds(1000)});
  EXPECT_EQ(announcer.error(), "cannot use bgp.source 192.0.2.77: Cannot assign requested address");
  EXPECT_EQ(announcer.state(), SpeakerState::idle);
}

TEST(Announcer, SaysThatNobodyListens) {
  std::uint16_t port = 0;
  { port = Daemon().port(); }
  Announcer announcer(config_for(port));
  announcer.run(std::chrono::steady_clock::time_point{std::chrono::seconds(1000)});
  EXPECT_EQ(announcer.error(), "nobody listens on 127.0.0.1:" + std::to_string(port) + ": is the BGP daemon running?");
}

TEST(Announcer, SaysWhichVipsItCannotAnnounce) {
  Daemon daemon;
  config::Bgp config = config_for(daemon.port());
  config.next_hop6.reset();
  Announcer announcer(config);
  const Vips vips(7, {"203.0.113.10", "2001:db8:1::10"});
  announcer.update(&vips.view, true, true);
  const std::chrono::steady_clock::time_point now{std::chrono::seconds(1000)};
  announcer.run(now);
  daemon.accept_one();
  daemon.say(bgp::kPeerOpen + bgp::kKeepalive);
  announcer.run(now);
  EXPECT_EQ(announcer.state(), SpeakerState::established);
  EXPECT_EQ(announcer.error(), "IPv6 VIPs are not announced: set bgp.next_hop6");
}

TEST(Announcer, OffMeansNoSocket) {
  Announcer announcer(config::Bgp{});
  const Vips vips(7, {"203.0.113.10"});
  announcer.update(&vips.view, true, true);
  announcer.run(std::chrono::steady_clock::time_point{std::chrono::seconds(1000)});
  EXPECT_EQ(announcer.state(), SpeakerState::off);
  EXPECT_EQ(announcer.fd(), -1);
  EXPECT_EQ(announcer.announced(), Generation::none);
  announcer.shutdown();
}

}  // namespace
}  // namespace guideway
