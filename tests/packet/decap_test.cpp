// What the data plane encapsulates, the backends' program gives back: the frames that the golden cases send to backends
// (golden_test.cpp holds the data plane to them), through bpf/backend_decap by BPF_PROG_TEST_RUN.
//
// Left out is what that program does not decapsulate: frames with VLAN tags, outer fragments, and what is not
// encapsulated at all (l2dsr, answers).
#include <gtest/gtest.h>
#include <linux/bpf.h>

#include <algorithm>
#include <set>
#include <vector>

#include "tests/bpf/decap_runner.h"
#include "tests/packet/packet_case.h"
#include "tests/packet/packet_fields.h"

namespace guideway::packet_text {

void PrintTo(const PacketCase& packet_case, std::ostream* out) {
  *out << packet_case.name;
}

namespace {

constexpr std::size_t kIpAt = sizeof(EthernetHeader);

const std::vector<PacketCase>& all_cases() {
  static const std::vector<PacketCase> kCases = load_cases(GUIDEWAY_SOURCE_ROOT "/tests/packet/cases");
  return kCases;
}

// The backends of all cases in one: our sources are its friends, the addresses of all backends its own.
const bpf::DecapSettings& backend() {
  static const bpf::DecapSettings kSettings = [] {
    std::set<IpPrefix> sources;
    std::set<IpAddress> locals;
    for (const PacketCase& packet_case : all_cases())
      for (const DesiredPool& pool : packet_case.tables.pools)
        for (const DesiredBackend& backend : pool.backends) {
          locals.insert(backend.address);
          if (!backend.egress) continue;
          sources.insert(IpPrefix::of(backend.egress->source));
          if (backend.egress->source_prefix) sources.insert(*backend.egress->source_prefix);
        }
    // Whose a connection is, is not the question here; nor are there any.
    return bpf::DecapSettings{
        .sources = {sources.begin(), sources.end()}, .locals = {locals.begin(), locals.end()}, .second_chance = false};
  }();
  return kSettings;
}

bool is_to_backend(const IpAddress& destination) {
  return std::ranges::find(backend().locals, destination) != backend().locals.end();
}

// Whether the backend's program is to decapsulate it. REQUIRES: the frame was sent, so it has all its headers.
bool is_carried(const Bytes& frame) {
  if (frame.size() > bpf::XdpRunner::kFrameBytesMax) return false;
  const std::uint8_t* ip = frame.data() + kIpAt;
  switch (static_cast<EtherType>(load<EthernetHeader>(frame.data()).ether_type.host())) {
    case EtherType::ipv4: {
      const auto header = load<Ipv4Header>(ip);
      return is_to_backend(IpAddress::from_v4(header.destination)) &&
             (header.flags_fragment.host() & (kIpv4MoreFragments | kIpv4FragmentOffsetMask)) == 0;
    }
    case EtherType::ipv6: {
      const auto header = load<Ipv6Header>(ip);
      return is_to_backend({header.destination}) && header.next_header != static_cast<std::uint8_t>(IpProto::fragment);
    }
    default:
      return false;
  }
}

std::vector<Bytes> carried_frames(const Step& step) {
  std::vector<Bytes> frames;
  if (step.from != From::network) return frames;
  for (const Frame& frame : step.ends.sent)
    if (is_carried(frame.bytes)) frames.push_back(frame.bytes);
  return frames;
}

std::vector<PacketCase> carrying_cases() {
  std::vector<PacketCase> cases = all_cases();
  std::erase_if(cases, [](const PacketCase& packet_case) {
    return std::ranges::all_of(packet_case.steps, [](const Step& step) { return carried_frames(step).empty(); });
  });
  return cases;
}

// The packet as the backend's stack gets it: behind the MAC addresses of the last hop.
Bytes framed(const Bytes& packet, const Bytes& encapsulated) {
  Bytes frame(encapsulated.begin(), encapsulated.begin() + kIpAt);
  const auto type = packet[0] >> 4 == 4 ? EtherType::ipv4 : EtherType::ipv6;
  store(frame.data() + offsetof(EthernetHeader, ether_type), Be16::from_host(static_cast<std::uint16_t>(type)));
  frame.insert(frame.end(), packet.begin(), packet.end());
  return frame;
}

void set_ipv4_checksum(Bytes& packet) {
  store(packet.data() + offsetof(Ipv4Header, checksum), Be16{});
  std::uint32_t sum = 0;
  for (std::size_t at = 0; at < (packet[0] & 0x0fU) * 4; at += 2) sum += load<Be16>(packet.data() + at).host();
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  store(packet.data() + offsetof(Ipv4Header, checksum), Be16::from_host(static_cast<std::uint16_t>(~sum)));
}

// What a receiver makes of the fragments of a packet, in order (RFC 791, section 3.2); of a packet that was a fragment
// itself, that one.
Bytes put_together(const std::vector<Bytes>& fragments) {
  Bytes whole = fragments.front();
  for (std::size_t i = 1; i < fragments.size(); i++) {
    const std::ptrdiff_t header_bytes = (fragments[i][0] & 0x0f) * 4;
    whole.insert(whole.end(), fragments[i].begin() + header_bytes, fragments[i].end());
  }
  const std::size_t flags_at = offsetof(Ipv4Header, flags_fragment);
  const std::uint16_t first = load<Be16>(whole.data() + flags_at).host();
  const std::uint16_t last = load<Be16>(fragments.back().data() + flags_at).host();
  const int flags = (first & kIpv4FragmentOffsetMask) | (last & kIpv4MoreFragments);
  store(whole.data() + flags_at, Be16::from_host(static_cast<std::uint16_t>(flags)));
  store(whole.data() + offsetof(Ipv4Header, total_length), Be16::from_host(static_cast<std::uint16_t>(whole.size())));
  set_ipv4_checksum(whole);
  return whole;
}

class Decapsulation : public testing::TestWithParam<PacketCase> {
 protected:
  // The IP packet that the backend's stack gets.
  static Bytes decapsulated(const Bytes& frame) {
    static bpf::XdpRunner runner = bpf::decap_runner(backend());
    const bpf::XdpRunner::Outcome outcome = runner.run(frame);
    if (outcome.verdict != XDP_PASS || outcome.frame.size() >= frame.size()) {
      ADD_FAILURE() << "not decapsulated: verdict " << outcome.verdict << ", counted as "
                    << bpf::kDecapCounters.at(outcome.counter.value_or(GUIDEWAY_DECAP_PASSED)).name;
      return {};
    }
    Bytes packet(outcome.frame.begin() + kIpAt, outcome.frame.end());
    EXPECT_EQ(outcome.frame, framed(packet, frame));
    return packet;
  }
};

TEST_P(Decapsulation, GivesBackWhatTheClientSent) {
  std::vector<Bytes> came;  // what waits leaves with a later one
  for (const Step& step : GetParam().steps) {
    SCOPED_TRACE("the packet of line " + std::to_string(step.line));
    if (step.has_packet) came.push_back(inner_packet(step.frame.bytes));
    std::vector<Bytes> fragments;
    for (const Bytes& frame : carried_frames(step)) {
      const Bytes packet = decapsulated(frame);
      if (packet.empty()) return;
      if (std::ranges::find(came, packet) == came.end()) fragments.push_back(packet);
    }
    if (fragments.empty()) continue;
    const Bytes expected = framed(came.back(), step.frame.bytes);
    const Bytes got = framed(put_together(fragments), step.frame.bytes);
    EXPECT_TRUE(got == expected) << diff(expected, got);
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, Decapsulation, testing::ValuesIn(carrying_cases()),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace guideway::packet_text
