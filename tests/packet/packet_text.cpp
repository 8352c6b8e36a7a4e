#include "tests/packet/packet_text.h"

#include <algorithm>
#include <map>

#include "common/net/address_text.h"
#include "guideway/wire.h"

namespace guideway::packet_text {

const std::string* Fields::take(std::string_view name) {
  for (std::size_t i = 0; i < line_.fields.size(); i++) {
    if (taken_[i] || line_.fields[i].first != name) continue;
    taken_[i] = true;
    return &line_.fields[i].second;
  }
  return nullptr;
}
bool Fields::has(std::string_view name) const {
  return std::any_of(line_.fields.begin(), line_.fields.end(), [&](const auto& field) { return field.first == name; });
}
bool Fields::flag(std::string_view name) {
  const std::string* value = take(name);
  if (value != nullptr && !value->empty()) fail("\"" + std::string(name) + "\" takes no value");
  return value != nullptr;
}
std::string Fields::word() {
  for (std::size_t i = 0; i < line_.fields.size(); i++) {
    if (taken_[i] || !line_.fields[i].second.empty()) continue;
    taken_[i] = true;
    return line_.fields[i].first;
  }
  fail("\"" + line_.name + "\" lacks a word");
}
std::string Fields::text(std::string_view name, std::string_view otherwise) {
  const std::string* value = take(name);
  return value != nullptr ? *value : std::string(otherwise);
}
std::uint32_t Fields::number(std::string_view name, std::uint32_t otherwise) {
  const std::string* value = take(name);
  return value != nullptr ? parse_number(*value, line_.number) : otherwise;
}
void Fields::finish() const {
  for (std::size_t i = 0; i < taken_.size(); i++)
    if (!taken_[i]) fail("\"" + line_.name + "\" has no field \"" + line_.fields[i].first + "\"");
}

std::uint32_t parse_number(const std::string& text, int line) {
  std::size_t used = 0;
  unsigned long value = 0;
  try {
    value = std::stoul(text, &used, 0);
  } catch (const std::exception&) {
  }
  if (used == 0 || used != text.size() || value > 0xffffffff) throw TextError(line, "\"" + text + "\" is no number");
  return static_cast<std::uint32_t>(value);
}

namespace {

std::uint8_t low8(std::uint32_t value) {
  return static_cast<std::uint8_t>(value);
}
Be16 be16(std::uint32_t value) {
  return Be16::from_host(static_cast<std::uint16_t>(value));
}

template <typename Header>
void put_in_front(Bytes& bytes, const Header& header) {
  const auto raw = std::bit_cast<std::array<std::uint8_t, sizeof(Header)>>(header);
  bytes.insert(bytes.begin(), raw.begin(), raw.end());
}

// RFC 1071, over big-endian words, as in the RFC.
std::uint32_t sum_of(std::span<const std::uint8_t> bytes) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < bytes.size(); i++) sum += i % 2 == 0 ? bytes[i] * 256U : bytes[i];
  return sum;
}
std::uint32_t checksum_of(std::uint32_t sum) {
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return ~sum & 0xffff;
}

IpAddress parse_address(const std::string& text, const Fields& fields) {
  const auto ip = parse_ip(text);
  if (!ip) fields.fail("\"" + text + "\" is no address");
  return *ip;
}

Bytes parse_hex(const std::string& text, const Fields& fields) {
  Bytes bytes;
  for (std::size_t i = 0; i < text.size(); i += 2) {
    if (text.find_first_not_of("0123456789abcdef") != std::string::npos || text.size() % 2 != 0)
      fields.fail("\"" + text + "\" is no hex string");
    bytes.push_back(static_cast<std::uint8_t>(std::stoul(text.substr(i, 2), nullptr, 16)));
  }
  return bytes;
}

std::uint32_t tcp_flags(const std::string& letters, const Fields& fields) {
  static constexpr std::string_view kLetters = "FSRPAUEC";  // RFC 9293, section 3.1, from the lowest bit on
  std::uint32_t flags = 0;
  for (const char letter : letters) {
    const std::size_t bit = kLetters.find(letter);
    if (bit == std::string_view::npos) fields.fail("TCP flags are some of FSRPAUEC");
    flags |= 1U << bit;
  }
  return flags;
}

// Builds a packet from its last line to its first: `bytes` is what the lines behind gave.
class Builder {
 public:
  Builder(std::span<const Line> lines, const Bytes& inner) : lines_(lines), inner_(inner) {}

  Bytes build() {
    static const std::map<std::string_view, void (Builder::*)(Fields&)> kHeaders{
        {"eth", &Builder::eth},    {"vlan", &Builder::vlan},         {"ipv4", &Builder::ipv4},
        {"ipv6", &Builder::ipv6},  {"fragment", &Builder::fragment}, {"tcp", &Builder::tcp},
        {"udp", &Builder::udp},    {"icmp", &Builder::icmp},         {"icmpv6", &Builder::icmpv6},
        {"gue", &Builder::gue},    {"payload", &Builder::payload},   {"hex", &Builder::hex},
        {"inner", &Builder::inner}};
    std::size_t end = lines_.size();
    while (end > 0 && (lines_[end - 1].name == "pad" || lines_[end - 1].name == "cut")) end--;
    for (at_ = end; at_-- > 0;) {
      const auto header = kHeaders.find(lines_[at_].name);
      if (header == kHeaders.end()) throw TextError(lines_[at_].number, "no header \"" + lines_[at_].name + "\"");
      Fields fields(lines_[at_]);
      (this->*header->second)(fields);
      fields.finish();
    }
    for (const Line& line : lines_.subspan(end)) {
      Fields fields(line);
      const std::uint32_t count = parse_number(fields.word(), line.number);
      bytes_.resize(line.name == "pad" ? bytes_.size() + count : std::min<std::size_t>(bytes_.size(), count));
      fields.finish();
    }
    return std::move(bytes_);
  }

 private:
  // The number of the header behind, for the field `field`; what a name alone does not say must be given.
  std::uint32_t next(Fields& fields, std::string_view field, const std::map<std::string_view, std::uint32_t>& numbers) {
    const std::string given = fields.text(field, "");
    if (!given.empty()) return parse_number(given, lines_[at_].number);
    std::string_view name = at_ + 1 < lines_.size() ? std::string_view(lines_[at_ + 1].name) : "";
    if (name == "inner" && !inner_.empty()) name = inner_[0] >> 4 == 6 ? "ipv6" : "ipv4";
    const auto number = numbers.find(name);
    if (number == numbers.end())
      fields.fail("say " + std::string(field) + "=…: it does not follow from what comes next");
    return number->second;
  }
  std::uint32_t next_type(Fields& fields) {
    return next(fields, "type", {{"ipv4", 0x0800}, {"ipv6", 0x86dd}, {"vlan", 0x8100}});
  }
  std::uint32_t next_protocol(Fields& fields, std::string_view field) {
    return next(fields, field,
                {{"ipv4", 4}, {"ipv6", 41}, {"tcp", 6}, {"udp", 17}, {"icmp", 1}, {"icmpv6", 58}, {"fragment", 44}});
  }
  // The sum over the pseudo header of the IP header in front (RFC 9293, section 3.1; RFC 8200, section 8.1).
  std::uint32_t pseudo_sum(IpProto protocol) const {
    std::size_t ip = at_;
    while (ip > 0 && lines_[ip].name != "ipv4" && lines_[ip].name != "ipv6") ip--;
    Fields fields(lines_[ip]);
    const IpAddress source = parse_address(fields.text("src", ""), fields);
    const IpAddress destination = parse_address(fields.text("dst", ""), fields);
    const std::size_t skip = lines_[ip].name == "ipv4" ? 12 : 0;
    return sum_of(std::span(source.bytes).subspan(skip)) + sum_of(std::span(destination.bytes).subspan(skip)) +
           static_cast<std::uint32_t>(bytes_.size()) + static_cast<std::uint32_t>(protocol);
  }
  Be16 l4_checksum(Fields& fields, std::uint32_t computed) {
    return be16(fields.number("checksum", checksum_of(computed)));
  }

  void eth(Fields& fields) {
    const auto source = parse_mac(fields.text("src", "02:00:00:00:00:0c"));
    const auto destination = parse_mac(fields.text("dst", "02:00:00:00:00:01"));
    if (!source || !destination) fields.fail("a MAC address is six octets in hex");
    put_in_front(bytes_, EthernetHeader{*destination, *source, be16(next_type(fields))});
  }
  void vlan(Fields& fields) {  // IEEE 802.1Q: the tag's control information, then the type
    const Be16 control = be16(fields.number("id", 1));
    put_in_front(bytes_, std::array{control, be16(next_type(fields))});
  }
  void ipv4(Fields& fields) {
    const Bytes options = parse_hex(fields.text("options", ""), fields);
    bytes_.insert(bytes_.begin(), options.begin(), options.end());
    const auto header_bytes = static_cast<std::uint32_t>(sizeof(Ipv4Header) + options.size());
    Ipv4Header ip{};
    ip.version_ihl = low8(fields.number("version", 4) << 4 | fields.number("ihl", header_bytes / 4));
    ip.tos = low8(fields.number("dscp", 0) << 2 | fields.number("ecn", 0));
    ip.total_length = be16(fields.number("len", static_cast<std::uint32_t>(sizeof ip + bytes_.size())));
    ip.id = be16(fields.number("id", 0));
    ip.flags_fragment = be16((fields.flag("df") ? kIpv4DontFragment : 0U) |
                             (fields.flag("mf") ? kIpv4MoreFragments : 0U) | fields.number("offset", 0) / 8);
    ip.ttl = low8(fields.number("ttl", 64));
    ip.protocol = low8(next_protocol(fields, "proto"));
    ip.source = parse_address(fields.text("src", ""), fields).v4();
    ip.destination = parse_address(fields.text("dst", ""), fields).v4();
    put_in_front(bytes_, ip);
    const std::uint32_t checksum = checksum_of(sum_of(std::span(bytes_).first(header_bytes)));
    store(bytes_.data() + offsetof(Ipv4Header, checksum), be16(fields.number("checksum", checksum)));
  }
  void ipv6(Fields& fields) {
    Ipv6Header ip{};
    const std::uint32_t traffic_class = fields.number("dscp", 0) << 2 | fields.number("ecn", 0);
    ip.version_class_label =
        Be32::from_host(fields.number("version", 6) << 28 | traffic_class << 20 | fields.number("label", 0));
    ip.payload_length = be16(fields.number("len", static_cast<std::uint32_t>(bytes_.size())));
    ip.next_header = low8(next_protocol(fields, "next"));
    ip.hop_limit = low8(fields.number("hops", 64));
    ip.source = parse_address(fields.text("src", ""), fields).bytes;
    ip.destination = parse_address(fields.text("dst", ""), fields).bytes;
    put_in_front(bytes_, ip);
  }
  void fragment(Fields& fields) {  // RFC 8200, section 4.5
    struct Header {
      std::uint8_t next_header, reserved;
      Be16 offset_more;
      Be32 id;
    };
    const std::uint32_t offset_more = fields.number("offset", 0) | (fields.flag("more") ? 1U : 0U);
    const Be32 id = Be32::from_host(fields.number("id", 0));
    put_in_front(bytes_, Header{low8(next_protocol(fields, "next")), 0, be16(offset_more), id});
  }
  void tcp(Fields& fields) {
    TcpHeader tcp{};
    tcp.ports = ports(fields);
    tcp.sequence = Be32::from_host(fields.number("seq", 0));
    tcp.acknowledgement = Be32::from_host(fields.number("ack", 0));
    tcp.data_offset = 5 << 4;
    tcp.flags = low8(tcp_flags(fields.text("flags", "A"), fields));
    tcp.window = be16(fields.number("window", 65535));
    put_in_front(bytes_, tcp);
    const std::uint32_t sum = sum_of(bytes_) + pseudo_sum(IpProto::tcp);
    store(bytes_.data() + offsetof(TcpHeader, checksum), l4_checksum(fields, sum));
  }
  void udp(Fields& fields) {
    UdpHeader udp{};
    udp.ports = ports(fields);
    udp.length = be16(fields.number("len", static_cast<std::uint32_t>(sizeof udp + bytes_.size())));
    put_in_front(bytes_, udp);
    const std::uint32_t sum = sum_of(bytes_) + pseudo_sum(IpProto::udp);
    store(bytes_.data() + offsetof(UdpHeader, checksum), l4_checksum(fields, sum));
  }
  void icmp(Fields& fields) { put_icmp(fields, 0); }
  void icmpv6(Fields& fields) { put_icmp(fields, 1); }
  void put_icmp(Fields& fields, int has_pseudo_header) {
    const std::uint8_t type = low8(fields.number("type", 8));
    const std::uint8_t code = low8(fields.number("code", 0));
    put_in_front(bytes_, std::array<std::uint8_t, 8>{type, code});
    const std::uint32_t sum = sum_of(bytes_) + (has_pseudo_header != 0 ? pseudo_sum(IpProto::icmpv6) : 0);
    store(bytes_.data() + 2, l4_checksum(fields, sum));
  }
  void gue(Fields& fields) {
    const std::uint8_t first = low8(fields.number("first", 0));
    put_in_front(bytes_, GueHeader{first, low8(next_protocol(fields, "proto")), be16(fields.number("flags", 0))});
  }
  void payload(Fields& fields) {
    const std::uint32_t count = parse_number(fields.word(), lines_[at_].number);
    Bytes counting(count);
    for (std::uint32_t i = 0; i < count; i++) counting[i] = low8(i);
    bytes_.insert(bytes_.begin(), counting.begin(), counting.end());
  }
  void hex(Fields& fields) {
    const Bytes raw = parse_hex(fields.word(), fields);
    bytes_.insert(bytes_.begin(), raw.begin(), raw.end());
  }
  void inner(Fields&) { bytes_.insert(bytes_.begin(), inner_.begin(), inner_.end()); }

  static Ports ports(Fields& fields) { return {be16(fields.number("sport", 40000)), be16(fields.number("dport", 80))}; }

  std::span<const Line> lines_;
  const Bytes& inner_;
  Bytes bytes_;
  std::size_t at_ = 0;
};

}  // namespace

Bytes build_packet(std::span<const Line> lines, const Bytes& inner) {
  return Builder(lines, inner).build();
}

}  // namespace guideway::packet_text
