#include "tests/packet/packet_fields.h"

#include <algorithm>
#include <cstdio>

#include "common/net/address_text.h"
#include "guideway/wire.h"

namespace guideway::packet_text {
namespace {

class Describer {
 public:
  explicit Describer(std::span<const std::uint8_t> frame) : rest_(frame) {}

  std::vector<std::string> describe() {
    eth();
    data();
    return std::move(lines_);
  }

 private:
  template <typename Header>
  bool take(Header& header) {
    if (rest_.size() < sizeof header) return false;
    header = load<Header>(rest_.data());
    rest_ = rest_.subspan(sizeof header);
    return true;
  }
  void field(const char* name, const std::string& value) { lines_.push_back(std::string(name) + " " + value); }
  void field(const char* name, std::uint32_t value) { field(name, std::to_string(value)); }
  void hex_field(const char* name, std::uint32_t value) {
    std::array<char, 16> text{};
    std::snprintf(text.data(), text.size(), value > 0xffff ? "0x%08x" : "0x%04x", value);
    field(name, text.data());
  }
  static std::string hex_of(std::span<const std::uint8_t> bytes) {
    std::string text;
    for (const std::uint8_t byte : bytes) {
      text += "0123456789abcdef"[byte >> 4];
      text += "0123456789abcdef"[byte & 0xf];
    }
    return text;
  }

  void eth() {
    EthernetHeader header;
    if (!take(header)) return;
    field("eth.dst", to_text(header.destination));
    field("eth.src", to_text(header.source));
    std::uint16_t type = header.ether_type.host();
    hex_field("eth.type", type);
    while (type == static_cast<std::uint16_t>(EtherType::vlan) || type == static_cast<std::uint16_t>(EtherType::qinq)) {
      VlanTag tag;
      if (!take(tag)) return;
      hex_field("vlan.control", tag.control.host());
      type = tag.ether_type.host();
      hex_field("vlan.type", type);
    }
    l3(type);
  }
  void l3(std::uint16_t ether_type) {
    if (ether_type == static_cast<std::uint16_t>(EtherType::ipv4)) ipv4();
    if (ether_type == static_cast<std::uint16_t>(EtherType::ipv6)) ipv6();
  }
  void ipv4() {
    Ipv4Header ip;
    if (!take(ip)) return;
    field("ipv4.version", ip.version_ihl >> 4);
    field("ipv4.ihl", ip.version_ihl & 0xf);
    field("ipv4.dscp", ip.tos >> 2);
    field("ipv4.ecn", ip.tos & 3);
    field("ipv4.len", ip.total_length.host());
    field("ipv4.id", ip.id.host());
    hex_field("ipv4.flags_fragment", ip.flags_fragment.host());
    field("ipv4.ttl", ip.ttl);
    field("ipv4.proto", ip.protocol);
    hex_field("ipv4.checksum", ip.checksum.host());
    field("ipv4.src", to_text(IpAddress::from_v4(ip.source)));
    field("ipv4.dst", to_text(IpAddress::from_v4(ip.destination)));
    const std::size_t options =
        std::min<std::size_t>(rest_.size(), std::max(ip.version_ihl & 0xfU, 5U) * 4 - sizeof ip);
    if (options > 0) field("ipv4.options", hex_of(rest_.first(options)));
    rest_ = rest_.subspan(options);
    if ((ip.flags_fragment.host() & kIpv4FragmentOffsetMask) == 0) l4(static_cast<IpProto>(ip.protocol));
  }
  void ipv6() {
    Ipv6Header ip;
    if (!take(ip)) return;
    const std::uint32_t word = ip.version_class_label.host();
    field("ipv6.version", word >> 28);
    field("ipv6.dscp", word >> 22 & 0x3f);
    field("ipv6.ecn", word >> 20 & 3);
    field("ipv6.label", word & 0xfffff);
    field("ipv6.len", ip.payload_length.host());
    field("ipv6.next", ip.next_header);
    field("ipv6.hops", ip.hop_limit);
    field("ipv6.src", to_text(IpAddress{ip.source}));
    field("ipv6.dst", to_text(IpAddress{ip.destination}));
    l4(static_cast<IpProto>(ip.next_header));
  }
  void l4(IpProto protocol) {
    static constexpr IpProto kExtensions[] = {IpProto::hop_by_hop, IpProto::routing, IpProto::destination_options};
    if (std::find(std::begin(kExtensions), std::end(kExtensions), protocol) != std::end(kExtensions)) extension();
    if (protocol == IpProto::fragment) fragment();
    if (protocol == IpProto::ipip) ipv4();
    if (protocol == IpProto::ipv6) ipv6();
    if (protocol == IpProto::gre) gre();
    if (protocol == IpProto::tcp) tcp();
    if (protocol == IpProto::udp) udp();
    if (protocol == IpProto::icmp) icmp(3, 12);
    if (protocol == IpProto::icmpv6) icmp(1, 4);
  }
  void extension() {
    Ipv6Extension header;
    if (!take(header)) return;
    field("extension.next", header.next_header);
    field("extension.length", header.length);
    const std::size_t more = std::min<std::size_t>(rest_.size(), std::size_t{header.length} * 8);
    field("extension.data", hex_of(header.data) + hex_of(rest_.first(more)));
    rest_ = rest_.subspan(more);
    l4(static_cast<IpProto>(header.next_header));
  }
  void fragment() {
    Ipv6Fragment header;
    if (!take(header)) return;
    field("fragment.next", header.next_header);
    hex_field("fragment.offset_more", header.offset_more.host());
    field("fragment.id", header.id.host());
    if ((header.offset_more.host() & kIpv6FragmentOffsetMask) == 0) l4(static_cast<IpProto>(header.next_header));
  }
  void gre() {
    GreHeader header;
    if (!take(header)) return;
    hex_field("gre.flags", header.flags_version.host());
    hex_field("gre.proto", header.protocol.host());
    l3(header.protocol.host());
  }
  // Types from `first_error` to `last_error` quote a packet, but for the few that are none of ours.
  void icmp(std::uint8_t first_error, std::uint8_t last_error) {
    IcmpHeader icmp;
    if (!take(icmp)) return;
    field("icmp.type", icmp.type);
    field("icmp.code", icmp.code);
    hex_field("icmp.checksum", icmp.checksum.host());
    hex_field("icmp.rest", icmp.rest.host());
    const bool is_echo = icmp.type == static_cast<std::uint8_t>(Icmp4::echo_request);
    if (icmp.type < first_error || icmp.type > last_error || is_echo || rest_.empty()) return;
    field("icmp.quote", std::to_string(rest_.size()) + " bytes");
    rest_[0] >> 4 == 6 ? ipv6() : ipv4();
  }
  void tcp() {
    TcpHeader tcp;
    if (!take(tcp)) return;
    field("tcp.sport", tcp.ports.source.host());
    field("tcp.dport", tcp.ports.destination.host());
    field("tcp.seq", tcp.sequence.host());
    field("tcp.ack", tcp.acknowledgement.host());
    field("tcp.words", tcp.data_offset >> 4);
    hex_field("tcp.flags", tcp.flags);
    field("tcp.window", tcp.window.host());
    hex_field("tcp.checksum", tcp.checksum.host());
  }
  void udp() {
    UdpHeader udp;
    if (!take(udp)) return;
    field("udp.sport", udp.ports.source.host());
    field("udp.dport", udp.ports.destination.host());
    field("udp.len", udp.length.host());
    hex_field("udp.checksum", udp.checksum.host());
    if (udp.ports.destination.host() == kGuePort && !rest_.empty()) gue();
  }
  // Variant 1 begins with the version of its IP header, so its first two bits are 01.
  void gue() {
    if (rest_[0] >> 4 == 4) return ipv4();
    if (rest_[0] >> 4 == 6) return ipv6();
    GueHeader gue;
    if (!take(gue)) return;
    hex_field("gue.first", gue.variant_control_hlen);
    field("gue.proto", gue.protocol);
    hex_field("gue.flags", gue.flags.host());
    l4(static_cast<IpProto>(gue.protocol));
  }
  void data() {
    for (; !rest_.empty(); rest_ = rest_.subspan(std::min<std::size_t>(rest_.size(), 16)))
      field("data", hex_of(rest_.first(std::min<std::size_t>(rest_.size(), 16))));
  }

  std::span<const std::uint8_t> rest_;
  std::vector<std::string> lines_;
};

}  // namespace

std::vector<std::string> describe(std::span<const std::uint8_t> frame) {
  return Describer(frame).describe();
}

std::string diff(std::span<const std::uint8_t> expected, std::span<const std::uint8_t> got) {
  if (std::equal(expected.begin(), expected.end(), got.begin(), got.end())) return "";
  const auto want = describe(expected);
  const auto have = describe(got);
  std::string text = "expected " + std::to_string(expected.size()) + " bytes, got " + std::to_string(got.size()) + "\n";
  for (std::size_t i = 0; i < std::max(want.size(), have.size()); i++) {
    if (i < want.size() && i < have.size() && want[i] == have[i]) {
      text += "  " + want[i] + "\n";
      continue;
    }
    if (i < want.size()) text += "- " + want[i] + "\n";
    if (i < have.size()) text += "+ " + have[i] + "\n";
  }
  return text;
}

}  // namespace guideway::packet_text
