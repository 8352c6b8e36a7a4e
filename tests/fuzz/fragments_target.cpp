// Fragments of many datagrams over time through parse, classify and reunite, against an oracle (fragment_oracle.h):
//
//   input:  10 bytes for each run of fragments (read_runs())
//
// Besides: no fragment is lost or comes out twice, and no more wait than may.
#include <algorithm>
#include <array>
#include <memory>

#include "dataplane/stages/stages.h"
#include "tests/fuzz/fragment_oracle.h"
#include "tests/fuzz/fuzz_tables.h"
#include "tests/fuzz/ip_packet.h"
#include "tests/fuzz/violation.h"

namespace guideway::fuzz {
namespace {

constexpr std::size_t kFragmentsMax = 1280;  // of one input
constexpr std::size_t kRunBytes = 10;
constexpr std::array kProtocols{IpProto::tcp, IpProto::udp, IpProto::esp, IpProto::destination_options};
constexpr std::size_t kL4BytesHere = 20;  // of a fragment, in its first buffer

// How many more follow: mostly few, at most 240.
constexpr unsigned more_of(std::uint8_t count) {
  return count < 240 ? count / 32U : (count - 240U) * 16;
}

struct Timed {
  Fragment fragment;
  Ns later{};
};

// source │ id │ family, protocol, more, step │ time │ offset/8 (16 bits) │ bytes (16 bits) │ count │ port
std::vector<Timed> read_runs(BytesView input) {
  std::vector<Timed> all;
  for (; input.size() >= kRunBytes; input = input.subspan(kRunBytes)) {
    const unsigned kind = input[2];
    Fragment fragment;
    fragment.source = input[0];
    fragment.id = input[1];
    fragment.family = (kind & 1) != 0 ? Family::ipv6 : Family::ipv4;
    fragment.protocol = kProtocols[kind >> 1 & 3];
    fragment.is_last = (kind & 8) == 0;
    const std::uint32_t bytes = input[6] | std::uint32_t{input[7]} << 8;
    fragment.begin = ((input[4] | std::uint32_t{input[5]} << 8) & 0x1fff) * 8;
    fragment.end = fragment.begin + bytes;
    fragment.source_port = input[9];
    Ns later = std::chrono::microseconds(100) * input[3] * input[3];
    for (unsigned i = 0; i <= more_of(input[8]) && all.size() < kFragmentsMax; i++) {
      if (fragment.begin > 0x1fff * 8) break;
      all.push_back({fragment, later});
      later = {};
      const unsigned step = kind >> 4 & 3;
      fragment.source = static_cast<std::uint8_t>(fragment.source + (step == 1 ? 1 : 0));
      fragment.id = static_cast<std::uint8_t>(fragment.id + (step == 2 ? 1 : 0));
      const std::uint32_t gap = (kind & 0x40) != 0 ? 8 : 0;
      if (step == 3) fragment.begin += bytes / 8 * 8 + gap;
      fragment.end = fragment.begin + bytes;
    }
  }
  return all;
}

// The last byte of the address is the source.
constexpr std::array<std::uint8_t, 4> kVip4{203, 0, 113, 10};
constexpr std::array<std::uint8_t, 4> kClient4{198, 51, 100, 0};
constexpr Block16 kVip6{0x20, 0x01, 0x0d, 0xb8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10};
constexpr Block16 kClient6{0x20, 0x01, 0x0d, 0xb8, 0, 9};

template <typename Address>
Address with_last(Address address, std::uint8_t last) {
  address.back() = last;
  return address;
}

Be16 be16(std::size_t value) {
  return Be16::from_host(static_cast<std::uint16_t>(value));
}

// Its headers, and what of its payload lies in the first buffer.
class FrameHead {
 public:
  FrameHead(const Fragment& fragment, std::size_t l4_bytes) {
    bytes_used_ = sizeof(EthernetHeader) - sizeof(Be16);
    if (fragment.family == Family::ipv4)
      append_ipv4(fragment, l4_bytes);
    else
      append_ipv6(fragment, l4_bytes);
    const Ports ports{be16(fragment.source_port), be16(fragment.protocol == IpProto::tcp ? 80 : 53)};
    if (l4_bytes >= sizeof ports && fragment.begin == 0) store(&bytes_[bytes_used_], ports);
    bytes_used_ += std::min(l4_bytes, kL4BytesHere);
  }
  BytesView bytes() const { return BytesView(bytes_).first(bytes_used_); }

 private:
  template <typename Header>
  void append(const Header& header) {
    store(&bytes_[bytes_used_], header);
    bytes_used_ += sizeof header;
  }
  void append_ipv4(const Fragment& fragment, std::size_t l4_bytes) {
    append(be16(0x0800));
    append(Ipv4Header{.version_ihl = 0x45,
                      .tos = 0,
                      .total_length = be16(20 + l4_bytes),
                      .id = be16(fragment.id),
                      .flags_fragment = be16(fragment.begin / 8 | (fragment.is_last ? 0U : kIpv4MoreFragments)),
                      .ttl = 64,
                      .protocol = static_cast<std::uint8_t>(fragment.protocol),
                      .checksum = {},
                      .source = std::bit_cast<Be32>(with_last(kClient4, fragment.source)),
                      .destination = std::bit_cast<Be32>(kVip4)});
  }
  void append_ipv6(const Fragment& fragment, std::size_t l4_bytes) {
    append(be16(0x86dd));
    append(Ipv6Header{.version_class_label = Be32::from_host(6U << 28),
                      .payload_length = be16(8 + l4_bytes),
                      .next_header = static_cast<std::uint8_t>(IpProto::fragment),
                      .hop_limit = 64,
                      .source = with_last(kClient6, fragment.source),
                      .destination = kVip6});
    append(Ipv6Fragment{static_cast<std::uint8_t>(fragment.protocol), 0,
                        be16(fragment.begin | (fragment.is_last ? 0U : kIpv6MoreFragments)),
                        Be32::from_host(fragment.id)});
  }

  std::array<std::uint8_t, 96> bytes_{};
  std::size_t bytes_used_ = 0;
};

class Reunion {
 public:
  // Whether the parser takes it for a fragment at all; what it does with others is for other tests. So is an IPv6 first
  // fragment that tells of another protocol.
  static bool is_for_us(const Fragment& fragment) {
    if (fragment.begin == 0 && fragment.is_last) return false;
    const std::uint32_t headers = fragment.family == Family::ipv4 ? 20 : 48;
    if (headers + fragment.end - fragment.begin > 65535) return false;
    if (fragment.begin != 0) return true;
    const bool of_flow = fragment.protocol == IpProto::tcp || fragment.protocol == IpProto::udp;
    return of_flow || (fragment.family == Family::ipv4 && fragment.protocol != IpProto::destination_options);
  }

  void run(const std::vector<Timed>& all) {
    FragmentOracle oracle;
    memory_.clear();
    now_ += 2 * FragmentTable::kDatagramLifetime;  // what other inputs have left is forgotten
    for (Timed timed : all) {
      if (!is_for_us(timed.fragment)) continue;
      now_ += timed.later + Ns(1);  // so that one datagram is the oldest
      timed.fragment.number = memory_.size();
      table_.expire(now_);
      compare(oracle.expire(now_), take_ready());
      const std::uint64_t at = neighbourhood(timed.fragment);
      std::vector<Fate> fates = come(timed.fragment);
      oracle.age(at, now_);
      std::erase_if(fates, [&](const Fate& fate) { return oracle.may_end(fate); });
      compare(oracle.note(timed.fragment, at, now_), fates);
      require(table_.waiting() == oracle.waiting(), "the table counts other packets as waiting than wait");
    }
    now_ += FragmentTable::kWaitMax;
    table_.expire(now_);
    compare(oracle.expire(now_), take_ready());
    require(!table_.has_any() && inside_ == 0, "a fragment never came out");
  }

 private:
  std::uint64_t neighbourhood(const Fragment& fragment) const {
    const auto wide = [](const auto& address) { return IpAddress::from_v4(std::bit_cast<Be32>(address)).bytes; };
    const bool ipv4 = fragment.family == Family::ipv4;
    const FlowKey6 key{ipv4 ? wide(with_last(kClient4, fragment.source)) : with_last(kClient6, fragment.source),
                       ipv4 ? wide(kVip4) : kVip6, Ports{}, IpProto{}};
    return flow_hash(tables_.view().hash_keys, key) % FragmentTable::kNeighbourhoods;
  }

  // Through the stages; the fragment's own fate comes first.
  std::vector<Fate> come(const Fragment& fragment) {
    const std::size_t l4_bytes = fragment.end - fragment.begin;
    const FrameHead head(fragment, l4_bytes);
    const BytesView headers = head.bytes();
    auto memory = std::make_unique_for_overwrite<std::uint8_t[]>(headers.size());
    std::copy(headers.begin(), headers.end(), memory.get());
    batch_.clear();
    batch_.count = 1;
    Packet& packet = batch_.packets[0] = {};
    packet.data = memory.get();
    packet.buffer = reinterpret_cast<void*>(fragment.number);
    packet.contiguous_bytes = static_cast<std::uint16_t>(headers.size());
    packet.frame_bytes = static_cast<std::uint32_t>(headers.size() + l4_bytes - std::min(l4_bytes, kL4BytesHere));
    memory_.push_back(std::move(memory));
    inside_++;
    parse(batch_);
    classify(batch_, tables_.view());
    reunite(batch_, tables_.view(), table_, now_);
    std::vector<Fate> fates{fate_of(packet)};
    const std::vector<Fate> ready = take_ready();
    fates.insert(fates.end(), ready.begin(), ready.end());
    return fates;
  }

  std::vector<Fate> take_ready() {
    std::vector<Fate> fates;
    while (table_.take_ready(batch_)) {
      require(batch_.count > 0, "a batch of ready fragments is empty");
      for (Packet& packet : batch_.all()) {
        if (packet.verdict == Verdict::pending) serve_fragment(batch_, packet, tables_.view());
        fates.push_back(fate_of(packet));
      }
    }
    return fates;
  }

  Fate fate_of(const Packet& packet) {
    const auto number = reinterpret_cast<std::uint64_t>(packet.buffer);
    require(memory_[number] != nullptr, "a fragment came out twice");
    if (packet.verdict == Verdict::held) return {number, Fate::End::waits, Counter{}, 0};
    memory_[number].reset();
    inside_--;
    if (packet.verdict == Verdict::pending) {
      require(packet.pool != PoolId::none, "a fragment goes on without a pool");
      return {number, Fate::End::forwarded, Counter{}, packet.ports.source.host()};
    }
    // The VIP rejects, and a fragment of another protocol may be answered.
    const bool refused = packet.verdict == Verdict::drop || packet.verdict == Verdict::answer;
    require(refused, "a fragment to a served VIP went to the kernel");
    return {number, Fate::End::dropped, packet.reason, 0};
  }

  static void compare(std::vector<Fate> expected, std::vector<Fate> got) {
    if (expected == got) return;
    // Among those that waited the order is not promised.
    for (auto* fates : {&expected, &got}) std::ranges::sort(*fates, {}, [](const Fate& fate) { return fate.number; });
    if (expected == got) return;
    const auto text = [](const std::vector<Fate>& fates) {
      std::string text;
      for (const Fate& fate : fates) {
        text += " " + std::to_string(fate.number) + ": ";
        if (fate.end == Fate::End::waits) text += "waits";
        if (fate.end == Fate::End::forwarded) text += "forwarded with port " + std::to_string(fate.source_port);
        if (fate.end == Fate::End::dropped) text += std::string(kCounters[index(fate.reason)].name);
      }
      return text;
    };
    violated("fragments end as" + text(got) + ", expected" + text(expected));
  }

  FuzzTables tables_{0};
  FragmentTable table_;
  Batch batch_;
  std::vector<std::unique_ptr<std::uint8_t[]>> memory_;  // of each fragment, by its number; nullptr: it came out
  std::uint64_t inside_ = 0;                             // not out yet
  Ns now_{};
};

}  // namespace
}  // namespace guideway::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace guideway::fuzz;
  static auto reunion = std::make_unique<Reunion>();
  static std::uint64_t runs = 0;
  if (++runs % (1 << 16) == 0) reunion = std::make_unique<Reunion>();  // its clock only goes on
  reunion->run(read_runs({data, size}));
  return 0;
}
