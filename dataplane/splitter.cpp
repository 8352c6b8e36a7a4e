#include "dataplane/splitter.h"

#include <algorithm>

#include "dataplane/stages/checksum.h"
#include "dataplane/stages/stages.h"

namespace guideway {
namespace {

constexpr std::uint32_t kUnitBytes = 8;  // of fragment offsets
// Of the largest packet over the smallest path MTU, behind the most headers: GUE over IPv4 and an inner header with
// options.
constexpr std::uint32_t kRoomMin = (576 - 32 - 60) / kUnitBytes * kUnitBytes;
constexpr std::size_t kFragmentsMax = 65535 / kRoomMin + 1;

// A part of what is cut.
struct Piece {
  std::uint32_t at;
  std::uint32_t bytes;
  bool is_last;
};

constexpr std::uint32_t whole_units(std::uint32_t bytes) {
  return bytes / kUnitBytes * kUnitBytes;
}

void set_ipv4_lengths(std::uint8_t* ip, std::uint32_t header_bytes, std::uint32_t payload_bytes) {
  store(ip + offsetof(Ipv4Header, total_length),
        Be16::from_host(static_cast<std::uint16_t>(header_bytes + payload_bytes)));
  store(ip + offsetof(Ipv4Header, checksum), std::uint16_t{0});
  store(ip + offsetof(Ipv4Header, checksum), checksum_of(ones_sum(ip, header_bytes)));
}

void append(Packet& packet, const void* bytes, std::uint32_t count) {
  std::memcpy(packet.data + packet.frame_bytes, bytes, count);
  packet.frame_bytes += count;
  packet.contiguous_bytes = static_cast<std::uint16_t>(packet.frame_bytes);
}

// Options without the copy flag belong to the first fragment only (RFC 791, section 3.1): the others have "no
// operation" in their place, so that all headers are equally long.
void blank_options(std::uint8_t* ip, std::uint32_t header_bytes) {
  constexpr std::uint8_t kEnd = 0, kNoOperation = 1, kCopied = 0x80;
  for (std::uint32_t at = sizeof(Ipv4Header); at < header_bytes && ip[at] != kEnd;) {
    const bool single = ip[at] == kNoOperation || at + 1 == header_bytes;
    const std::uint32_t bytes = single ? 1 : std::clamp<std::uint32_t>(ip[at + 1], 2, header_bytes - at);
    if ((ip[at] & kCopied) == 0) std::fill_n(ip + at, bytes, kNoOperation);
    at += bytes;
  }
}

// REQUIRES: at < whole_bytes, room_bytes >= kUnitBytes.
Piece piece_at(std::uint32_t at, std::uint32_t whole_bytes, std::uint32_t room_bytes) {
  const bool is_last = whole_bytes - at <= room_bytes;
  return {at, is_last ? whole_bytes - at : whole_units(room_bytes), is_last};
}

// What of `mtu_bytes` is left behind the headers; 0 if it is not worth a fragment.
std::uint32_t room_behind(std::uint32_t headers_bytes, std::uint32_t mtu_bytes) {
  return mtu_bytes < headers_bytes + kUnitBytes ? 0 : mtu_bytes - headers_bytes;
}

void make_ipv4_fragment(std::uint8_t* ip, std::uint32_t id, const Piece& piece) {
  store(ip + offsetof(Ipv4Header, id), Be16::from_host(static_cast<std::uint16_t>(id)));
  store(ip + offsetof(Ipv4Header, flags_fragment),
        Be16::from_host(static_cast<std::uint16_t>(piece.at / kUnitBytes | (piece.is_last ? 0 : kIpv4MoreFragments))));
  set_ipv4_lengths(ip, sizeof(Ipv4Header), piece.bytes);
}

void make_ipv6_fragment(Packet& fragment, std::uint8_t* ip, std::uint32_t id, const Piece& piece) {
  const Ipv6Fragment header{
      ip[offsetof(Ipv6Header, next_header)], 0,
      Be16::from_host(static_cast<std::uint16_t>(piece.at | (piece.is_last ? 0 : kIpv6MoreFragments))),
      Be32::from_host(id)};
  ip[offsetof(Ipv6Header, next_header)] = static_cast<std::uint8_t>(IpProto::fragment);
  store(ip + offsetof(Ipv6Header, payload_length),
        Be16::from_host(static_cast<std::uint16_t>(sizeof header + piece.bytes)));
  append(fragment, &header, sizeof header);
}

}  // namespace

Splitter::Splitter(const Identifications& identifications) : identifications_(identifications) {
  fragments_.packets.reserve(kFragmentsMax);
}

Fragments& Splitter::split(const Packet& packet, const TablesView& view, Port& port) {
  fragments_.packets.clear();
  fragments_.problem = kNothing;
  const bool is_outer = packet.verdict == Verdict::split_outer;
  const bool whole = is_outer ? packet.frame_bytes == packet.contiguous_bytes : packet.is_whole();
  const OuterTemplate* outer = outer_of(view, *packet.backend);
  if (!whole)
    fail(port, Counter::drop_segmented);
  else if (outer == nullptr)
    fail(port, Counter::drop_no_backend);  // a record scribbled over since encap looked at it
  else if (is_outer)
    split_outer(packet, *outer, port);
  else
    split_inner(packet, *outer, port);
  return fragments_;
}

Packet* Splitter::add(Port& port, std::uint32_t frame_bytes) {
  Packet fragment;
  if (fragments_.packets.size() == kFragmentsMax || !port.allocate(fragment, frame_bytes)) {
    fail(port, Counter::drop_no_buffer);
    return nullptr;
  }
  return &fragments_.packets.emplace_back(fragment);
}

void Splitter::fail(Port& port, Counter problem) {
  for (Packet& fragment : fragments_.packets) {
    Packet* const one = &fragment;
    port.release(&one, 1);
  }
  fragments_.packets.clear();
  fragments_.problem = problem;
}

void Splitter::split_outer(const Packet& packet, const OuterTemplate& outer, Port& port) {
  const bool ipv4 = outer.family == Family::ipv4;
  const std::uint32_t ip_bytes = ipv4 ? sizeof(Ipv4Header) : sizeof(Ipv6Header);
  const std::uint32_t front_bytes = outer.ip_at + ip_bytes;
  const std::uint32_t fragment_header_bytes = ipv4 ? 0 : sizeof(Ipv6Fragment);
  const std::uint32_t room = room_behind(ip_bytes + fragment_header_bytes, outer.path_mtu_bytes);
  // The template may have been scribbled over since the outer headers were put in front.
  if (room == 0 || packet.frame_bytes <= front_bytes) return fail(port, Counter::drop_too_big);
  const std::uint32_t payload_bytes = packet.frame_bytes - front_bytes;
  const std::uint32_t id = identifications_.take();
  for (std::uint32_t at = 0; at < payload_bytes;) {
    const Piece piece = piece_at(at, payload_bytes, room);
    Packet* fragment = add(port, front_bytes + fragment_header_bytes + piece.bytes);
    if (fragment == nullptr) return;
    append(*fragment, packet.data, front_bytes);
    std::uint8_t* ip = fragment->data + outer.ip_at;
    if (ipv4)
      make_ipv4_fragment(ip, id, piece);
    else
      make_ipv6_fragment(*fragment, ip, id, piece);
    append(*fragment, packet.data + front_bytes + piece.at, piece.bytes);
    at += piece.bytes;
  }
}

// REQUIRES: IPv4 without DF. It may be a fragment itself.
void Splitter::split_inner(const Packet& packet, const OuterTemplate& outer, Port& port) {
  const std::uint32_t header_bytes = packet.l4_offset - packet.l3_offset;
  const std::uint32_t overhead = std::uint32_t{outer.header_bytes} - outer.ip_at;
  const std::uint32_t room = room_behind(overhead + header_bytes, outer.path_mtu_bytes);
  if (room == 0) return fail(port, Counter::drop_too_big);
  const std::uint16_t flags_fragment = load<Ipv4Header>(packet.l3()).flags_fragment.host();
  for (std::uint32_t at = 0; at < packet.l4_bytes();) {
    const Piece piece = piece_at(at, packet.l4_bytes(), room);
    Packet* fragment = add(port, header_bytes + piece.bytes);
    if (fragment == nullptr) return;
    append(*fragment, packet.l3(), header_bytes);
    std::uint8_t* ip = fragment->data;
    const auto moved = static_cast<std::uint16_t>(flags_fragment + piece.at / kUnitBytes);
    store(ip + offsetof(Ipv4Header, flags_fragment),
          Be16::from_host(static_cast<std::uint16_t>(moved | (piece.is_last ? 0 : kIpv4MoreFragments))));
    if (piece.at > 0) blank_options(ip, header_bytes);
    set_ipv4_lengths(ip, header_bytes, piece.bytes);
    append(*fragment, packet.l4() + piece.at, piece.bytes);
    fragment->family = Family::ipv4;
    fragment->l3_bytes = static_cast<std::uint16_t>(header_bytes + piece.bytes);
    fragment->backend = packet.backend;
    fragment->hash = packet.hash;
    encap_packet(*fragment, outer);
    if (fragment->verdict != Verdict::forward) return fail(port, fragment->reason);
    at += piece.bytes;
  }
}

}  // namespace guideway
