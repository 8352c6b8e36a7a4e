#include "tests/fuzz/sent_frames.h"

#include <algorithm>

#include "tests/fuzz/sent_answers.h"
#include "tests/fuzz/violation.h"

namespace guideway::fuzz {
namespace {

constexpr std::size_t kIpv4Bytes = 20, kIpv6Bytes = 40;

IpPacket read_sent(BytesView frame) {
  const auto packet = read_ip(frame);
  if (!packet) violated("a frame was sent whose IP header contradicts it");
  require(packet->end == frame.size(), "a frame was sent that is longer than its IP packet");
  return *packet;
}

IpPacket read_that_came(const Arrival& came) {
  const auto packet = read_ip(came.frame);
  if (!packet) violated("a packet was answered or forwarded that is unsound");
  return *packet;
}

Be16 be16(std::size_t value) {
  return Be16::from_host(static_cast<std::uint16_t>(value));
}

// ---- to a backend --------------------------------------------------------------------------------------------------

const FuzzTables::Way& way_of(const SentFrame& sent, const FuzzTables& tables) {
  const auto* way = tables.way_by(load<MacAddress>(sent.bytes.data()));
  if (way == nullptr) violated("a frame was sent to a MAC address that is nobody's");
  return *way;
}

void check_front(const SentFrame& sent, const FuzzTables::Way& way) {
  const Egress& egress = *way.backend->egress;
  require(sent.port == egress.port, "a frame left by another port than its backend's");
  require(load<MacAddress>(&sent.bytes[6]) == egress.source_mac, "a frame's source is not the MAC address of its port");
  std::size_t at = 12;
  for (const std::uint16_t vlan : egress.vlans) {
    require(load<Be16>(&sent.bytes[at]).host() == 0x8100 || load<Be16>(&sent.bytes[at]).host() == 0x88a8,
            "a frame lacks a VLAN tag of its port");
    require(load<Be16>(&sent.bytes[at + 2]).host() == vlan, "a frame has another VLAN than its port");
    at += 4;
  }
}

void check_outer_ip(BytesView frame, const IpPacket& outer, const FuzzTables::Way& way, std::uint8_t inner_class) {
  const DesiredPool& pool = *way.pool;
  const Egress& egress = *way.backend->egress;
  const std::uint8_t* ip = &frame[outer.at];
  if (outer.family == Family::ipv4) {
    require(outer.l4_at == outer.at + kIpv4Bytes, "outer headers have IPv4 options");
    require(ipv4_header_sum(outer.of(frame).first(kIpv4Bytes)) == 0xffff, "an outer IPv4 header checksum is wrong");
    require(ip[8] == 64 && load<Be32>(ip + 4).host() == kIpv4DontFragment,
            "an outer TTL, identification or DF is wrong");
  } else {
    require(outer.l4_at == outer.at + kIpv6Bytes && ip[7] == 64, "an outer IPv6 header is wrong");
  }
  require(outer.destination == way.backend->address, "an outer destination is not its backend's address");
  const bool varies = egress.source_prefix && (pool.encap == Encap::ipip || pool.encap == Encap::gre);
  require(varies ? covers(*egress.source_prefix, outer.source) : outer.source == egress.source,
          "an outer source is none of ours");
  const unsigned dscp = pool.dscp ? *pool.dscp : inner_class >> 2U;
  require(outer.traffic_class == (dscp << 2U | (inner_class & 3U)), "an outer traffic class is wrong");
}

void check_udp(BytesView frame, const IpPacket& outer) {
  const std::uint8_t* udp = &frame[outer.l4_at];
  require(load<Be16>(udp).host() >= 0xc000 && load<Be16>(udp + 2).host() == kGuePort, "an outer UDP port is wrong");
  require(load<Be16>(udp + 4).host() == outer.l4_bytes(), "an outer UDP length is wrong");
  if (outer.family == Family::ipv4)
    require(load<Be16>(udp + 6).host() == 0, "an outer UDP checksum over IPv4 is not zero");
  else
    require(load<Be16>(udp + 6).host() != 0 && l4_sum(frame, outer) == 0xffff, "an outer UDP checksum is wrong");
}

// Where the inner packet begins.
std::size_t open_tunnel(BytesView frame, const IpPacket& outer, Encap encap, Family inner) {
  const std::uint8_t protocol = inner == Family::ipv4 ? 4 : 41;
  const std::size_t header_bytes = encap == Encap::ipip ? 0 : encap == Encap::gre ? 4 : encap == Encap::gue0 ? 12 : 8;
  require(outer.l4_bytes() > header_bytes, "outer headers carry nothing");
  const std::uint8_t* behind = &frame[outer.l4_at];
  switch (encap) {
    case Encap::ipip:
      require(outer.protocol == protocol, "an outer header names another family than the inner packet's");
      break;
    case Encap::gre:
      require(outer.protocol == 47 && load<Be32>(behind).host() == (inner == Family::ipv4 ? 0x0800U : 0x86ddU),
              "a GRE header is wrong");
      break;
    case Encap::gue0:
      require(load<Be32>(behind + 8).host() == std::uint32_t{protocol} << 16, "a GUE header is wrong");
      [[fallthrough]];
    case Encap::gue1:
      require(outer.protocol == 17, "GUE is carried by another protocol than UDP");
      check_udp(frame, outer);
      break;
    case Encap::l2dsr:
      break;
  }
  return outer.l4_at + header_bytes;
}

// The inner packet of a frame that is sound in all its outer parts.
BytesView opened(const SentFrame& sent, Family inner, std::uint8_t inner_class, const FuzzTables::Way& way) {
  const BytesView frame = sent.bytes;
  const IpPacket outer = read_sent(frame);
  check_front(sent, way);
  require(outer.at == 14 + 4 * way.backend->egress->vlans.size(),
          "a frame has another number of VLAN tags than its port");
  if (way.pool->encap == Encap::l2dsr) return outer.of(frame);
  require(!outer.is_fragment(), "an outer packet is a fragment that is none of ours");
  check_outer_ip(frame, outer, way, inner_class);
  return frame.subspan(open_tunnel(frame, outer, way.pool->encap, inner));
}

void check_served(const Arrival& came, const IpPacket& packet, const FuzzTables::Way& way, const FuzzTables& tables) {
  require(tables.is_vip(packet.destination), "a packet was forwarded that is to no VIP");
  require(load<MacAddress>(&came.frame[6]) != way.backend->egress->source_mac,
          "a frame of our own was forwarded again");
}

void check_fits(const SentFrame& sent, const FuzzTables::Way& way) {
  const std::size_t ip_at = 14 + 4 * way.backend->egress->vlans.size();
  require(sent.bytes.size() - ip_at <= way.backend->egress->path_mtu_bytes, "a frame is larger than its path MTU");
}

void check_forwarded(const Arrival& came, const IpPacket& packet, const SentFrame& sent, const FuzzTables& tables) {
  const auto& way = way_of(sent, tables);
  check_served(came, packet, way, tables);
  check_fits(sent, way);
  const BytesView inner = opened(sent, packet.family, packet.traffic_class, way);
  require(std::ranges::equal(inner, packet.of(came.frame)), "the packet that was forwarded is not the one that came");
}

// ---- in fragments --------------------------------------------------------------------------------------------------

// A receiver's view: pieces in order, without gaps, each but the last of whole units.
void check_order(const std::vector<SentFrame>& sent, std::size_t first_offset, bool ends_whole) {
  std::size_t offset = first_offset;
  for (std::size_t i = 0; i < sent.size(); i++) {
    const IpPacket piece = read_sent(sent[i].bytes);
    const bool is_last = i + 1 == sent.size();
    require(piece.fragment_offset == offset, "fragments do not follow each other");
    require(piece.more_fragments == (!is_last || !ends_whole), "a fragment says wrongly whether more follow");
    require(is_last || piece.l4_bytes() % 8 == 0, "a fragment before the last is not of whole units");
    require(piece.l4_bytes() > 0, "a fragment is empty");
    offset += piece.l4_bytes();
  }
}

std::uint32_t id_of(BytesView frame, const IpPacket& piece) {
  if (piece.family == Family::ipv4) return load<Be16>(&frame[piece.at + 4]).host();
  require(piece.fragment_header_at != 0, "an IPv6 fragment has no fragment header");
  return load<Be32>(&frame[piece.fragment_header_at + 4]).host();
}

// The outer packet as it was before it was cut.
SentFrame outer_whole(const std::vector<SentFrame>& sent) {
  SentFrame whole = sent.front();
  const IpPacket first = read_sent(whole.bytes);
  const std::uint32_t id = id_of(whole.bytes, first);
  for (std::size_t i = 1; i < sent.size(); i++) {
    const IpPacket piece = read_sent(sent[i].bytes);
    require(id_of(sent[i].bytes, piece) == id && piece.source == first.source && piece.destination == first.destination,
            "fragments of one packet do not belong together");
    whole.bytes.insert(whole.bytes.end(), sent[i].bytes.begin() + static_cast<std::ptrdiff_t>(piece.l4_at),
                       sent[i].bytes.end());
  }
  std::uint8_t* ip = &whole.bytes[first.at];
  if (first.family == Family::ipv4) {
    store(ip + 2, be16(whole.bytes.size() - first.at));
    store(ip + 4, Be32::from_host(kIpv4DontFragment));
    store(ip + 10, Be16{});
    store(ip + 10, be16(0xffffU ^ ipv4_header_sum({ip, kIpv4Bytes})));
  } else {
    ip[6] = whole.bytes[first.fragment_header_at];
    const auto header = whole.bytes.begin() + static_cast<std::ptrdiff_t>(first.fragment_header_at);
    whole.bytes.erase(header, header + 8);
    store(&whole.bytes[first.at] + 4, be16(whole.bytes.size() - first.at - kIpv6Bytes));
  }
  return whole;
}

void check_outer_fragments(const Arrival& came, const IpPacket& packet, const std::vector<SentFrame>& sent,
                           const FuzzTables& tables) {
  check_order(sent, 0, true);
  const SentFrame whole = outer_whole(sent);
  const BytesView inner = opened(whole, packet.family, packet.traffic_class, way_of(whole, tables));
  require(std::ranges::equal(inner, packet.of(came.frame)),
          "outer fragments put together are not the packet that came");
}

// The inner fragments as frames of their own, so that they can be looked at like the others.
std::vector<SentFrame> inner_frames(const IpPacket& packet, const std::vector<SentFrame>& sent,
                                    const FuzzTables& tables) {
  std::vector<SentFrame> frames;
  for (const SentFrame& frame : sent) {
    const BytesView inner = opened(frame, packet.family, packet.traffic_class, way_of(frame, tables));
    Bytes bytes(12, 0);
    bytes.insert(bytes.end(), {0x08, 0x00});
    bytes.insert(bytes.end(), inner.begin(), inner.end());
    frames.push_back({frame.port, bytes});
  }
  return frames;
}

// RFC 791, section 3.1: a fragment other than the first has only the options that say so in their first bit; in the
// place of the others it has "no operation".
Bytes options_of_later_fragment(BytesView options) {
  Bytes later(options.begin(), options.end());
  for (std::size_t at = 0; at < later.size() && later[at] != 0;) {
    std::size_t bytes = 1;
    if (later[at] != 1 && at + 1 < later.size())
      bytes = std::min(std::max<std::size_t>(later[at + 1], 2), later.size() - at);
    if (later[at] < 128) std::fill_n(later.begin() + static_cast<std::ptrdiff_t>(at), bytes, std::uint8_t{1});
    at += bytes;
  }
  return later;
}

void check_inner_options(BytesView frame, const IpPacket& piece, const Arrival& came, const IpPacket& packet) {
  const auto options_in = [](BytesView bytes, const IpPacket& of) {
    return bytes.subspan(of.at + kIpv4Bytes, of.l4_at - of.at - kIpv4Bytes);
  };
  const BytesView original = options_in(came.frame, packet);
  const BytesView options = options_in(frame, piece);
  const bool is_first = piece.fragment_offset == packet.fragment_offset;
  require(is_first ? std::ranges::equal(options, original)
                   : std::ranges::equal(options, options_of_later_fragment(original)),
          "an inner fragment has wrong options");
}

// What a fragment has of its datagram's header.
void check_inner_header(BytesView frame, const IpPacket& piece, const Arrival& came, const IpPacket& packet) {
  const std::uint8_t* ip = &frame[piece.at];
  const std::uint8_t* original = &came.frame[packet.at];
  require(piece.l4_at - piece.at == packet.l4_at - packet.at && ip[1] == original[1] &&
              std::equal(ip + 4, ip + 6, original + 4) && std::equal(ip + 8, ip + 10, original + 8) &&
              std::equal(ip + 12, ip + 20, original + 12),
          "an inner fragment has another header than the packet that came");
  require((ip[6] & 0xc0) == (original[6] & 0xc0), "an inner fragment has other flags than the packet that came");
  require(ipv4_header_sum({ip, piece.l4_at - piece.at}) == 0xffff, "an inner fragment's header checksum is wrong");
}

void check_inner_fragments(const Arrival& came, const IpPacket& packet, const std::vector<SentFrame>& sent,
                           const FuzzTables& tables) {
  require(packet.family == Family::ipv4, "an IPv6 packet was cut");
  const std::vector<SentFrame> frames = inner_frames(packet, sent, tables);
  check_order(frames, packet.fragment_offset, !packet.more_fragments);
  Bytes payload;
  for (const SentFrame& frame : frames) {
    const IpPacket piece = read_sent(frame.bytes);
    check_inner_header(frame.bytes, piece, came, packet);
    check_inner_options(frame.bytes, piece, came, packet);
    payload.insert(payload.end(), frame.bytes.begin() + static_cast<std::ptrdiff_t>(piece.l4_at), frame.bytes.end());
  }
  const BytesView whole = packet.of(came.frame).subspan(packet.l4_at - packet.at);
  require(std::ranges::equal(payload, whole), "inner fragments put together are not the packet that came");
}

}  // namespace

bool is_answer(const Arrival& came, const SentFrame& sent) {
  const IpPacket packet = read_that_came(came);
  const IpPacket out = read_sent(sent.bytes);
  return out.source == packet.destination && out.destination == packet.source;
}

void check_sent(const Arrival& came, const SentFrame& sent, const FuzzTables& tables) {
  const IpPacket packet = read_that_came(came);
  if (is_answer(came, sent))
    check_answer(came, packet, sent, read_sent(sent.bytes), tables);
  else
    check_forwarded(came, packet, sent, tables);
}

void check_sent_in_fragments(const Arrival& came, const std::vector<SentFrame>& sent, bool some_refused,
                             const FuzzTables& tables) {
  const IpPacket packet = read_that_came(came);
  for (const SentFrame& frame : sent) {
    const auto& way = way_of(frame, tables);
    check_front(frame, way);
    check_fits(frame, way);
    check_served(came, packet, way, tables);
  }
  if (some_refused || sent.empty()) return;
  const FuzzTables::Way& way = way_of(sent.front(), tables);
  require(way.pool->oversize != Oversize::drop, "a packet was cut that is to be dropped");
  const bool cut_inside = packet.family == Family::ipv4 &&
                          (way.pool->oversize == Oversize::fragment_inner || way.pool->encap == Encap::l2dsr);
  require(packet.family == Family::ipv6 || (came.frame[packet.at + 6] & 0x40) == 0, "a packet with DF was cut");
  if (cut_inside)
    check_inner_fragments(came, packet, sent, tables);
  else
    check_outer_fragments(came, packet, sent, tables);
}

}  // namespace guideway::fuzz
