// The second chance of packets with a hop list (docs/second_chance.md), packet by packet by BPF_PROG_TEST_RUN: sockets
// in each state are real ones, in the test's own network namespace.
#include <bpf/bpf.h>
#include <gtest/gtest.h>
#include <linux/bpf.h>
#include <unistd.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "bpf/decap_program.h"
#include "bpf/network_namespace.h"
#include "tests/bpf/decap_packets.h"
#include "tests/bpf/decap_runner.h"
#include "tests/bpf/tcp_states.h"

namespace guideway::bpf {
namespace {

using Outcome = XdpRunner::Outcome;

constexpr Generation kGeneration{1000};
constexpr std::uint16_t kUnknownPort = 39999;  // of a client that has no connection

IpAddress other_backend(Family family, int number) {
  return ip(((family == Family::ipv4 ? "10.3.0." : "2001:db8:3::") + std::to_string(number)).c_str());
}

// What docs/second_chance.md says that passing on changes, done once more and with checksums computed anew.
Bytes passed_on(Bytes frame, const Mix& mix, const IpAddress& hop, bool has_udp_checksum) {
  std::swap_ranges(frame.begin(), frame.begin() + 6, frame.begin() + 6);
  std::uint8_t* outer = frame.data() + kEthernetBytes;
  frame[mix.gue_at() + sizeof(GueHeader) + 2]++;
  if (mix.outer == Family::ipv4) {
    outer[offsetof(Ipv4Header, ttl)]--;
    store(outer + offsetof(Ipv4Header, destination), hop.v4());
    set_ipv4_checksum(outer);
  } else {
    outer[offsetof(Ipv6Header, hop_limit)]--;
    store(outer + offsetof(Ipv6Header, destination), hop);
  }
  if (has_udp_checksum) set_udp_checksum(frame, mix);
  return frame;
}

class SecondChance : public testing::Test {
 protected:
  void SetUp() override {
    enter_own_network_namespace();
    make_addresses();
    set_syncookies(1);
    configure(settings());
  }

  static DecapSettings settings() {
    return {.sources = {prefix("10.2.0.0/24"), prefix("2001:db8:2::/64")},
            .locals = {backend(Family::ipv4), backend(Family::ipv6)}};
  }
  // The program is taken off `lo` again, where the connections are: only our frames shall count.
  void configure(const DecapSettings& settings) {
    runner_.emplace(decap_runner(settings));
    runner_->program().detach();
  }
  Outcome run(const Bytes& frame) { return runner_->run(frame); }

  void expect_accepted(guideway_decap_counter counter, const Mix& mix, const Bytes& packet,
                       const std::vector<IpAddress>& hops, Generation generation = kGeneration) {
    const Outcome outcome = run(encapsulated(mix, packet, hops, generation));
    EXPECT_EQ(outcome.verdict, XDP_PASS);
    EXPECT_EQ(outcome.counter, counter);
    EXPECT_EQ(outcome.frame, framed(packet));
  }
  void expect_passed_on(const Mix& mix, const Bytes& frame, const IpAddress& hop, bool has_udp_checksum) {
    const Outcome outcome = run(frame);
    EXPECT_EQ(outcome.verdict, XDP_TX);
    EXPECT_EQ(outcome.counter, GUIDEWAY_DECAP_HOP_REFLECTED);
    EXPECT_EQ(outcome.frame, passed_on(frame, mix, hop, has_udp_checksum));
  }
  void expect_dropped(guideway_decap_counter reason, const Bytes& frame) {
    const Outcome outcome = run(frame);
    EXPECT_EQ(outcome.verdict, XDP_DROP);
    EXPECT_EQ(outcome.counter, reason);
  }
  template <typename Value>
  void put(const char* map, const auto& key, const Value& value) {
    ASSERT_EQ(bpf_map_update_elem(runner_->program().map(map).get(), &key, &value, BPF_ANY), 0);
  }

  std::optional<XdpRunner> runner_;
};

// Each with both families outside and inside.
class EachPair : public SecondChance, public testing::WithParamInterface<Mix> {
 protected:
  Mix mix() const { return GetParam(); }
  Peers near(std::uint16_t port) const { return {mix().inner, port}; }
  Peers far(std::uint16_t port) const { return {mix().inner, port, true}; }
  Bytes unknown() const { return segment(near(kUnknownPort), kTcpAck); }
  IpAddress hop(int number) const { return other_backend(mix().outer, number); }
  std::vector<IpAddress> one_hop() const { return {hop(4)}; }
};
INSTANTIATE_TEST_SUITE_P(, EachPair,
                         testing::Values(Mix{Encap::gue0, Family::ipv4, Family::ipv4},
                                         Mix{Encap::gue0, Family::ipv4, Family::ipv6},
                                         Mix{Encap::gue0, Family::ipv6, Family::ipv4},
                                         Mix{Encap::gue0, Family::ipv6, Family::ipv6}),
                         [](const auto& each) { return each.param.name(); });

TEST_P(EachPair, AcceptsAnEstablishedConnection) {
  const Descriptor listener = listening(mix().inner);
  const Connection connection = established(near(40001), listener);
  expect_accepted(GUIDEWAY_DECAP_ACCEPTED_SOCKET, mix(), segment(near(40001), kTcpAck), one_hop());
  expect_accepted(GUIDEWAY_DECAP_ACCEPTED_SOCKET, mix(), segment(near(40001), kTcpRst), one_hop());
  expect_passed_on(mix(), encapsulated(mix(), segment(near(40002), kTcpAck), one_hop(), kGeneration), hop(4),
                   mix().outer == Family::ipv6);
}

TEST_P(EachPair, AcceptsAConnectionThatIsBeingOpened) {
  const Descriptor listener = listening(mix().inner);
  const std::uint32_t sequence = half_open(far(40003));
  // Whatever it acknowledges: that is the kernel's to judge, who has the half-open connection.
  for (const std::uint32_t acknowledgement : {sequence + 1, sequence + 77})
    expect_accepted(GUIDEWAY_DECAP_ACCEPTED_SOCKET, mix(), segment(far(40003), kTcpAck, 1001, acknowledgement),
                    one_hop());
}

TEST_P(EachPair, AcceptsAConnectionInTimeWait) {
  const Descriptor listener = listening(mix().inner);
  let_wait(established(near(40004), listener), near(40004));
  expect_accepted(GUIDEWAY_DECAP_ACCEPTED_SOCKET, mix(), segment(near(40004), kTcpFin | kTcpAck), one_hop());
}

TEST_P(EachPair, AcceptsOnlyOurOwnSynCookie) {
  set_syncookies(2);
  const Descriptor listener = listening(mix().inner);
  const std::uint32_t cookie = half_open(far(40005));
  expect_accepted(GUIDEWAY_DECAP_ACCEPTED_COOKIE, mix(), segment(far(40005), kTcpAck, 1001, cookie + 1), one_hop());
  // Its lowest bits may be any of four: they stand for the client's MSS.
  for (const std::uint32_t acknowledgement : {cookie - 99, cookie + 101, cookie + 1 + (1U << 24)})
    expect_passed_on(mix(),
                     encapsulated(mix(), segment(far(40005), kTcpAck, 1001, acknowledgement), one_hop(), kGeneration),
                     hop(4), mix().outer == Family::ipv6);
}

TEST_P(EachPair, PassesOnWhatOnlyAListenerWouldTake) {
  const Descriptor listener = listening(mix().inner);
  for (const int flags : {kTcpAck | 0, kTcpAck | kTcpFin, kTcpRst | 0, kTcpSyn | kTcpAck, 0})
    expect_passed_on(
        mix(),
        encapsulated(mix(), segment(near(kUnknownPort), static_cast<std::uint8_t>(flags)), one_hop(), kGeneration),
        hop(4), mix().outer == Family::ipv6);
}

TEST_P(EachPair, AcceptsASyn) {
  expect_accepted(GUIDEWAY_DECAP_ACCEPTED_SYN, mix(), segment(near(kUnknownPort), kTcpSyn), one_hop());
}

TEST_P(EachPair, FindsAConnectionInAnotherNamespaceOnly) {
  const std::string name = "gwt-hops-" + std::to_string(getpid());
  run_command("ip netns add " + name);
  std::optional<Connection> connection;
  in_namespace(name, [&] {
    make_addresses();
    const Descriptor listener = listening(mix().inner);
    connection = established(near(40006), listener);
  });
  const Bytes packet = segment(near(40006), kTcpAck);
  const Bytes frame = encapsulated(mix(), packet, one_hop(), kGeneration);
  expect_passed_on(mix(), frame, hop(4), mix().outer == Family::ipv6);
  DecapSettings both = settings();
  both.netns = {network_namespace_id(name)};
  EXPECT_EQ(network_namespace_name(both.netns[0]), name);
  configure(both);
  expect_accepted(GUIDEWAY_DECAP_ACCEPTED_SOCKET, mix(), packet, one_hop());
  run_command("ip netns del " + name);
}

TEST_P(EachPair, GoesDownTheListHopByHop) {
  Bytes frame = encapsulated(mix(), unknown(), {hop(4), hop(5), hop(6)}, kGeneration);
  for (const int number : {4, 5, 6}) {
    SCOPED_TRACE(number);
    expect_passed_on(mix(), frame, hop(number), mix().outer == Family::ipv6);
    frame[mix().gue_at() + sizeof(GueHeader) + 2]++;
    if (mix().outer == Family::ipv6) set_udp_checksum(frame, mix());
  }
  const Outcome last = run(frame);
  EXPECT_EQ(last.counter, GUIDEWAY_DECAP_ACCEPTED_LAST);
  EXPECT_EQ(last.frame, framed(unknown()));
}

TEST_P(EachPair, KeepsTheUdpChecksumRightOrZero) {
  for (int variation = 0; variation < 300; variation++) {  // carries, and a checksum that would become 0
    Bytes packet = unknown();
    packet.push_back(static_cast<std::uint8_t>(variation));
    packet.push_back(static_cast<std::uint8_t>(variation >> 8));
    Bytes frame = encapsulated(mix(), packet, {hop(4)}, kGeneration);
    set_udp_checksum(frame, mix());
    expect_passed_on(mix(), frame, hop(4), true);
    store(frame.data() + mix().payload_at() + offsetof(UdpHeader, checksum), Be16{});
    expect_passed_on(mix(), frame, hop(4), false);
  }
}

TEST_P(EachPair, AcceptsAtTheEndOfTheList) {
  expect_accepted(GUIDEWAY_DECAP_ACCEPTED_LAST, mix(), unknown(), {});
  expect_accepted(GUIDEWAY_DECAP_ACCEPTED_LAST, mix(), unknown(), {}, Generation::none);
}

TEST_P(EachPair, TakesItselfForTheEndOfTheList) {
  expect_accepted(GUIDEWAY_DECAP_ACCEPTED_LAST, mix(), unknown(), {backend(mix().outer)});
  expect_accepted(GUIDEWAY_DECAP_ACCEPTED_LAST, mix(), unknown(), {backend(mix().outer), hop(4)});
}

TEST_P(EachPair, ReadsWhatGlbWrites) {
  const Bytes frame = encapsulated(mix(), unknown(), one_hop(), Generation::none);
  expect_passed_on(mix(), frame, hop(4), mix().outer == Family::ipv6);
}

TEST_P(EachPair, DecapsulatesHereWhenSwitchedOff) {
  DecapSettings off = settings();
  off.second_chance = false;
  configure(off);
  expect_accepted(GUIDEWAY_DECAP_ACCEPTED_OTHER, mix(), unknown(), one_hop());
}

TEST_P(EachPair, DropsStrangersWithHopLists) {
  configure({.sources = {prefix("10.9.0.0/16")}, .locals = settings().locals});
  expect_dropped(GUIDEWAY_DECAP_STRANGER, encapsulated(mix(), unknown(), one_hop(), kGeneration));
}

TEST_P(EachPair, NeitherPassesOnNorAcceptsATruncatedFrame) {
  const Bytes whole = encapsulated(mix(), unknown(), {hop(4), hop(5)}, kGeneration);
  for (std::size_t bytes = kEthernetBytes; bytes < whole.size(); bytes++) {
    SCOPED_TRACE(bytes);
    const Outcome outcome = run(Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(bytes)));
    ASSERT_TRUE(outcome.counter);
    EXPECT_TRUE(*outcome.counter == GUIDEWAY_DECAP_PASSED || *outcome.counter == GUIDEWAY_DECAP_MALFORMED);
  }
}

TEST_P(EachPair, LeavesCongestionToTheOneWhoAccepts) {
  const auto congested = [&](const Bytes& packet, const std::vector<IpAddress>& hops) {
    Bytes frame = encapsulated(mix(), packet, hops, kGeneration);
    std::uint8_t& traffic_class = frame[kEthernetBytes + 1];
    traffic_class = static_cast<std::uint8_t>(traffic_class | (mix().outer == Family::ipv4 ? 0x03 : 0x30));
    if (mix().outer == Family::ipv4) set_ipv4_checksum(frame.data() + kEthernetBytes);
    return frame;
  };
  expect_passed_on(mix(), congested(unknown(), one_hop()), hop(4), mix().outer == Family::ipv6);
  expect_dropped(GUIDEWAY_DECAP_CONGESTION, congested(unknown(), {}));
}

// Generations.

TEST_P(EachPair, DropsAtTheEndOfTheListWhatItsLoadBalancerHasLeftBehind) {
  run(encapsulated(mix(), unknown(), {}, kGeneration));
  expect_dropped(GUIDEWAY_DECAP_HOP_STALE, encapsulated(mix(), unknown(), {}, Generation{999}));
  expect_dropped(GUIDEWAY_DECAP_HOP_STALE, encapsulated(mix(), unknown(), {backend(mix().outer)}, Generation{1}));
  expect_accepted(GUIDEWAY_DECAP_ACCEPTED_LAST, mix(), unknown(), {}, kGeneration);
  expect_accepted(GUIDEWAY_DECAP_ACCEPTED_LAST, mix(), unknown(), {}, Generation{1001});
  expect_dropped(GUIDEWAY_DECAP_HOP_STALE, encapsulated(mix(), unknown(), {}, kGeneration));
  expect_accepted(GUIDEWAY_DECAP_ACCEPTED_LAST, mix(), unknown(), {}, Generation::none);
}

TEST_P(EachPair, PassesOnAndAcceptsWhatIsOld) {
  run(encapsulated(mix(), unknown(), {}, kGeneration));
  expect_passed_on(mix(), encapsulated(mix(), unknown(), one_hop(), Generation{1}), hop(4),
                   mix().outer == Family::ipv6);
  expect_accepted(GUIDEWAY_DECAP_ACCEPTED_SYN, mix(), segment(near(kUnknownPort), kTcpSyn), {}, Generation{1});
  const Descriptor listener = listening(mix().inner);
  const Connection connection = established(near(40007), listener);
  expect_accepted(GUIDEWAY_DECAP_ACCEPTED_SOCKET, mix(), segment(near(40007), kTcpAck), {}, Generation{1});
}

TEST_P(EachPair, ComparesGenerationsOfOneSourceOnly) {
  run(encapsulated(mix(), unknown(), {}, kGeneration));
  Bytes frame = encapsulated(mix(), unknown(), {}, Generation{1});
  std::uint8_t* outer = frame.data() + kEthernetBytes;
  if (mix().outer == Family::ipv4) {
    store(outer + offsetof(Ipv4Header, source), ip("10.2.0.77").v4());
    set_ipv4_checksum(outer);
  } else {
    store(outer + offsetof(Ipv6Header, source), ip("2001:db8:2::77"));
    set_udp_checksum(frame, mix());
  }
  EXPECT_EQ(run(frame).counter, GUIDEWAY_DECAP_ACCEPTED_LAST);
}

TEST_P(EachPair, ComparesGenerationsAsSerialNumbers) {
  run(encapsulated(mix(), unknown(), {}, Generation{0xffffffff}));
  expect_accepted(GUIDEWAY_DECAP_ACCEPTED_LAST, mix(), unknown(), {}, Generation{0x1'0000'0001});
  expect_dropped(GUIDEWAY_DECAP_HOP_STALE, encapsulated(mix(), unknown(), {}, Generation{0xffffffff}));
}

TEST_P(EachPair, ForgetsAGenerationThatNobodyConfirms) {
  run(encapsulated(mix(), unknown(), {}, kGeneration));
  guideway_address source{.family = static_cast<std::uint32_t>(mix().outer), .bytes = {}};
  std::ranges::copy(load_balancer(mix().outer).bytes, source.bytes);
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  const auto confirmed = [&](long seconds_ago) {
    return number(kGeneration) << 32 | static_cast<std::uint32_t>(now.tv_sec - seconds_ago);
  };
  for (const long seconds_ago : {-1, 10}) {  // -1: by another CPU, which is in the next second already
    put("generations", source, confirmed(seconds_ago));
    expect_dropped(GUIDEWAY_DECAP_HOP_STALE, encapsulated(mix(), unknown(), {}, Generation{1}));
  }
  put("generations", source, confirmed(31));
  expect_accepted(GUIDEWAY_DECAP_ACCEPTED_LAST, mix(), unknown(), {}, Generation{1});
  expect_accepted(GUIDEWAY_DECAP_ACCEPTED_LAST, mix(), unknown(), {}, Generation{1});
}

// How packets are passed on.

TEST_P(EachPair, PassesOnNoMoreThanTheRate) {
  DecapSettings slow = settings();
  slow.hop_rate = 5;
  configure(slow);
  const Bytes frame = encapsulated(mix(), unknown(), one_hop(), kGeneration);
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  const auto seconds = [&](std::uint64_t s) { return (static_cast<std::uint64_t>(now.tv_sec) + s) * 1'000'000'000; };
  EXPECT_EQ(run(frame).counter, GUIDEWAY_DECAP_HOP_REFLECTED);
  put("hop_turns", std::uint32_t{0}, seconds(100));
  expect_dropped(GUIDEWAY_DECAP_HOP_LIMITED, frame);
  expect_accepted(GUIDEWAY_DECAP_ACCEPTED_LAST, mix(), unknown(), {});
  put("hop_turns", std::uint32_t{0}, std::uint64_t{1});  // long ago: a burst of five, and no more
  int passed = 0;
  while (run(frame).counter == GUIDEWAY_DECAP_HOP_REFLECTED) passed++;
  EXPECT_GE(passed, 5);
  EXPECT_LE(passed, 20) << "a machine would have to be very slow for that";
}

TEST_P(EachPair, AsksTheKernelsRoutes) {
  const std::string hop_text = mix().outer == Family::ipv4 ? "10.3.0.9" : "2001:db8:3::9";
  const std::string version = mix().outer == Family::ipv4 ? "-4" : "-6";
  run_command(
      "ip link add hops0 address 02:00:00:00:00:aa type veth peer name hops1 && ip link set hops1 up && ip link "
      "set hops0 up && ip " +
      version + " route add " + hop_text + " dev hops0 && ip neighbour replace " + hop_text +
      " dev hops0 lladdr 02:00:00:00:00:bb nud permanent && echo 1 > /proc/sys/net/ipv" + version.substr(1) +
      "/conf/lo/forwarding");
  const IpAddress hop = ip(hop_text.c_str());
  const Bytes frame = encapsulated(mix(), unknown(), {hop}, kGeneration);
  Bytes expected = passed_on(frame, mix(), hop, mix().outer == Family::ipv6);
  store(expected.data(), EthernetHeader{.destination = {{2, 0, 0, 0, 0, 0xbb}},
                                        .source = {{2, 0, 0, 0, 0, 0xaa}},
                                        .ether_type = load<Be16>(frame.data() + 12)});
  const Outcome outcome = run(frame);
  EXPECT_EQ(outcome.verdict, XDP_REDIRECT);
  EXPECT_EQ(outcome.counter, GUIDEWAY_DECAP_HOP_ROUTED);
  EXPECT_EQ(outcome.frame, expected);
  run_command("ip link del hops0 && echo 0 > /proc/sys/net/ipv" + version.substr(1) + "/conf/lo/forwarding");
}

TEST_P(EachPair, EndsWithTheTtl) {
  for (const std::uint8_t ttl : std::vector<std::uint8_t>{0, 1, 2}) {
    SCOPED_TRACE(static_cast<int>(ttl));
    Bytes frame = encapsulated(mix(), unknown(), one_hop(), kGeneration);
    if (mix().outer == Family::ipv4) {
      frame[kEthernetBytes + offsetof(Ipv4Header, ttl)] = ttl;
      set_ipv4_checksum(frame.data() + kEthernetBytes);
    } else {
      frame[kEthernetBytes + offsetof(Ipv6Header, hop_limit)] = ttl;
    }
    if (ttl > 1)
      expect_passed_on(mix(), frame, hop(4), mix().outer == Family::ipv6);
    else
      expect_dropped(GUIDEWAY_DECAP_HOP_EXPIRED, frame);
  }
}

TEST_P(EachPair, PassesNothingOnThatCameToAGroup) {
  Bytes frame = encapsulated(mix(), unknown(), one_hop(), kGeneration);
  frame[0] |= 1;
  expect_dropped(GUIDEWAY_DECAP_MALFORMED, frame);
}

TEST_P(EachPair, PassesNothingOnToWhatIsNoBackend) {
  const auto hops = mix().outer == Family::ipv4
                        ? std::vector<const char*>{"0.0.0.0", "0.1.2.3", "127.0.0.1", "224.0.0.1", "255.255.255.255"}
                        : std::vector<const char*>{"::", "::1", "::10.3.0.4", "fe80::1", "febf::1", "ff02::1"};
  for (const char* hop : hops) {
    SCOPED_TRACE(hop);
    expect_dropped(GUIDEWAY_DECAP_MALFORMED, encapsulated(mix(), unknown(), {ip(hop)}, kGeneration));
  }
}

// Each is a change to a list of two hops with a generation: a byte of the GUE header or behind it.
TEST_P(EachPair, DropsAListThatContradictsItself) {
  const bool is_ipv4 = mix().outer == Family::ipv4;
  const auto words = static_cast<std::uint8_t>(is_ipv4 ? 4 : 10);
  const struct {
    const char* what;
    std::size_t at;
    std::uint8_t value;
    guideway_decap_counter end;
  } changes[] = {
      {"index beyond count", 6, 3, GUIDEWAY_DECAP_MALFORMED},
      {"index far beyond count", 6, 255, GUIDEWAY_DECAP_MALFORMED},
      {"count beyond hlen", 7, 4, GUIDEWAY_DECAP_MALFORMED},
      {"count far beyond hlen", 7, 255, GUIDEWAY_DECAP_MALFORMED},
      {"count too small", 7, 0, GUIDEWAY_DECAP_MALFORMED},
      {"hlen two words too long", 0, static_cast<std::uint8_t>(words + 2), GUIDEWAY_DECAP_MALFORMED},
      {"hlen beyond the packet", 0, 31, GUIDEWAY_DECAP_MALFORMED},
      {"hlen without a hop", 0, 2, GUIDEWAY_DECAP_MALFORMED},
      {"other family", 5, static_cast<std::uint8_t>(is_ipv4 ? 1 : 0), GUIDEWAY_DECAP_UNSUPPORTED},
      {"unknown type", 5, 2, GUIDEWAY_DECAP_UNSUPPORTED},
      {"unknown type, upper byte", 4, 1, GUIDEWAY_DECAP_UNSUPPORTED},
      {"flags", 2, 1, GUIDEWAY_DECAP_UNSUPPORTED},
      {"control", 0, static_cast<std::uint8_t>(0x20 | words), GUIDEWAY_DECAP_UNSUPPORTED},
      {"inner protocol", 1, 6, GUIDEWAY_DECAP_UNSUPPORTED},
  };
  for (const auto& change : changes) {
    SCOPED_TRACE(change.what);
    Bytes frame = encapsulated(mix(), unknown(), {hop(4), hop(5)}, kGeneration);
    ASSERT_EQ(frame[mix().gue_at()], words);
    frame[mix().gue_at() + change.at] = change.value;
    store(frame.data() + mix().payload_at() + offsetof(UdpHeader, checksum), Be16{});
    expect_dropped(change.end, frame);
  }
}

TEST_P(EachPair, ReadsTheLongestListThatFits) {
  const std::size_t count = mix().outer == Family::ipv4 ? 29 : 7;
  std::vector<IpAddress> hops;
  for (std::size_t i = 0; i < count; i++) hops.push_back(hop(static_cast<int>(10 + i)));
  Bytes frame = encapsulated(mix(), unknown(), hops, kGeneration);
  frame[mix().gue_at() + sizeof(GueHeader) + 2] = static_cast<std::uint8_t>(count - 1);
  if (mix().outer == Family::ipv6) set_udp_checksum(frame, mix());
  expect_passed_on(mix(), frame, hops.back(), mix().outer == Family::ipv6);
  frame[mix().gue_at() + sizeof(GueHeader) + 2] = static_cast<std::uint8_t>(count);
  if (mix().outer == Family::ipv6) set_udp_checksum(frame, mix());
  EXPECT_EQ(run(frame).counter, GUIDEWAY_DECAP_ACCEPTED_LAST);
}

// What is of no connection.

TEST_P(EachPair, AcceptsWhatIsNotTcp) {
  Bytes packet = unknown();
  packet[mix().inner == Family::ipv4 ? 9 : 6] = static_cast<std::uint8_t>(IpProto::udp);
  if (mix().inner == Family::ipv4) set_ipv4_checksum(packet.data());
  expect_accepted(GUIDEWAY_DECAP_ACCEPTED_OTHER, mix(), packet, one_hop());
}

TEST_P(EachPair, AcceptsATcpHeaderThatIsCut) {
  Bytes packet = unknown();
  packet.pop_back();
  const auto l4_bytes = sizeof(TcpHeader) - 1;
  if (mix().inner == Family::ipv4) {
    packet[3] = static_cast<std::uint8_t>(sizeof(Ipv4Header) + l4_bytes);
    set_ipv4_checksum(packet.data());
  } else {
    packet[5] = static_cast<std::uint8_t>(l4_bytes);
  }
  expect_accepted(GUIDEWAY_DECAP_ACCEPTED_OTHER, mix(), packet, one_hop());
}

TEST_P(EachPair, AcceptsFragments) {
  Bytes packet = unknown();
  if (mix().inner == Family::ipv4) {
    packet[6] = 0x20;  // more fragments
    set_ipv4_checksum(packet.data());
  } else {
    packet[6] = static_cast<std::uint8_t>(IpProto::fragment);
  }
  expect_accepted(GUIDEWAY_DECAP_ACCEPTED_OTHER, mix(), packet, one_hop());
}

// An ICMP error about a segment from the VIP to the client.
Bytes error_about(const Peers& peers, std::uint8_t type) {
  const bool is_ipv4 = peers.family == Family::ipv4;
  Bytes quote = segment(peers, kTcpAck);
  const std::size_t addresses_at = is_ipv4 ? 12 : 8, address_bytes = is_ipv4 ? 4 : 16, tcp_at = quote.size() - 20;
  const auto at = [&](std::size_t offset) { return quote.begin() + static_cast<std::ptrdiff_t>(offset); };
  std::swap_ranges(at(addresses_at), at(addresses_at + address_bytes), at(addresses_at + address_bytes));
  std::swap_ranges(at(tcp_at), at(tcp_at + 2), at(tcp_at + 2));
  quote.resize(tcp_at + 8);
  Bytes packet = client_packet(peers.family, sizeof(IcmpHeader) + quote.size());
  const std::size_t icmp_at = packet.size() - sizeof(IcmpHeader) - quote.size();
  packet[is_ipv4 ? 9 : 6] = static_cast<std::uint8_t>(is_ipv4 ? IpProto::icmp : IpProto::icmpv6);
  if (is_ipv4) set_ipv4_checksum(packet.data());
  store(packet.data() + icmp_at, IcmpHeader{.type = type, .code = 0, .checksum = {}, .rest = {}});
  std::ranges::copy(quote, packet.begin() + static_cast<std::ptrdiff_t>(icmp_at + sizeof(IcmpHeader)));
  return packet;
}

TEST_P(EachPair, TakesIcmpErrorsToTheConnectionThatTheyQuote) {
  const Descriptor listener = listening(mix().inner);
  const Connection connection = established(near(40008), listener);
  const bool is_ipv4 = mix().inner == Family::ipv4;
  for (const std::uint8_t type :
       is_ipv4 ? std::vector<std::uint8_t>{3, 11, 12} : std::vector<std::uint8_t>{1, 2, 3, 4}) {
    SCOPED_TRACE(static_cast<int>(type));
    expect_accepted(GUIDEWAY_DECAP_ACCEPTED_SOCKET, mix(), error_about(near(40008), type), one_hop());
    expect_passed_on(mix(), encapsulated(mix(), error_about(near(kUnknownPort), type), one_hop(), kGeneration), hop(4),
                     mix().outer == Family::ipv6);
    expect_accepted(GUIDEWAY_DECAP_ACCEPTED_LAST, mix(), error_about(near(kUnknownPort), type), {}, Generation{1});
  }
  expect_accepted(GUIDEWAY_DECAP_ACCEPTED_OTHER, mix(), error_about(near(kUnknownPort), is_ipv4 ? 8 : 128), one_hop());
}

}  // namespace
}  // namespace guideway::bpf
