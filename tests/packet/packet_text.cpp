#include "tests/packet/packet_text.h"

#include <algorithm>

#include "common/net/address_text.h"
#include "guideway/wire.h"

namespace guideway::packet_text {
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
Be16 checksum_field(Fields& fields, std::uint32_t computed) {
  const std::string given = fields.text("checksum", "");
  if (given.empty()) return be16(computed);
  return given == "bad" ? be16(computed ^ 1) : be16(parse_number(given, fields.line()));
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

// Builds a packet from its last line to its first: `bytes_` is what the lines behind gave. Where a line "inner" gives
// a range only, `whole_` is the same with all of it, for what UDP says of a datagram that leaves in fragments.
class Builder {
 public:
  Builder(std::span<const Line> lines, const InnerPackets& inner) : lines_(lines), inner_(inner) {}

  Bytes build() {
    const std::size_t end = behind_headers();
    headers(quote(end));
    for (const Line& line : lines_.subspan(end)) {
      Fields fields(line);
      const std::uint32_t count = parse_number(fields.word(), line.number);
      bytes_.resize(line.name == "pad" ? bytes_.size() + count : std::min<std::size_t>(bytes_.size(), count));
      fields.finish();
    }
    return std::move(bytes_);
  }

 private:
  using Numbers = std::map<std::string_view, std::uint32_t>;

  std::size_t behind_headers() const {
    std::size_t end = lines_.size();
    while (end > 0 && (lines_[end - 1].name == "pad" || lines_[end - 1].name == "cut")) end--;
    return end;
  }
  // What is behind a line "quote" is a packet of its own. Says where the headers in front of it end.
  std::size_t quote(std::size_t end) {
    const auto first = lines_.begin();
    const auto found = std::find_if(first, first + static_cast<std::ptrdiff_t>(end),
                                    [](const Line& line) { return line.name == "quote"; });
    const auto at = static_cast<std::size_t>(found - first);
    if (at == end) return end;
    Fields fields(lines_[at]);
    bytes_ = Builder(lines_.subspan(at + 1, end - at - 1), inner_).build();
    bytes_.resize(std::min<std::size_t>(bytes_.size(), fields.number("cut", 0xffffffff)));
    whole_ = bytes_;
    fields.finish();
    return at;
  }
  void headers(std::size_t end) {
    static const std::map<std::string_view, void (Builder::*)(Fields&)> kHeaders{
        {"eth", &Builder::eth},         {"vlan", &Builder::vlan},       {"qinq", &Builder::vlan},
        {"ipv4", &Builder::ipv4},       {"ipv6", &Builder::ipv6},       {"hopopts", &Builder::options},
        {"dstopts", &Builder::options}, {"routing", &Builder::routing}, {"fragment", &Builder::fragment},
        {"tcp", &Builder::tcp},         {"udp", &Builder::udp},         {"icmp", &Builder::icmp},
        {"icmpv6", &Builder::icmpv6},   {"gre", &Builder::gre},         {"gue", &Builder::gue},
        {"payload", &Builder::payload}, {"hex", &Builder::hex},         {"inner", &Builder::inner}};
    for (at_ = end; at_-- > 0;) {
      const auto header = kHeaders.find(lines_[at_].name);
      if (header == kHeaders.end()) throw TextError(lines_[at_].number, "no header \"" + lines_[at_].name + "\"");
      Fields fields(lines_[at_]);
      (this->*header->second)(fields);
      fields.finish();
    }
  }

  template <typename Header>
  void put(const Header& header) {
    put_in_front(bytes_, header);
    put_in_front(whole_, header);
  }
  void put_bytes(std::span<const std::uint8_t> more) {
    bytes_.insert(bytes_.begin(), more.begin(), more.end());
    whole_.insert(whole_.begin(), more.begin(), more.end());
  }
  void put_checksum(std::size_t offset, Be16 checksum) {
    store(bytes_.data() + offset, checksum);
    store(whole_.data() + offset, checksum);
  }

  // The number of the header behind, for the field `field`; what a name alone does not say must be given.
  std::uint32_t next(Fields& fields, std::string_view field, const Numbers& numbers) {
    const std::string given = fields.text(field, "");
    if (!given.empty()) return parse_number(given, lines_[at_].number);
    std::string_view name = at_ + 1 < lines_.size() ? std::string_view(lines_[at_ + 1].name) : "";
    if (name == "inner" && !bytes_.empty() && !Fields(lines_[at_ + 1]).has("from"))
      name = bytes_[0] >> 4 == 6 ? "ipv6" : "ipv4";
    const auto number = numbers.find(name);
    if (number == numbers.end())
      fields.fail("say " + std::string(field) + "=…: it does not follow from what comes next");
    return number->second;
  }
  std::uint32_t next_type(Fields& fields) {
    return next(fields, "type", {{"ipv4", 0x0800}, {"ipv6", 0x86dd}, {"vlan", 0x8100}, {"qinq", 0x88a8}});
  }
  std::uint32_t next_protocol(Fields& fields, std::string_view field) {
    return next(fields, field,
                {{"hopopts", 0},
                 {"icmp", 1},
                 {"ipv4", 4},
                 {"tcp", 6},
                 {"udp", 17},
                 {"ipv6", 41},
                 {"routing", 43},
                 {"fragment", 44},
                 {"gre", 47},
                 {"icmpv6", 58},
                 {"dstopts", 60}});
  }
  // RFC 1071 over a segment and the pseudo header of the IP header in front (RFC 9293, section 3.1; RFC 8200,
  // section 8.1).
  std::uint32_t segment_checksum(const Bytes& segment, IpProto protocol) const {
    std::size_t ip = at_;
    while (ip > 0 && lines_[ip].name != "ipv4" && lines_[ip].name != "ipv6") ip--;
    Fields fields(lines_[ip]);
    const IpAddress source = fields.address("src");
    const IpAddress destination = fields.address("dst");
    const std::size_t skip = lines_[ip].name == "ipv4" ? 12 : 0;
    return checksum_of(sum_of(std::span(source.bytes).subspan(skip)) +
                       sum_of(std::span(destination.bytes).subspan(skip)) + static_cast<std::uint32_t>(segment.size()) +
                       static_cast<std::uint32_t>(protocol) + sum_of(segment));
  }

  void eth(Fields& fields) {
    const auto source = parse_mac(fields.text("src", "02:00:00:00:00:0c"));
    const auto destination = parse_mac(fields.text("dst", "02:00:00:00:00:01"));
    if (!source || !destination) fields.fail("a MAC address is six octets in hex");
    put(EthernetHeader{*destination, *source, be16(next_type(fields))});
  }
  void vlan(Fields& fields) {
    const Be16 control = be16(fields.number("priority", 0) << 13 | fields.number("id", 1));
    put(VlanTag{control, be16(next_type(fields))});
  }
  void ipv4(Fields& fields) {
    const Bytes options = parse_hex(fields.text("options", ""), fields.line());
    Ipv4Header ip{};
    const auto header_bytes = static_cast<std::uint32_t>(sizeof ip + options.size());
    ip.version_ihl = low8(fields.number("version", 4) << 4 | fields.number("ihl", header_bytes / 4));
    ip.tos = low8(fields.number("dscp", 0) << 2 | fields.number("ecn", 0));
    ip.total_length = be16(fields.number("len", static_cast<std::uint32_t>(header_bytes + bytes_.size())));
    ip.id = be16(fields.number("id", 0));
    ip.flags_fragment = be16((fields.flag("df") ? kIpv4DontFragment : 0U) |
                             (fields.flag("mf") ? kIpv4MoreFragments : 0U) | fields.number("offset", 0) / 8);
    ip.ttl = low8(fields.number("ttl", 64));
    ip.protocol = low8(next_protocol(fields, "proto"));
    ip.source = fields.address("src").v4();
    ip.destination = fields.address("dst").v4();
    put_bytes(options);
    put(ip);
    const std::uint32_t computed = checksum_of(sum_of(std::span(bytes_).first(header_bytes)));
    put_checksum(offsetof(Ipv4Header, checksum), checksum_field(fields, computed));
  }
  void ipv6(Fields& fields) {
    Ipv6Header ip{};
    const std::uint32_t traffic_class = fields.number("dscp", 0) << 2 | fields.number("ecn", 0);
    ip.version_class_label =
        Be32::from_host(fields.number("version", 6) << 28 | traffic_class << 20 | fields.number("label", 0));
    ip.payload_length = be16(fields.number("len", static_cast<std::uint32_t>(bytes_.size())));
    ip.next_header = low8(next_protocol(fields, "next"));
    ip.hop_limit = low8(fields.number("hops", 64));
    ip.source = fields.address("src").bytes;
    ip.destination = fields.address("dst").bytes;
    put(ip);
  }
  // Hop-by-hop and destination options, filled with one PadN option (RFC 8200, section 4.2).
  void options(Fields& fields) {
    Bytes header(extension_bytes(fields));
    header[0] = low8(next_protocol(fields, "next"));
    header[1] = low8(fields.number("length", static_cast<std::uint32_t>(header.size() / 8 - 1)));
    header[2] = 1;
    header[3] = low8(static_cast<std::uint32_t>(header.size()) - 4);
    put_bytes(header);
  }
  // Behind the first four bytes, a routing header's content is its type's business: zeros (RFC 8200, section 4.4).
  void routing(Fields& fields) {
    Bytes header(extension_bytes(fields));
    header[0] = low8(next_protocol(fields, "next"));
    header[1] = low8(fields.number("length", static_cast<std::uint32_t>(header.size() / 8 - 1)));
    header[2] = low8(fields.number("type", 4));
    header[3] = low8(fields.number("left", 0));
    put_bytes(header);
  }
  static std::uint32_t extension_bytes(Fields& fields) {
    const std::uint32_t bytes = fields.number("bytes", 8);
    if (bytes == 0 || bytes % 8 != 0) fields.fail("an extension header has a multiple of 8 bytes");
    return bytes;
  }
  void fragment(Fields& fields) {
    const std::uint32_t offset_more = fields.number("offset", 0) | (fields.flag("more") ? kIpv6MoreFragments : 0U);
    const Be32 id = Be32::from_host(fields.number("id", 0));
    const std::uint8_t reserved = low8(fields.number("reserved", 0));
    put(Ipv6Fragment{low8(next_protocol(fields, "next")), reserved, be16(offset_more), id});
  }
  void tcp(Fields& fields) {
    const Bytes options = parse_hex(fields.text("options", ""), fields.line());
    put_bytes(options);
    TcpHeader tcp{};
    tcp.ports = ports(fields);
    tcp.sequence = Be32::from_host(fields.number("seq", 0));
    tcp.acknowledgement = Be32::from_host(fields.number("ack", 0));
    tcp.data_offset = low8(fields.number("words", static_cast<std::uint32_t>(5 + options.size() / 4)) << 4);
    tcp.flags = low8(tcp_flags(fields.text("flags", "A"), fields));
    tcp.window = be16(fields.number("window", 65535));
    put(tcp);
    put_checksum(offsetof(TcpHeader, checksum), checksum_field(fields, segment_checksum(bytes_, IpProto::tcp)));
  }
  void udp(Fields& fields) {
    const Bytes& datagram = fields.flag("whole") ? whole_ : bytes_;
    UdpHeader udp{};
    udp.ports = ports(fields);
    udp.length = be16(fields.number("len", static_cast<std::uint32_t>(sizeof udp + datagram.size())));
    put(udp);
    const std::uint32_t computed = segment_checksum(datagram, IpProto::udp);  // 0 would say "none" (RFC 768)
    put_checksum(offsetof(UdpHeader, checksum), checksum_field(fields, computed == 0 ? 0xffff : computed));
  }
  void icmp(Fields& fields) {
    put_icmp(fields, 8, fields.has("pointer") ? fields.number("pointer", 0) << 24 : fields.number("mtu", 0));
    put_checksum(offsetof(IcmpHeader, checksum), checksum_field(fields, checksum_of(sum_of(bytes_))));
  }
  void icmpv6(Fields& fields) {
    put_icmp(fields, 128, fields.has("pointer") ? fields.number("pointer", 0) : fields.number("mtu", 0));
    put_checksum(offsetof(IcmpHeader, checksum), checksum_field(fields, segment_checksum(bytes_, IpProto::icmpv6)));
  }
  void put_icmp(Fields& fields, std::uint32_t type, std::uint32_t rest) {
    IcmpHeader icmp{};
    icmp.type = low8(fields.number("type", type));
    icmp.code = low8(fields.number("code", 0));
    icmp.rest = Be32::from_host(rest | fields.number("id", 0) << 16 | fields.number("seq", 0));
    put(icmp);
  }
  void gre(Fields& fields) {
    const Be16 flags = be16(fields.number("flags", 0));
    put(GreHeader{flags, be16(next_type(fields))});
  }
  void gue(Fields& fields) {
    const std::uint8_t first = low8(fields.number("first", 0));
    put(GueHeader{first, low8(next_protocol(fields, "proto")), be16(fields.number("flags", 0))});
  }
  void payload(Fields& fields) {
    Bytes counting(parse_number(fields.word(), lines_[at_].number));
    const std::uint32_t from = fields.number("from", 0);
    for (std::uint32_t i = 0; i < counting.size(); i++) counting[i] = low8(from + i);
    put_bytes(counting);
  }
  void hex(Fields& fields) { put_bytes(parse_hex(fields.word(), fields.line())); }
  void inner(Fields& fields) {
    const auto found = inner_.find(fields.text("of", ""));
    if (found == inner_.end()) fields.fail("there is no packet that \"inner\" could be");
    const Bytes& packet = found->second;
    const auto bytes = static_cast<std::uint32_t>(packet.size());
    const std::uint32_t from = std::min(fields.number("from", 0), bytes);
    const std::uint32_t to = std::clamp(fields.number("to", bytes), from, bytes);
    bytes_.insert(bytes_.begin(), packet.begin() + from, packet.begin() + to);
    whole_.insert(whole_.begin(), packet.begin(), packet.end());
  }

  static Ports ports(Fields& fields) { return {be16(fields.number("sport", 40000)), be16(fields.number("dport", 80))}; }

  std::span<const Line> lines_;
  const InnerPackets& inner_;
  Bytes bytes_;
  Bytes whole_;
  std::size_t at_ = 0;
};

}  // namespace

Bytes build_packet(std::span<const Line> lines, const InnerPackets& inner) {
  return Builder(lines, inner).build();
}

}  // namespace guideway::packet_text
