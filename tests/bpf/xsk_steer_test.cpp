// The steering program, frame by frame, by BPF_PROG_TEST_RUN, and the map that tells it what to steer. No socket is
// bound here, so what is for a VIP counts as `unbound`; steer_test.sh has sockets.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <gtest/gtest.h>
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <xsk_steer.skel.h>

#include <array>
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "bpf/steer_map.h"
#include "common/net/address_text.h"
#include "guideway/wire.h"
#include "tests/bpf/xdp_runner.h"

namespace guideway::bpf {
namespace {

using Bytes = std::vector<std::uint8_t>;

constexpr std::uint16_t kVlan = static_cast<std::uint16_t>(EtherType::vlan);
constexpr std::uint16_t kQinq = static_cast<std::uint16_t>(EtherType::qinq);

IpPrefix prefix(const char* text) {
  std::string why;
  return parse_prefix(text, why).value();
}

void append(Bytes& bytes, Be16 value) {
  bytes.resize(bytes.size() + sizeof value);
  store(bytes.data() + bytes.size() - sizeof value, value);
}

// A frame to this address, behind these tags.
Bytes frame_to(const IpAddress& destination, const std::vector<std::uint16_t>& tags = {}) {
  Bytes frame(2 * sizeof(MacAddress), 2);
  for (const std::uint16_t tag : tags) {
    append(frame, Be16::from_host(tag));
    append(frame, Be16::from_host(7));
  }
  append(frame, Be16::from_host(static_cast<std::uint16_t>(destination.is_v4() ? EtherType::ipv4 : EtherType::ipv6)));
  const std::size_t ip_at = frame.size();
  if (destination.is_v4()) {
    frame.resize(ip_at + sizeof(Ipv4Header));
    store(frame.data() + ip_at + offsetof(Ipv4Header, destination), destination.v4());
  } else {
    frame.resize(ip_at + sizeof(Ipv6Header));
    store(frame.data() + ip_at + offsetof(Ipv6Header, destination), destination);
  }
  return frame;
}

class XskSteer : public testing::Test {
 protected:
  void SetUp() override {
    enter_own_network_namespace();
    const std::unique_ptr<xsk_steer_bpf, decltype(&xsk_steer_bpf::destroy)> skeleton(xsk_steer_bpf::open_and_load(),
                                                                                     &xsk_steer_bpf::destroy);
    ASSERT_TRUE(skeleton) << "the kernel does not take the steering program";
    ASSERT_EQ(bpf_xdp_attach(static_cast<int>(interface_index("lo")), bpf_program__fd(skeleton->progs.xsk_steer),
                             XDP_FLAGS_SKB_MODE, nullptr),
              0);
    runner_.emplace(AttachedProgram::find("lo").value(), GUIDEWAY_STEER_COUNTERS);
    map_.emplace(SteerMap::open("lo"));
  }

  bool is_steered(const Bytes& frame) {
    const XdpRunner::Outcome outcome = runner_->run(frame);
    EXPECT_EQ(outcome.verdict, XDP_PASS);
    EXPECT_EQ(outcome.frame, frame);
    EXPECT_TRUE(outcome.counter);
    return outcome.counter == GUIDEWAY_STEER_UNBOUND;
  }
  bool is_steered(const char* address) { return is_steered(frame_to(parse_ip(address).value())); }

  std::optional<XdpRunner> runner_;
  std::optional<SteerMap> map_;
};

TEST_F(XskSteer, TakesWhatAPrefixCovers) {
  map_->set(std::array{prefix("203.0.113.10/32"), prefix("198.18.0.0/15"), prefix("2001:db8:f::10/128"),
                       prefix("2001:db8:e::/47")});
  for (const char* address : {"203.0.113.10", "198.18.0.0", "198.19.255.255", "2001:db8:f::10",
                              "2001:db8:e::", "2001:db8:f:ffff:ffff:ffff:ffff:ffff"})
    EXPECT_TRUE(is_steered(address)) << address;
  for (const char* address :
       {"203.0.113.9", "203.0.113.11", "198.17.255.255", "198.20.0.0", "2001:db8:d::", "2001:db8:10::", "::"})
    EXPECT_FALSE(is_steered(address)) << address;
}

TEST_F(XskSteer, TakesNothingBeforeItIsTold) {
  EXPECT_FALSE(is_steered("203.0.113.10"));
  EXPECT_FALSE(is_steered("2001:db8:f::10"));
}

TEST_F(XskSteer, KeepsTheFamiliesApart) {
  const IpAddress v4 = parse_ip("203.0.113.10").value();
  Bytes mapped = frame_to(parse_ip("::").value());
  store(mapped.data() + sizeof(EthernetHeader) + offsetof(Ipv6Header, destination), v4);

  map_->set(std::array{prefix("0.0.0.0/0")});
  EXPECT_TRUE(is_steered(frame_to(v4)));
  EXPECT_FALSE(is_steered("2001:db8::1"));
  EXPECT_FALSE(is_steered(mapped));
  map_->set(std::array{prefix("::/0")});
  EXPECT_FALSE(is_steered(frame_to(v4)));
  EXPECT_TRUE(is_steered("2001:db8::1"));
  EXPECT_TRUE(is_steered(mapped));
}

TEST_F(XskSteer, LooksBehindUpToTwoTags) {
  map_->set(std::array{prefix("203.0.113.10/32"), prefix("2001:db8:f::10/128")});
  const std::vector<std::vector<std::uint16_t>> taken{
      {}, {kVlan}, {kQinq}, {kQinq, kVlan}, {kVlan, kVlan}, {kQinq, kQinq}};
  for (const char* address : {"203.0.113.10", "2001:db8:f::10"}) {
    const IpAddress vip = parse_ip(address).value();
    for (const auto& tags : taken) {
      SCOPED_TRACE(std::string(address) + " behind " + std::to_string(tags.size()) + " tags");
      EXPECT_TRUE(is_steered(frame_to(vip, tags)));
    }
    EXPECT_FALSE(is_steered(frame_to(vip, {kQinq, kVlan, kVlan})));
    EXPECT_FALSE(is_steered(frame_to(vip, {0x9100}))) << "an EtherType that is no tag's";
  }
  EXPECT_FALSE(is_steered(frame_to(parse_ip("203.0.113.11").value(), {kVlan})));
}

TEST_F(XskSteer, LeavesFramesThatEndBeforeTheAddress) {
  map_->set(std::array{prefix("0.0.0.0/0"), prefix("::/0")});
  for (const char* address : {"203.0.113.10", "2001:db8:f::10"})
    for (const std::vector<std::uint16_t>& tags : {std::vector<std::uint16_t>{}, {kVlan}, {kQinq, kVlan}}) {
      const Bytes whole = frame_to(parse_ip(address).value(), tags);
      for (std::size_t bytes = XdpRunner::kFrameBytesMin; bytes < whole.size(); bytes++) {
        SCOPED_TRACE(std::string(address) + ", " + std::to_string(tags.size()) + " tags, " + std::to_string(bytes));
        EXPECT_FALSE(is_steered(Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(bytes))));
      }
    }
}

TEST_F(XskSteer, LeavesWhatIsNotIp) {
  map_->set(std::array{prefix("0.0.0.0/0"), prefix("::/0")});
  for (const std::vector<std::uint16_t>& tags : {std::vector<std::uint16_t>{}, {kVlan}, {kQinq, kVlan}}) {
    Bytes arp = frame_to(parse_ip("203.0.113.10").value(), tags);
    store(arp.data() + 2 * sizeof(MacAddress) + tags.size() * sizeof(VlanTag),
          Be16::from_host(static_cast<std::uint16_t>(EtherType::arp)));
    EXPECT_FALSE(is_steered(arp));
  }
}

TEST_F(XskSteer, StopsTakingWhatIsGone) {
  map_->set(std::array{prefix("203.0.113.0/24"), prefix("203.0.113.10/32"), prefix("203.0.113.10/32")});
  map_->set(std::array{prefix("203.0.113.10/32")});
  EXPECT_TRUE(is_steered("203.0.113.10"));
  EXPECT_FALSE(is_steered("203.0.113.11"));
  map_->set(std::array{prefix("203.0.113.0/24")});
  EXPECT_TRUE(is_steered("203.0.113.10")) << "the shorter prefix still covers it";
  map_->set({});
  EXPECT_FALSE(is_steered("203.0.113.10"));
}

TEST_F(XskSteer, FindsWhatAnEarlierProcessSteered) {
  map_->set(std::array{prefix("203.0.113.10/32"), prefix("2001:db8:f::10/128")});
  SteerMap::open("lo").set(std::array{prefix("203.0.113.11/32")});
  EXPECT_FALSE(is_steered("203.0.113.10"));
  EXPECT_FALSE(is_steered("2001:db8:f::10"));
  EXPECT_TRUE(is_steered("203.0.113.11"));
}

TEST_F(XskSteer, NeverLetsGoOfWhatStaysCovered) {
  const std::array whole{prefix("198.18.0.0/15")};
  const std::array halves{prefix("198.18.0.0/16"), prefix("198.19.0.0/16")};
  map_->set(whole);
  std::atomic<bool> stop = false;
  std::atomic<int> changes = 0;
  std::jthread changer([&] {
    while (!stop) {
      map_->set(halves);
      map_->set(whole);
      changes++;
    }
  });
  int lost = 0;
  for (int i = 0; i < 5000 || changes < 100; i++) lost += !is_steered(i % 2 == 0 ? "198.18.3.4" : "198.19.3.4");
  stop = true;
  EXPECT_EQ(lost, 0);
}

TEST_F(XskSteer, HoldsAsManyPrefixesAsItSays) {
  std::vector<IpPrefix> vips;
  for (std::uint32_t i = 0; i < GUIDEWAY_STEER_VIPS_MAX; i++)
    vips.push_back({.address = IpAddress::from_v4(Be32::from_host(0x0a000000 + i * 2)), .bits = 32});
  map_->set(vips);
  EXPECT_TRUE(is_steered("10.0.0.0"));
  EXPECT_FALSE(is_steered("10.0.0.1"));
  EXPECT_TRUE(is_steered("10.1.255.254"));
  vips.push_back(prefix("203.0.113.10/32"));
  try {
    map_->set(vips);
    FAIL() << "one more than there is room for";
  } catch (const std::runtime_error& refused) {
    EXPECT_STREQ(
        refused.what(),
        "cannot steer one more of 65537 VIP prefixes: No space left on device; the steering program holds 65536");
  }
  EXPECT_TRUE(is_steered("10.1.255.254"));
}

}  // namespace
}  // namespace guideway::bpf
