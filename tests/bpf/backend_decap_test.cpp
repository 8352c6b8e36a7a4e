// The decapsulation program, packet by packet, by BPF_PROG_TEST_RUN: what the data plane's encap stage packs must come
// out byte for byte; everything else must be dropped or left alone, and counted for what it is.
//
// The program is loaded and configured by the loader's own code, on `lo` of a network namespace of this test.
#include <bpf/bpf.h>
#include <gtest/gtest.h>
#include <linux/bpf.h>
#include <sched.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "bpf/decap_program.h"
#include "tests/bpf/decap_packets.h"

namespace guideway::bpf {
namespace {

struct Outcome {
  std::uint32_t verdict = XDP_ABORTED;
  std::optional<guideway_decap_counter> counter;  // empty: not exactly one counter moved by one
  Bytes frame;
};

class BackendDecap : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    static const bool in_own_namespace = unshare(CLONE_NEWNET) == 0;
    ASSERT_TRUE(in_own_namespace) << "the test needs root, for a network namespace of its own";
  }
  void SetUp() override { configure(settings()); }

  static DecapSettings settings() {
    return {.sources = {parse_source("10.2.0.0/24"), parse_source("2001:db8:2::/64")},
            .locals = {backend(Family::ipv4), backend(Family::ipv6)}};
  }
  void configure(const DecapSettings& settings) {
    attach_decap("lo", settings, XdpMode::generic);
    program_ = find_decap("lo");
    ASSERT_TRUE(program_);
  }

  Outcome run(const Bytes& frame) const {
    Outcome outcome;
    outcome.frame.resize(frame.size() + 256);
    const auto before = status_of(*program_).counters;
    bpf_test_run_opts options{};
    options.sz = sizeof options;
    options.data_in = frame.data();
    options.data_size_in = static_cast<std::uint32_t>(frame.size());
    options.data_out = outcome.frame.data();
    options.data_size_out = static_cast<std::uint32_t>(outcome.frame.size());
    EXPECT_EQ(bpf_prog_test_run_opts(program_->fd(), &options), 0);
    outcome.verdict = options.retval;
    outcome.frame.resize(options.data_size_out);

    const auto after = status_of(*program_).counters;
    std::uint64_t counted = 0;
    for (std::size_t i = 0; i < after.size(); i++) {
      counted += after[i] - before[i];
      if (after[i] != before[i]) outcome.counter = static_cast<guideway_decap_counter>(i);
    }
    if (counted != 1) outcome.counter.reset();
    return outcome;
  }

  void expect_decapsulated(const Mix& mix, const Bytes& frame, const Bytes& inner) const {
    const Outcome outcome = run(frame);
    EXPECT_EQ(outcome.verdict, XDP_PASS);
    EXPECT_EQ(outcome.counter, mix.counter());
    EXPECT_EQ(outcome.frame, framed(inner));
  }
  void expect_dropped(guideway_decap_counter reason, const Bytes& frame) const {
    const Outcome outcome = run(frame);
    EXPECT_EQ(outcome.verdict, XDP_DROP);
    EXPECT_EQ(outcome.counter, reason);
  }
  void expect_left_alone(const Bytes& frame) const {
    const Outcome outcome = run(frame);
    EXPECT_EQ(outcome.verdict, XDP_PASS);
    EXPECT_EQ(outcome.counter, GUIDEWAY_DECAP_PASSED);
    EXPECT_EQ(outcome.frame, frame);
  }

  std::optional<AttachedProgram> program_;
};

// Each with all twelve mixes.
class EachMix : public BackendDecap, public testing::WithParamInterface<Mix> {};
INSTANTIATE_TEST_SUITE_P(, EachMix, testing::ValuesIn(all_mixes()), [](const auto& each) { return each.param.name(); });

TEST_P(EachMix, RestoresWhatTheDataPlaneEncapsulated) {
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
  configure({.sources = {parse_source("10.9.0.0/16"), parse_source("2001:db8:9::/64")}, .locals = settings().locals});
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
  const std::size_t checksum_at = GetParam().udp_at() + offsetof(UdpHeader, checksum);
  if (GetParam().encap != Encap::ipip) store(frame.data() + checksum_at, Be16{});
  // With GUE variant 1 the version is the announcement: what follows is too short for IPv6, or no IPv4 header.
  expect_dropped(GUIDEWAY_DECAP_MALFORMED, frame);
}

TEST_P(EachMix, DropsAnInnerLengthBeyondTheOuter) {
  Bytes frame = encapsulated(GetParam(), client_packet(GetParam().inner));
  std::uint8_t* inner = frame.data() + GetParam().inner_at();
  const std::size_t low_byte_at = GetParam().inner == Family::ipv4 ? 3 : 5;
  inner[low_byte_at]++;
  if (GetParam().encap != Encap::ipip)
    store(frame.data() + GetParam().udp_at() + offsetof(UdpHeader, checksum), Be16{});
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
    store(frame.data() + mix.udp_at() + offsetof(UdpHeader, checksum), Be16{});
    frame[mix.gue_at() + at] = value;
  };
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
    {"gre", kIpip4, ipv4_byte(9, 47), GUIDEWAY_DECAP_PASSED},
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
  store(frame.data() + kGue4.udp_at() + 2, Be16::from_host(6081));
  expect_decapsulated(kGue4, frame, inner);
}

TEST_F(BackendDecap, CountersCarryOnOverAnUpdate) {
  run(framed(client_packet(Family::ipv4)));
  const DecapStatus before = status_of(*program_);
  EXPECT_EQ(attach_decap("lo", settings(), std::nullopt), Attach::replaced);
  program_ = find_decap("lo");
  const DecapStatus after = status_of(*program_);
  EXPECT_NE(after.program_id, before.program_id);
  EXPECT_EQ(after.counters, before.counters);
  EXPECT_EQ(after.settings.sources, settings().sources);
  EXPECT_EQ(after.settings.locals, settings().locals);
}

TEST(ParseSource, TakesPrefixesAndAddresses) {
  for (const char* text : {"0.0.0.0/0", "10.0.0.0/8", "10.2.0.128/25", "10.2.0.2/32", "::/0", "2001:db8::/33"})
    EXPECT_EQ(to_text(parse_source(text)), text);
  EXPECT_EQ(to_text(parse_source("10.2.0.2")), "10.2.0.2/32");
  EXPECT_EQ(to_text(parse_source("2001:db8::2")), "2001:db8::2/128");
}

TEST(ParseSource, SaysWhatIsWrong) {
  const auto error = [](const char* text) -> std::string {
    try {
      return "accepted as " + to_text(parse_source(text));
    } catch (const std::runtime_error& refused) {
      return refused.what();
    }
  };
  EXPECT_EQ(error("10.2.0.2/24"), "\"10.2.0.2/24\" has bits set behind its prefix; write 10.2.0.0/24");
  EXPECT_EQ(error("2001:db8::1/64"), "\"2001:db8::1/64\" has bits set behind its prefix; write 2001:db8::/64");
  for (const char* text : {"10.0.0.0/33", "10.0.0.0/", "10.0.0.0/8x", "10.0.0.0/-1"})
    EXPECT_EQ(error(text), "the prefix length in \"" + std::string(text) + "\" must be 0 to 32");
  EXPECT_EQ(error("::/129"), "the prefix length in \"::/129\" must be 0 to 128");
  for (const char* text : {"", "/8", "lb1", "10.0.0"})
    EXPECT_EQ(error(text),
              "\"" + std::string(text) + "\" is no address or prefix; write 192.0.2.0/24 or 2001:db8::/32");
}

}  // namespace
}  // namespace guideway::bpf
