// Next hops from a real kernel's routes and neighbours.
#include "controlplane/routes/next_hops.h"

#include <gtest/gtest.h>

#include "common/net/address_text.h"
#include "tests/unit/controlplane/network_lab.h"

namespace guideway::controlplane {
namespace {

const auto* const kLab = testing::AddGlobalTestEnvironment(new NetworkLab);

const MacAddress kPortMac = *parse_mac("02:00:00:00:77:01");
const IpAddress kOnLink = *parse_ip("10.77.0.2");
const IpAddress kOnLink6 = *parse_ip("fd77::2");
const IpAddress kBehind = *parse_ip("10.88.0.9");

config::Port port(std::optional<MacAddress> next_hop_mac = {}, std::vector<IpAddress> source_addresses = {}) {
  config::Port port;
  port.name = "p";
  port.next_hop_mac = next_hop_mac;
  port.source_addresses = std::move(source_addresses);
  return port;
}

class NextHopsTest : public testing::Test {
 protected:
  NextHopsTest()
      : next_hops_(loop_, [this] {
          changes_++;
          was_lost_ = was_lost_ || egress(kOnLink) == nullptr;
        }) {
    next_hops_.set_ports({port()}, ports_);
  }

  const Egress* egress(const IpAddress& backend) const {
    const auto found = next_hops_.egress().find(backend);
    return found == next_hops_.egress().end() ? nullptr : &found->second;
  }
  bool resolves(const IpAddress& backend) {
    return run_until(loop_, [&] { return egress(backend) != nullptr; });
  }
  std::string trouble_of(const char* address) {
    next_hops_.set_destinations({*parse_ip(address)});
    EXPECT_TRUE(next_hops_.egress().empty());
    return next_hops_.trouble(*parse_ip(address));
  }
  void TearDown() override { NetworkLab::here("ip neigh flush dev gwt0; ip -6 neigh flush dev gwt0; true"); }

  std::vector<PortFacts> ports_ = {{"p", "gwt0", kPortMac, 1500}};
  EventLoop loop_;
  int changes_ = 0;
  bool was_lost_ = false;  // if only for the moment until it answered again
  NextHops next_hops_;
};

TEST_F(NextHopsTest, FindsTheNeighbourOnLink) {
  next_hops_.set_destinations({kOnLink, kOnLink6});
  ASSERT_TRUE(resolves(kOnLink)) << next_hops_.trouble(kOnLink);
  ASSERT_TRUE(resolves(kOnLink6)) << next_hops_.trouble(kOnLink6);
  EXPECT_EQ(egress(kOnLink)->source_mac, kPortMac);
  EXPECT_EQ(egress(kOnLink)->source, *parse_ip("10.77.0.1"));
  EXPECT_EQ(egress(kOnLink)->path_mtu_bytes, 1500);
  EXPECT_EQ(egress(kOnLink6)->source, *parse_ip("fd77::1"));
  EXPECT_EQ(egress(kOnLink6)->next_hop_mac, egress(kOnLink)->next_hop_mac);
  EXPECT_GT(changes_, 0);
}

TEST_F(NextHopsTest, GoesByTheGatewayWithTheRoutesMtu) {
  next_hops_.set_destinations({kOnLink, kBehind});
  ASSERT_TRUE(resolves(kBehind));
  EXPECT_EQ(egress(kBehind)->path_mtu_bytes, 1400);
  ASSERT_TRUE(resolves(kOnLink));
  EXPECT_EQ(egress(kBehind)->next_hop_mac, egress(kOnLink)->next_hop_mac);
  EXPECT_EQ(next_hops_.behind_gateway(), std::set<IpAddress>{kBehind});
}

TEST_F(NextHopsTest, SaysWhyThereIsNoWay) {
  EXPECT_EQ(trouble_of("10.77.0.1"), "it is an address of this host");
  EXPECT_EQ(trouble_of("192.0.2.1"), "the kernel has no route to it");
  EXPECT_EQ(trouble_of("10.99.0.2"), "the kernel's route to it leaves by gwt2, which stands for no port");
  EXPECT_EQ(trouble_of("10.77.0.77"), "waiting for 10.77.0.77 on gwt0 to tell its MAC address");
}

TEST_F(NextHopsTest, ANeighbourThatDoesNotAnswerIsUnreachable) {
  const IpAddress nobody = *parse_ip("10.77.0.77");
  next_hops_.set_destinations({nobody});
  EXPECT_TRUE(run_until(
      loop_, [&] { return next_hops_.trouble(nobody) == "10.77.0.77 on gwt0 does not answer for its MAC address"; }));
  EXPECT_EQ(egress(nobody), nullptr);
}

TEST_F(NextHopsTest, ALostNeighbourIsNoticedAndFoundAgain) {
  next_hops_.set_destinations({kOnLink});
  ASSERT_TRUE(resolves(kOnLink));
  was_lost_ = false;
  NetworkLab::here("ip neigh replace 10.77.0.2 dev gwt0 nud failed");
  EXPECT_TRUE(run_until(loop_, [&] { return was_lost_; }));
  EXPECT_TRUE(resolves(kOnLink)) << next_hops_.trouble(kOnLink);
}

TEST_F(NextHopsTest, AForgottenOrStaleNeighbourStaysInUse) {
  next_hops_.set_destinations({kOnLink});
  ASSERT_TRUE(resolves(kOnLink));
  for (const char* command : {"ip neigh del 10.77.0.2 dev gwt0", "ip neigh change 10.77.0.2 dev gwt0 nud stale"}) {
    NetworkLab::here(command);
    EXPECT_FALSE(run_until(
        loop_, [&] { return egress(kOnLink) == nullptr; }, std::chrono::milliseconds(100)));
    ASSERT_TRUE(run_until(loop_, [&] { return next_hops_.trouble(kOnLink).empty(); }));
  }
}

// Neighbours are gone with the carrier, or were asked in vain meanwhile.
TEST_F(NextHopsTest, WithTheLinkAllWaysComeBackAtOnce) {
  const IpAddress other = *parse_ip("10.77.0.3");
  for (const bool asked_in_vain : {false, true}) {
    SCOPED_TRACE(asked_in_vain);
    next_hops_.set_destinations({kOnLink, other});
    ASSERT_TRUE(resolves(kOnLink) && resolves(other));
    const auto before = next_hops_.egress();
    NetworkLab::there("ip link set gwt1 down");
    ASSERT_TRUE(run_until(loop_, [&] { return next_hops_.egress().empty(); }));
    EXPECT_EQ(next_hops_.trouble(other), "interface gwt0 is down");
    EXPECT_EQ(next_hops_.cut_off(other), "interface gwt0 is down");
    if (asked_in_vain) NetworkLab::here("ip neigh replace 10.77.0.3 dev gwt0 nud failed");
    NetworkLab::there("ip link set gwt1 up");
    ASSERT_TRUE(run_until(loop_, [&] { return !next_hops_.egress().empty(); }));
    EXPECT_EQ(next_hops_.egress(), before);
    EXPECT_EQ(next_hops_.cut_off(other), "");
    ASSERT_TRUE(run_until(loop_, [&] { return next_hops_.trouble(other).empty(); }));
    EXPECT_EQ(next_hops_.egress(), before);
  }
}

TEST_F(NextHopsTest, WhoDoesNotAnswerWhenTheLinkIsBackIsUnreachable) {
  next_hops_.set_destinations({kOnLink});
  ASSERT_TRUE(resolves(kOnLink));
  NetworkLab::there("ip link set gwt1 down && ip addr del 10.77.0.2/24 dev gwt1 && ip addr add 10.77.0.3/24 dev gwt1");
  ASSERT_TRUE(run_until(loop_, [&] { return egress(kOnLink) == nullptr; }));
  NetworkLab::there("ip link set gwt1 up");
  ASSERT_TRUE(resolves(kOnLink));
  EXPECT_TRUE(run_until(loop_, [&] { return egress(kOnLink) == nullptr; }));
  EXPECT_EQ(next_hops_.trouble(kOnLink), "10.77.0.2 on gwt0 does not answer for its MAC address");
  NetworkLab::there("ip addr flush dev gwt1 && ip addr add 10.77.0.2/24 dev gwt1 && ip addr add 10.77.0.3/24 dev gwt1");
  NetworkLab::there("ip addr add fd77::2/64 dev gwt1 nodad");
}

TEST_F(NextHopsTest, FollowsRoutesAsTheyChange) {
  next_hops_.set_destinations({kBehind});
  ASSERT_TRUE(resolves(kBehind));
  NetworkLab::here("ip route change 10.88.0.0/16 via 10.77.0.2 mtu 1300");
  EXPECT_TRUE(run_until(loop_, [&] { return egress(kBehind)->path_mtu_bytes == 1300; }));
  NetworkLab::here("ip route change 10.88.0.0/16 via 10.77.0.2 mtu 1400");
}

TEST_F(NextHopsTest, KeepsTheLastWayWhileNoPortIsKnown) {
  next_hops_.set_destinations({kOnLink});
  ASSERT_TRUE(resolves(kOnLink));
  const Egress before = *egress(kOnLink);
  next_hops_.set_ports({port()}, {});
  ASSERT_NE(egress(kOnLink), nullptr);
  EXPECT_EQ(*egress(kOnLink), before);
  EXPECT_NE(next_hops_.trouble(kOnLink), "");
}

TEST_F(NextHopsTest, AFixedNextHopNeedsNoKernel) {
  const MacAddress mac = *parse_mac("02:00:5e:10:00:01");
  next_hops_.set_ports({port(mac, {*parse_ip("192.0.2.1")})}, {{"p", "", kPortMac, 9000}});
  next_hops_.set_destinations({*parse_ip("198.51.100.7"), kOnLink6});
  ASSERT_NE(egress(*parse_ip("198.51.100.7")), nullptr);
  EXPECT_EQ(*egress(*parse_ip("198.51.100.7")), (Egress{0, kPortMac, mac, *parse_ip("192.0.2.1"), 9000, {}, {}}));
  EXPECT_EQ(next_hops_.trouble(kOnLink6), "port p has no source_addresses of its family");
}

class NetlinkTest : public testing::Test {
 protected:
  void TearDown() override { NetworkLab::here("ip neigh flush dev gwt0 nud permanent"); }

  // Twenty times another one, far more news than the smallest buffer takes.
  static void change_neighbour() {
    NetworkLab::here("for i in $(seq 20); do ip neigh replace 10.77.0.50 lladdr 02:00:00:00:00:$i dev gwt0; done");
  }
  static std::vector<std::string> macs(const std::vector<KernelEvent>& events) {
    std::vector<std::string> macs;
    for (const KernelEvent& event : events)
      if (const auto* neighbour = std::get_if<Neighbour>(&event);
          neighbour != nullptr && neighbour->key.address == *parse_ip("10.77.0.50"))
        macs.push_back(to_text(neighbour->mac));
    return macs;
  }

  Netlink netlink_;
};

// The kernel keeps what came before the loss, and adds nothing to it before it was read.
TEST_F(NetlinkTest, LeavesNothingOldBehindWhenNewsWereLost) {
  const int smallest = 1;
  ASSERT_EQ(setsockopt(netlink_.fd(), SOL_SOCKET, SO_RCVBUF, &smallest, sizeof smallest), 0);
  change_neighbour();
  ASSERT_FALSE(netlink_.read_events());
  EXPECT_EQ(macs(netlink_.dump()), std::vector<std::string>{"02:00:00:00:00:20"});
  NetworkLab::here("ip neigh replace 10.77.0.50 lladdr 02:00:00:00:00:99 dev gwt0");
  const auto events = netlink_.read_events();
  ASSERT_TRUE(events);
  EXPECT_EQ(macs(*events), std::vector<std::string>{"02:00:00:00:00:99"});
}

}  // namespace
}  // namespace guideway::controlplane
