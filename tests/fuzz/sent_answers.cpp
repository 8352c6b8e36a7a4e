#include "tests/fuzz/sent_answers.h"

#include <algorithm>

#include "tests/fuzz/fuzz_tables.h"
#include "tests/fuzz/violation.h"

namespace guideway::fuzz {
namespace {

constexpr std::uint8_t kIcmp = 1, kTcp = 6, kUdp = 17, kIcmp6 = 58;
constexpr std::uint8_t kSyn = 2, kFin = 1, kRst = 4, kAck = 16;

// What the checks of one answer look at.
struct Exchange {
  const Arrival& came;
  const IpPacket& asked;
  BytesView request;
  const IpPacket& packet;
  BytesView answer;

  bool ipv4() const { return asked.family == Family::ipv4; }
  std::uint32_t request32(std::size_t at) const { return load<Be32>(&request[at]).host(); }
  std::uint32_t answer32(std::size_t at) const { return load<Be32>(&answer[at]).host(); }
  bool is_whole() const { return asked.end <= came.contiguous_bytes; }
};

void check_ethernet(const Exchange& x) {
  require((x.request[0] & 1) == 0, "a frame to a group MAC address was answered");
  require(std::equal(&x.answer[0], &x.answer[6], &x.request[6]),
          "an answer goes to another MAC address than it came from");
  require(load<EthernetHeader>(&x.answer[0]).source == port_mac(x.came.port),
          "an answer comes from another MAC address than its port's");
  require(x.packet.at == x.asked.at && std::equal(&x.answer[12], &x.answer[x.asked.at], &x.request[12]),
          "an answer has other VLAN tags than the packet it answers");
}

void check_ip(const Exchange& x, std::uint8_t traffic_class) {
  const std::uint8_t* ip = &x.answer[x.packet.at];
  require(x.packet.end == x.answer.size(), "an answer's frame is longer than its IP packet");
  require(x.packet.traffic_class == traffic_class, "an answer has a wrong traffic class");
  if (x.ipv4()) {
    require(x.packet.l4_at == x.packet.at + 20, "an answer has IPv4 options");
    require(ipv4_header_sum(x.packet.of(x.answer).first(20)) == 0xffff, "an answer's IPv4 header checksum is wrong");
    require(ip[8] == 64 && load<Be32>(ip + 4).host() == kIpv4DontFragment,
            "an answer's TTL, identification or DF is wrong");
  } else {
    require(x.packet.l4_at == x.packet.at + 40, "an answer has IPv6 extension headers");
    require(ip[7] == 64 && (load<Be32>(ip).host() & 0xfffff) == 0, "an answer's hop limit or flow label is wrong");
  }
  require(l4_sum(x.answer, x.packet) == 0xffff, "the checksum of an answer is wrong");
}

void check_echo_reply(const Exchange& x) {
  const std::size_t bytes = x.packet.l4_bytes();
  require(x.request[x.asked.l4_at] == (x.ipv4() ? 8 : 128) && x.asked.protocol == x.packet.protocol,
          "an echo reply answers no echo request");
  require(!x.asked.is_fragment(), "a fragment of an echo request was answered");
  require(l4_sum(x.request, x.asked) == 0xffff, "an echo request with a wrong checksum was answered");
  require(bytes == x.asked.l4_bytes(), "an echo reply has another length than the request");
  require(
      x.answer[x.packet.l4_at + 1] == x.request[x.asked.l4_at + 1] &&
          std::equal(&x.answer[x.packet.l4_at] + 4, &x.answer[x.packet.l4_at] + bytes, &x.request[x.asked.l4_at] + 4),
      "an echo reply carries other bytes than the request");
  check_ip(x, x.asked.traffic_class);
}

// RFC 9293, section 3.10.7.1.
void check_reset(const Exchange& x) {
  const std::size_t asked_at = x.asked.l4_at;
  const std::size_t at = x.packet.l4_at;
  require(x.asked.protocol == kTcp && x.packet.l4_bytes() == 20, "a reset answers no TCP, or has not 20 bytes");
  const std::uint8_t flags = x.request[asked_at + 13];
  const bool has_ack = (flags & kAck) != 0;
  require((flags & kRst) == 0, "a reset was answered with a reset");
  require(std::equal(&x.answer[at], &x.answer[at + 2], &x.request[asked_at + 2]) &&
              std::equal(&x.answer[at + 2], &x.answer[at + 4], &x.request[asked_at]),
          "a reset's ports are not those of the segment, exchanged");
  const std::size_t header_bytes = std::min<std::size_t>((x.request[asked_at + 12] >> 4) * 4U, x.asked.l4_bytes());
  const std::size_t length =
      x.asked.l4_bytes() - header_bytes + ((flags & kSyn) != 0 ? 1 : 0) + ((flags & kFin) != 0 ? 1 : 0);
  const std::uint32_t sequence = has_ack ? x.request32(asked_at + 8) : 0;
  const std::uint32_t acknowledged = has_ack ? 0 : x.request32(asked_at + 4) + static_cast<std::uint32_t>(length);
  require(x.answer32(at + 4) == sequence && x.answer32(at + 8) == acknowledged, "a reset's numbers are wrong");
  require(x.answer[at + 12] == 5 << 4 && x.answer[at + 13] == (has_ack ? kRst : kRst | kAck),
          "a reset's flags are wrong");
  require(load<Be16>(&x.answer[at + 14]).host() == 0, "a reset has a window");
  check_ip(x, 0);
}

bool is_known_error(const Exchange& x) {
  const unsigned type = x.answer[x.packet.l4_at], code = x.answer[x.packet.l4_at + 1];
  const bool tcp_or_udp = x.asked.protocol == kTcp || x.asked.protocol == kUdp;
  if (x.ipv4() ? type == 3 && code == 2 : type == 4 && code == 1) return !tcp_or_udp;
  if (x.ipv4()) return type == 3 && tcp_or_udp && (code == 1 || code == 3 || code == 4);
  return tcp_or_udp && ((type == 1 && (code == 3 || code == 4)) || (type == 2 && code == 0));
}

void check_rest_of_error(const Exchange& x) {
  const std::size_t at = x.packet.l4_at;
  const std::uint32_t rest = x.answer32(at + 4);
  if (x.ipv4() && x.answer[at + 1] == 4) {
    require((x.request[x.asked.at + 6] & 0x40) != 0, "\"fragmentation needed\" answers a packet without DF");
    require(rest >= 576 - 60 && rest < x.asked.end - x.asked.at,
            "\"fragmentation needed\" names an MTU that cannot be");
  } else if (!x.ipv4() && x.answer[at] == 2) {
    require(rest >= 1280 && x.asked.end - x.asked.at > 1280, "\"packet too big\" names an MTU that cannot be");
  } else if (!x.ipv4() && x.answer[at] == 4) {
    require(rest == x.asked.protocol_named_at - x.asked.at, "a parameter problem points at a wrong byte");
  } else {
    require(rest == 0, "an ICMP error has an unused word that is not zero");
  }
}

void check_error(const Exchange& x) {
  require(!is_icmp_error(x.request, x.asked), "an ICMP error was answered");
  require(is_known_error(x), "an ICMP error does not fit the packet that it answers");
  const BytesView quote = x.answer.subspan(x.packet.l4_at + 8, x.packet.l4_bytes() - 8);
  const BytesView quoted = x.asked.of(x.request);
  require(quote.size() <= quoted.size() && std::equal(quote.begin(), quote.end(), quoted.begin()),
          "an ICMP error quotes what did not come");
  const std::size_t room = x.ipv4() ? 576 - 28 : 1280 - 48;
  require(quote.size() <= room, "an ICMP error quotes too much");
  require(!x.is_whole() || quote.size() == std::min(room, quoted.size()), "an ICMP error quotes less than it could");
  check_rest_of_error(x);
  check_ip(x, x.ipv4() ? 0xc0 : 0);
}

}  // namespace

void check_answer(const Arrival& came, const IpPacket& asked, const SentFrame& sent, const IpPacket& packet,
                  const FuzzTables& tables) {
  const Exchange x{came, asked, came.frame, packet, sent.bytes};
  require(sent.port == came.port, "an answer left by another port than the packet came from");
  require(tables.is_vip(packet.source), "an answer comes from an address that is no VIP's");
  require(asked.fragment_offset == 0, "a later fragment was answered");
  check_ethernet(x);
  if (packet.protocol == kTcp) return check_reset(x);
  require(packet.protocol == (x.ipv4() ? kIcmp : kIcmp6) && packet.l4_bytes() >= 8,
          "an answer is neither TCP nor ICMP");
  if (sent.bytes[packet.l4_at] == (x.ipv4() ? 0 : 129))
    check_echo_reply(x);
  else
    check_error(x);
}

}  // namespace guideway::fuzz
