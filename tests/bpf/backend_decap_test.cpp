// The decapsulation program, packet by packet, by BPF_PROG_TEST_RUN: what a load balancer packs must come out byte for
// byte; everything else must be dropped or left alone, and counted for what it is.
#include <backend_decap.skel.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <gtest/gtest.h>
#include <linux/bpf.h>
#include <linux/if_link.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bpf/decap_program.h"
#include "tests/bpf/decap_packets.h"
#include "tests/bpf/decap_runner.h"

namespace guideway::bpf {
namespace {

using Outcome = XdpRunner::Outcome;

class BackendDecap : public testing::Test {
 protected:
  void SetUp() override { configure(settings()); }

  static DecapSettings settings() {
    return {.sources = {prefix("10.2.0.0/24"), prefix("2001:db8:2::/64")},
            .locals = {backend(Family::ipv4), backend(Family::ipv6)}};
  }
  void configure(const DecapSettings& settings) { runner_.emplace(decap_runner(settings)); }
  Outcome run(const Bytes& frame) { return runner_->run(frame); }

  void expect_decapsulated(const Mix& mix, const Bytes& frame, const Bytes& inner) {
    const Outcome outcome = run(frame);
    EXPECT_EQ(outcome.verdict, XDP_PASS);
    EXPECT_EQ(outcome.counter, mix.counter());
    EXPECT_EQ(outcome.frame, framed(inner));
  }
  void expect_dropped(guideway_decap_counter reason, const Bytes& frame) {
    const Outcome outcome = run(frame);
    EXPECT_EQ(outcome.verdict, XDP_DROP);
    EXPECT_EQ(outcome.counter, reason);
  }
  void expect_left_alone(const Bytes& frame) {
    const Outcome outcome = run(frame);
    EXPECT_EQ(outcome.verdict, XDP_PASS);
    EXPECT_EQ(outcome.counter, GUIDEWAY_DECAP_PASSED);
    EXPECT_EQ(outcome.frame, frame);
  }

  std::optional<XdpRunner> runner_;
};

void clear_udp_checksum(Bytes& frame, const Mix& mix) {
  store(frame.data() + mix.payload_at() + offsetof(UdpHeader, checksum), Be16{});
}

// Each with all sixteen mixes.
class EachMix : public BackendDecap, public testing::WithParamInterface<Mix> {};
INSTANTIATE_TEST_SUITE_P(, EachMix, testing::ValuesIn(all_mixes()), [](const auto& each) { return each.param.name(); });

TEST_P(EachMix, RestoresWhatWasEncapsulated) {
  for (const std::size_t payload_bytes : {0U, 1U, 2U, 3U, 15U, 16U, 17U, 31U, 64U, 1000U, 1401U}) {
    SCOPED_TRACE(payload_bytes);
    const Bytes inner = client_packet(GetParam().inner, payload_bytes);
    expect_decapsulated(GetParam(), encapsulated(GetParam(), inner), inner);
  }
}

TEST_P(EachMix, KeepsEthernetPaddingBehindTheInnerPacket) {
  const Bytes inner = client_packet(GetParam().inner, 1);
  Bytes frame = encapsulated(GetParam(), inner);
  frame.resize(frame.size() + 9);
  const Outcome outcome = run(frame);
  EXPECT_EQ(outcome.counter, GetParam().counter());
  Bytes padded = framed(inner);
  padded.resize(padded.size() + 9);
  EXPECT_EQ(outcome.frame, padded);
}

TEST_P(EachMix, NeverDecapsulatesATruncatedFrame) {
  const Bytes whole = encapsulated(GetParam(), client_packet(GetParam().inner));
  for (std::size_t bytes = kEthernetBytes; bytes < whole.size(); bytes++) {
    SCOPED_TRACE(bytes);
    const Bytes frame(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(bytes));
    const Outcome outcome = run(frame);
    ASSERT_TRUE(outcome.counter);
    if (*outcome.counter == GUIDEWAY_DECAP_PASSED)
      EXPECT_EQ(outcome.frame, frame);
    else
      EXPECT_EQ(*outcome.counter, GUIDEWAY_DECAP_MALFORMED);
  }
}

TEST_P(EachMix, DropsWhatAStrangerEncapsulated) {
  configure({.sources = {prefix("10.9.0.0/16"), prefix("2001:db8:9::/64")}, .locals = settings().locals});
  expect_dropped(GUIDEWAY_DECAP_STRANGER, encapsulated(GetParam(), client_packet(GetParam().inner)));
}

TEST_P(EachMix, LeavesWhatIsForAnotherHost) {
  configure({.sources = settings().sources, .locals = {ip("10.3.0.4"), ip("2001:db8:3::4")}});
  expect_left_alone(encapsulated(GetParam(), client_packet(GetParam().inner)));
}

TEST_P(EachMix, LeavesWhatIsSwitchedOff) {
  DecapSettings off = settings();
  if (GetParam().encap == Encap::ipip)
    off.ipip = false;
  else if (GetParam().encap == Encap::gre)
    off.gre = false;
  else
    off.gue_port = 0;
  configure(off);
  expect_left_alone(encapsulated(GetParam(), client_packet(GetParam().inner)));
}

TEST_P(EachMix, LeavesFramesWithAVlanTag) {
  Bytes frame = encapsulated(GetParam(), client_packet(GetParam().inner));
  const Bytes tag{0x81, 0x00, 0x00, 0x64};
  frame.insert(frame.begin() + 12, tag.begin(), tag.end());
  expect_left_alone(frame);
}

TEST_P(EachMix, TakesOffOneLayerOnly) {
  const Mix inside{Encap::ipip, Family::ipv4, Family::ipv4};
  const Bytes nested_frame = encapsulated(inside, client_packet(Family::ipv4));
  const Bytes nested(nested_frame.begin() + kEthernetBytes, nested_frame.end());
  Mix mix = GetParam();
  mix.inner = Family::ipv4;
  expect_decapsulated(mix, encapsulated(mix, nested), nested);
}

TEST_P(EachMix, DropsAnInnerVersionThatIsNotAnnounced) {
  Bytes frame = encapsulated(GetParam(), client_packet(GetParam().inner));
  std::uint8_t& version = frame[GetParam().inner_at()];
  version = static_cast<std::uint8_t>(version ^ 0x20);  // 4 ↔ 6
  if (GetParam().has_udp()) clear_udp_checksum(frame, GetParam());
  // With GUE variant 1 the version is the announcement: what follows is too short for IPv6, or no IPv4 header.
  expect_dropped(GUIDEWAY_DECAP_MALFORMED, frame);
}

TEST_P(EachMix, DropsAnInnerLengthBeyondTheOuter) {
  Bytes frame = encapsulated(GetParam(), client_packet(GetParam().inner));
  std::uint8_t* inner = frame.data() + GetParam().inner_at();
  const std::size_t low_byte_at = GetParam().inner == Family::ipv4 ? 3 : 5;
  inner[low_byte_at]++;
  if (GetParam().has_udp()) clear_udp_checksum(frame, GetParam());
  expect_dropped(GUIDEWAY_DECAP_MALFORMED, frame);
}

TEST_P(EachMix, CombinesEcn) {
  // RFC 6040, section 4.2, figure 4: rows are the inner field, columns the outer one; -1: drop. Not-ECT, ECT(1),
  // ECT(0), CE.
  constexpr int kExpected[4][4] = {{0, 0, 0, -1}, {1, 1, 1, 3}, {2, 1, 2, 3}, {3, 3, 3, 3}};
  const Mix& mix = GetParam();
  for (std::uint8_t inner_ecn = 0; inner_ecn < 4; inner_ecn++)
    for (std::uint8_t outer_ecn = 0; outer_ecn < 4; outer_ecn++) {
      SCOPED_TRACE("inner " + std::to_string(inner_ecn) + ", outer " + std::to_string(outer_ecn));
      const auto with_ecn = [](Bytes bytes, std::size_t at, Family family, std::uint8_t ecn) {
        std::uint8_t& field = bytes[at + 1];
        if (family == Family::ipv4) {
          field = static_cast<std::uint8_t>((field & ~0x03) | ecn);
          set_ipv4_checksum(bytes.data() + at);
        } else {
          field = static_cast<std::uint8_t>((field & ~0x30) | ecn << 4);
        }
        return bytes;
      };
      const Bytes plain = client_packet(mix.inner);
      const Bytes inner = with_ecn(plain, 0, mix.inner, inner_ecn);
      const Bytes frame = with_ecn(encapsulated(mix, inner), kEthernetBytes, mix.outer, outer_ecn);
      const int expected = kExpected[inner_ecn][outer_ecn];
      if (expected < 0)
        expect_dropped(GUIDEWAY_DECAP_CONGESTION, frame);
      else
        expect_decapsulated(mix, frame, with_ecn(plain, 0, mix.inner, static_cast<std::uint8_t>(expected)));
    }
}

// One change to a good packet each, and what becomes of it.
struct Change {
  const char* name;
  Mix mix;
  std::function<void(Bytes& frame, const Mix& mix)> apply;
  guideway_decap_counter end;
  friend void PrintTo(const Change& change, std::ostream* out) { *out << change.name; }
};

constexpr Mix kIpip4{Encap::ipip, Family::ipv4, Family::ipv4};
constexpr Mix kIpip6{Encap::ipip, Family::ipv6, Family::ipv6};
constexpr Mix kGue4{Encap::gue0, Family::ipv4, Family::ipv4};
constexpr Mix kGue6{Encap::gue0, Family::ipv6, Family::ipv6};
constexpr Mix kGre4{Encap::gre, Family::ipv4, Family::ipv4};
constexpr Mix kGre6{Encap::gre, Family::ipv6, Family::ipv6};

// Sets one byte of the outer IPv4 header and its checksum.
std::function<void(Bytes&, const Mix&)> ipv4_byte(std::size_t at, std::uint8_t value) {
  return [=](Bytes& frame, const Mix&) {
    frame[kEthernetBytes + at] = value;
    set_ipv4_checksum(frame.data() + kEthernetBytes);
  };
}
std::function<void(Bytes&, const Mix&)> byte(std::size_t at, std::uint8_t value) {
  return [=](Bytes& frame, const Mix&) { frame[at] = value; };
}
// A byte of the GUE header, with no UDP checksum.
std::function<void(Bytes&, const Mix&)> gue_byte(std::size_t at, std::uint8_t value) {
  return [=](Bytes& frame, const Mix& mix) {
    clear_udp_checksum(frame, mix);
    frame[mix.gue_at() + at] = value;
  };
}
// Bytes of the GRE header.
std::function<void(Bytes&, const Mix&)> gre_flags(std::uint16_t flags_version) {
  return [=](Bytes& frame, const Mix& mix) { store(frame.data() + mix.payload_at(), Be16::from_host(flags_version)); };
}
std::function<void(Bytes&, const Mix&)> gre_protocol(std::uint16_t protocol) {
  return [=](Bytes& frame, const Mix& mix) {
    store(frame.data() + mix.payload_at() + offsetof(GreHeader, protocol), Be16::from_host(protocol));
  };
}
void gre_header_beyond_packet(Bytes& frame, const Mix& mix) {  // and so its flags are not part of it
  gre_flags(0x2000)(frame, mix);
  ipv4_byte(3, 23)(frame, mix);
}
void put_ipv4_options(Bytes& frame, const Mix&) {
  const Bytes options(40, 1);  // no operation
  frame.insert(frame.begin() + kEthernetBytes + sizeof(Ipv4Header), options.begin(), options.end());
  std::uint8_t* header = frame.data() + kEthernetBytes;
  header[0] = 0x4f;
  const auto length = load<Be16>(header + offsetof(Ipv4Header, total_length));
  store(header + offsetof(Ipv4Header, total_length), Be16::from_host(static_cast<std::uint16_t>(length.host() + 40)));
  set_ipv4_checksum(header);
}
void put_ipv6_fragment(Bytes& frame, const Mix&, std::uint16_t offset_more) {
  std::uint8_t* header = frame.data() + kEthernetBytes;
  const Be16 offset = Be16::from_host(offset_more);
  Bytes extension{header[offsetof(Ipv6Header, next_header)], 0, 0, 0, 0, 0, 0, 1};
  store(extension.data() + 2, offset);
  header[offsetof(Ipv6Header, next_header)] = static_cast<std::uint8_t>(IpProto::fragment);
  const auto length = load<Be16>(header + offsetof(Ipv6Header, payload_length));
  store(header + offsetof(Ipv6Header, payload_length), Be16::from_host(static_cast<std::uint16_t>(length.host() + 8)));
  frame.insert(frame.begin() + kEthernetBytes + sizeof(Ipv6Header), extension.begin(), extension.end());
}
std::function<void(Bytes&, const Mix&)> ipv6_fragment(std::uint16_t offset_more) {
  return [=](Bytes& frame, const Mix& mix) { put_ipv6_fragment(frame, mix, offset_more); };
}
void mapped_source(Bytes& frame, const Mix&) {  // ::ffff:10.2.0.2 on the wire is not 10.2.0.2
  store(frame.data() + kEthernetBytes + offsetof(Ipv6Header, source), load_balancer(Family::ipv4));
}

const std::vector<Change> kChanges{
    {"nothing", kIpip4, [](Bytes&, const Mix&) {}, GUIDEWAY_DECAP_IPIP},
    {"ipv4_options", kIpip4, put_ipv4_options, GUIDEWAY_DECAP_IPIP},
    {"ipv4_options_gue", kGue4, put_ipv4_options, GUIDEWAY_DECAP_GUE},
    {"ipv4_checksum", kIpip4, byte(24, 0xff), GUIDEWAY_DECAP_BAD_CHECKSUM},
    {"ipv4_ttl_without_checksum", kIpip4, byte(22, 63), GUIDEWAY_DECAP_BAD_CHECKSUM},
    {"ipv4_ttl_with_checksum", kIpip4, ipv4_byte(8, 63), GUIDEWAY_DECAP_IPIP},
    {"ipv4_more_fragments", kIpip4, ipv4_byte(6, 0x20), GUIDEWAY_DECAP_FRAGMENT},
    {"ipv4_later_fragment", kIpip4, ipv4_byte(7, 1), GUIDEWAY_DECAP_FRAGMENT},
    {"gue_first_fragment", kGue4, ipv4_byte(6, 0x20), GUIDEWAY_DECAP_FRAGMENT},
    {"gue_later_fragment", kGue4, ipv4_byte(7, 1), GUIDEWAY_DECAP_PASSED},
    {"ipv6_first_fragment", kIpip6, ipv6_fragment(1), GUIDEWAY_DECAP_FRAGMENT},
    {"ipv6_later_fragment", kIpip6, ipv6_fragment(8), GUIDEWAY_DECAP_FRAGMENT},
    {"gue_ipv6_first_fragment", kGue6, ipv6_fragment(1), GUIDEWAY_DECAP_FRAGMENT},
    {"gue_ipv6_later_fragment", kGue6, ipv6_fragment(8), GUIDEWAY_DECAP_PASSED},
    {"ipv4_length_below_header", kIpip4, ipv4_byte(3, 19), GUIDEWAY_DECAP_MALFORMED},
    {"ipv4_length_beyond_frame", kIpip4, ipv4_byte(2, 1), GUIDEWAY_DECAP_MALFORMED},
    {"ipv6_length_beyond_frame", kIpip6, byte(18, 1), GUIDEWAY_DECAP_MALFORMED},
    {"ipv4_version", kIpip4, ipv4_byte(0, 0x55), GUIDEWAY_DECAP_PASSED},
    {"ipv4_header_length", kIpip4, byte(14, 0x44), GUIDEWAY_DECAP_PASSED},
    {"ipv6_version", kIpip6, byte(14, 0x40), GUIDEWAY_DECAP_PASSED},
    {"ether_type", kIpip4, byte(13, 0x06), GUIDEWAY_DECAP_PASSED},
    {"esp", kIpip4, ipv4_byte(9, 50), GUIDEWAY_DECAP_PASSED},
    {"ipv6_flow_label", kIpip6, byte(17, 0xff), GUIDEWAY_DECAP_IPIP},
    {"ipv6_no_flow_label", kGre6, [](Bytes& frame, const Mix&) { frame[15] = frame[16] = frame[17] = 0; },
     GUIDEWAY_DECAP_GRE},
    {"ipv6_hop_by_hop", kIpip6, byte(20, 0), GUIDEWAY_DECAP_PASSED},
    {"ipv4_mapped_source", kIpip6, mapped_source, GUIDEWAY_DECAP_STRANGER},
    {"inner_ipv4_header_length", kIpip4, byte(34, 0x44), GUIDEWAY_DECAP_MALFORMED},
    {"inner_ipv4_length_below_header", kIpip4, byte(37, 19), GUIDEWAY_DECAP_MALFORMED},
    {"gue_other_port", kGue4, byte(37, 0xc1), GUIDEWAY_DECAP_PASSED},
    {"gue_udp_length_too_short", kGue4, byte(39, 11), GUIDEWAY_DECAP_MALFORMED},
    {"gue_udp_length_beyond", kGue4, byte(38, 1), GUIDEWAY_DECAP_MALFORMED},
    {"gue_ipv6_checksum_zero", kGue6, gue_byte(0, 0), GUIDEWAY_DECAP_GUE},
    {"gue_ipv4_checksum_wrong", kGue4, byte(41, 1), GUIDEWAY_DECAP_BAD_CHECKSUM},
    {"gue_control", kGue4, gue_byte(0, 0x20), GUIDEWAY_DECAP_UNSUPPORTED},
    {"gue_private_data", kGue4, gue_byte(0, 0x01), GUIDEWAY_DECAP_UNSUPPORTED},
    {"gue_flags", kGue4, gue_byte(2, 0x80), GUIDEWAY_DECAP_UNSUPPORTED},
    {"gue_flags_low", kGue4, gue_byte(3, 0x01), GUIDEWAY_DECAP_UNSUPPORTED},
    {"gue_protocol_tcp", kGue4, gue_byte(1, 6), GUIDEWAY_DECAP_UNSUPPORTED},
    {"gue_variant_1_other_version", kGue4, gue_byte(0, 0x50), GUIDEWAY_DECAP_UNSUPPORTED},
    {"gue_variant_2", kGue4, gue_byte(0, 0x80), GUIDEWAY_DECAP_UNSUPPORTED},
    {"gue_variant_3", kGue4, gue_byte(0, 0xc0), GUIDEWAY_DECAP_UNSUPPORTED},
    {"gre_ipv4_options", kGre4, put_ipv4_options, GUIDEWAY_DECAP_GRE},
    {"gre_ipv4_first_fragment", kGre4, ipv4_byte(6, 0x20), GUIDEWAY_DECAP_FRAGMENT},
    {"gre_ipv4_later_fragment", kGre4, ipv4_byte(7, 1), GUIDEWAY_DECAP_FRAGMENT},
    {"gre_ipv6_first_fragment", kGre6, ipv6_fragment(1), GUIDEWAY_DECAP_FRAGMENT},
    {"gre_ipv6_later_fragment", kGre6, ipv6_fragment(8), GUIDEWAY_DECAP_FRAGMENT},
    {"gre_header_beyond_packet", kGre4, gre_header_beyond_packet, GUIDEWAY_DECAP_MALFORMED},
    {"gre_checksum", kGre4, gre_flags(0x8000), GUIDEWAY_DECAP_UNSUPPORTED},
    {"gre_routing", kGre4, gre_flags(0x4000), GUIDEWAY_DECAP_UNSUPPORTED},
    {"gre_key", kGre4, gre_flags(0x2000), GUIDEWAY_DECAP_UNSUPPORTED},
    {"gre_sequence_number", kGre6, gre_flags(0x1000), GUIDEWAY_DECAP_UNSUPPORTED},
    {"gre_strict_source_route", kGre6, gre_flags(0x0800), GUIDEWAY_DECAP_UNSUPPORTED},
    {"gre_recursion", kGre6, gre_flags(0x0400), GUIDEWAY_DECAP_UNSUPPORTED},
    {"gre_version_1", kGre4, gre_flags(0x0001), GUIDEWAY_DECAP_UNSUPPORTED},
    {"gre_version_4", kGre4, gre_flags(0x0004), GUIDEWAY_DECAP_UNSUPPORTED},
    {"gre_bits_to_be_ignored", kGre4, gre_flags(0x03f8), GUIDEWAY_DECAP_GRE},
    {"gre_ethernet_inside", kGre4, gre_protocol(0x6558), GUIDEWAY_DECAP_UNSUPPORTED},
    {"gre_protocol_0", kGre6, gre_protocol(0), GUIDEWAY_DECAP_UNSUPPORTED},
};

class EachChange : public BackendDecap, public testing::WithParamInterface<Change> {};
INSTANTIATE_TEST_SUITE_P(, EachChange, testing::ValuesIn(kChanges), [](const auto& each) { return each.param.name; });

TEST_P(EachChange, EndsWhereItShould) {
  const Change& change = GetParam();
  const Bytes inner = client_packet(change.mix.inner);
  Bytes frame = encapsulated(change.mix, inner);
  change.apply(frame, change.mix);
  if (change.end == GUIDEWAY_DECAP_PASSED)
    expect_left_alone(frame);
  else if (change.end == change.mix.counter())
    expect_decapsulated(change.mix, frame, inner);
  else
    expect_dropped(change.end, frame);
}

TEST_F(BackendDecap, NoticesEachFlippedBitUnderTheOuterUdpChecksum) {
  const Mix mix = kGue6;
  const Bytes good = encapsulated(mix, client_packet(mix.inner));
  for (std::size_t at = mix.gue_at(); at < good.size(); at++)
    for (int bit = 0; bit < 8; bit++) {
      SCOPED_TRACE("byte " + std::to_string(at) + ", bit " + std::to_string(bit));
      Bytes frame = good;
      frame[at] = static_cast<std::uint8_t>(frame[at] ^ 1 << bit);
      expect_dropped(GUIDEWAY_DECAP_BAD_CHECKSUM, frame);
    }
}

TEST_F(BackendDecap, NoticesEachFlippedBitOfTheOuterIpv4Header) {
  const Bytes good = encapsulated(kIpip4, client_packet(Family::ipv4));
  for (std::size_t at = kEthernetBytes; at < kEthernetBytes + sizeof(Ipv4Header); at++)
    for (int bit = 0; bit < 8; bit++) {
      SCOPED_TRACE("byte " + std::to_string(at) + ", bit " + std::to_string(bit));
      Bytes frame = good;
      frame[at] = static_cast<std::uint8_t>(frame[at] ^ 1 << bit);
      const Outcome outcome = run(frame);
      ASSERT_TRUE(outcome.counter);
      EXPECT_NE(*outcome.counter, GUIDEWAY_DECAP_IPIP);
      EXPECT_NE(*outcome.counter, GUIDEWAY_DECAP_GUE);
      EXPECT_NE(*outcome.counter, GUIDEWAY_DECAP_GRE);
    }
}

TEST_F(BackendDecap, VerifiesTheChecksumOfJumboFrames) {
  const Bytes inner = client_packet(Family::ipv6, 3000);  // BPF_PROG_TEST_RUN takes about a page
  expect_decapsulated(kGue6, encapsulated(kGue6, inner), inner);
}

TEST_F(BackendDecap, LeavesOrdinaryPacketsAlone) {
  expect_left_alone(framed(client_packet(Family::ipv4)));
  expect_left_alone(framed(client_packet(Family::ipv6)));
}

TEST_F(BackendDecap, TakesGueAtTheConfiguredPort) {
  DecapSettings other = settings();
  other.gue_port = 6081;
  configure(other);
  const Bytes inner = client_packet(Family::ipv4);
  Bytes frame = encapsulated(kGue4, inner);
  expect_left_alone(frame);
  store(frame.data() + kGue4.payload_at() + 2, Be16::from_host(6081));
  expect_decapsulated(kGue4, frame, inner);
}

// The data plane can vary outer sources by flow (ipip_source_prefixes): the prefix is the friend.
TEST_P(EachMix, TakesEachSourceOfAPrefix) {
  configure({.sources = {prefix("198.18.0.0/16"), prefix("2001:db8:18::/96")}, .locals = settings().locals});
  const Mix& mix = GetParam();
  const Bytes inner = client_packet(mix.inner);
  const auto from = [&](const char* source) {
    Bytes frame = encapsulated(mix, inner);
    std::uint8_t* outer = frame.data() + kEthernetBytes;
    if (mix.outer == Family::ipv4) {
      store(outer + offsetof(Ipv4Header, source), ip(source).v4());
      set_ipv4_checksum(outer);
    } else {
      store(outer + offsetof(Ipv6Header, source), ip(source));
    }
    if (mix.has_udp()) clear_udp_checksum(frame, mix);
    return frame;
  };
  const bool is_ipv4 = mix.outer == Family::ipv4;
  for (const char* source : {is_ipv4 ? "198.18.0.0" : "2001:db8:18::", is_ipv4 ? "198.18.137.42" : "2001:db8:18::1:2",
                             is_ipv4 ? "198.18.255.255" : "2001:db8:18::ffff:ffff"})
    expect_decapsulated(mix, from(source), inner);
  for (const char* source : {is_ipv4 ? "198.17.255.255" : "2001:db8:17:ffff:ffff:ffff:ffff:ffff",
                             is_ipv4 ? "198.19.0.0" : "2001:db8:18::1:0:0"})
    expect_dropped(GUIDEWAY_DECAP_STRANGER, from(source));
}

TEST_F(BackendDecap, CountersCarryOnOverAnUpdate) {
  run(framed(client_packet(Family::ipv4)));
  const DecapStatus before = status_of(runner_->program());
  EXPECT_EQ(attach_decap("lo", settings(), std::nullopt), Attach::replaced);
  const DecapStatus after = status_of(find_decap("lo").value());
  EXPECT_NE(after.program_id, before.program_id);
  EXPECT_EQ(after.counters, before.counters);
  EXPECT_EQ(after.settings.sources, settings().sources);
  EXPECT_EQ(after.settings.locals, settings().locals);
  EXPECT_TRUE(after.settings.ipip);
  EXPECT_TRUE(after.settings.gre);
}

// A program that counts one thing less, as an earlier release did.
void attach_other_release() {
  const std::unique_ptr<backend_decap_bpf, decltype(&backend_decap_bpf::destroy)> other(backend_decap_bpf::open(),
                                                                                        &backend_decap_bpf::destroy);
  ASSERT_EQ(bpf_map__set_max_entries(other->maps.counters, GUIDEWAY_DECAP_COUNTERS - 1), 0);
  ASSERT_EQ(backend_decap_bpf::load(other.get()), 0);
  ASSERT_EQ(bpf_xdp_attach(static_cast<int>(interface_index("lo")), bpf_program__fd(other->progs.backend_decap),
                           XDP_FLAGS_SKB_MODE, nullptr),
            0);
}

TEST_F(BackendDecap, ReplacesAnotherRelease) {
  attach_other_release();
  const auto program = find_decap("lo");
  ASSERT_TRUE(program);
  try {
    status_of(*program);
    FAIL() << "its counters have other meanings";
  } catch (const std::runtime_error& refused) {
    EXPECT_NE(std::string(refused.what()).find("run `guideway-backend attach` again"), std::string::npos);
  }
  EXPECT_EQ(attach_decap("lo", settings(), std::nullopt), Attach::replaced);
  EXPECT_EQ(status_of(find_decap("lo").value()).counters, std::vector<std::uint64_t>(GUIDEWAY_DECAP_COUNTERS));
}

}  // namespace
}  // namespace guideway::bpf
