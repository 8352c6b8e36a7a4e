#include "dataplane/stages/checksum.h"
#include "dataplane/stages/parse_icmp.h"
#include "dataplane/stages/service.h"
#include "dataplane/stages/stages.h"
#include "guideway/bad_source.h"

namespace guideway {
namespace {

bool has_bad_source(const Packet& packet) {
  const std::uint8_t* ip = packet.l3();
  if (packet.family == Family::ipv4) return is_bad_source(ipv4_source(ip), ipv4_destination(ip));
  return is_bad_source(ipv6_source(ip), ipv6_destination(ip));
}

bool is_own_source(const Packet& packet, const TablesView& view) {
  const VipMatch source = packet.family == Family::ipv4 ? find_address4(view, ipv4_source(packet.l3()))
                                                        : find_address6(view, ipv6_source(packet.l3()));
  return source.pool == PoolId::own;
}

// Not for a VIP: the kernel's, unless it could go in circles.
void pass_on(Packet& packet, const TablesView& view, bool to_own_address) {
  packet.verdict = Verdict::to_kernel;
  const bool encapsulated =
      packet.reason == Counter::drop_encapsulated || (packet.kind == PacketKind::flow && is_gue(packet));
  if (!encapsulated) return;
  if (to_own_address)
    drop(packet, Counter::drop_encapsulated);
  else if (is_own_source(packet, view))
    drop(packet, Counter::drop_returned);
}

void refuse(Batch& batch, Packet& packet, const TablesView& view) {
  if (packet.reason == Counter::drop_unsupported_protocol || packet.reason == Counter::drop_icmp_unsupported)
    turn_away(batch, packet, view, packet.reason);
  else
    packet.verdict = Verdict::drop;
}

bool has_good_icmp_checksum(const Packet& packet) {
  std::uint64_t sum = ones_sum(packet.l4(), packet.l4_bytes());
  if (packet.family == Family::ipv6)
    sum += pseudo_sum(packet.l3() + offsetof(Ipv6Header, source), Family::ipv6, packet.l4_bytes(), IpProto::icmpv6);
  return fold(sum) == 0xffff;
}

void take_echo_request(Batch& batch, Packet& packet, const TablesView& view) {
  const VipRecord* vip = vip_record(view, packet.vip);
  if (!packet.is_whole())
    drop(packet, Counter::drop_segmented);
  else if (!has_good_icmp_checksum(packet))
    drop(packet, Counter::drop_icmp_bad_checksum);
  else if (vip == nullptr || (vip->flags & kVipEcho) == 0)
    drop(packet, Counter::drop_echo_refused);
  else
    ask_for_answer(batch, packet, Counter::drop_echo_limited);
}

struct QuotedSource {
  bool is_destination;  // the quoted packet came from whom the error is for
  VipMatch address;
};

QuotedSource source_of_quote(const Packet& packet, const TablesView& view) {
  const std::uint8_t* quote = quoted_packet(packet);
  if (packet.family == Family::ipv4)
    return {ipv4_source(quote) == ipv4_destination(packet.l3()), find_address4(view, ipv4_source(quote))};
  return {ipv6_source(quote) == ipv6_destination(packet.l3()), find_address6(view, ipv6_source(quote))};
}

// The quoted packet went from the VIP to a client: its source is our destination.
void take_icmp_error(Packet& packet, const TablesView& view) {
  const auto [is_destination, address] = source_of_quote(packet, view);
  const VipMatch service = is_destination ? find_service(packet, view) : VipMatch{};
  if (service.pool != PoolId::none) {
    set_service(packet, service);
    packet.reason = Counter::icmp_errors_forwarded;
  } else if (is_destination || address.vip == VipId::none) {
    packet.verdict = Verdict::to_kernel;
  } else {
    drop(packet, Counter::drop_icmp_bad_quote);
  }
}

// REQUIRES: the destination is a VIP's; `found` says which.
void take(Batch& batch, Packet& packet, const TablesView& view, const VipMatch& found) {
  packet.vip = found.vip;
  if (has_bad_source(packet)) return drop(packet, Counter::drop_bad_source);
  if (packet.reason != kNothing) return refuse(batch, packet, view);
  switch (packet.kind) {
    case PacketKind::flow:
      return take_service(batch, packet, view, found);
    case PacketKind::first_fragment:
    case PacketKind::later_fragment:
      batch.has_fragments = true;
      return;
    case PacketKind::echo_request:
      return take_echo_request(batch, packet, view);
    case PacketKind::icmp_error:
      return take_icmp_error(packet, view);
    case PacketKind::other:
      return drop(packet, Counter::drop_unsupported_protocol);  // unsound, and nobody said why
  }
}

// Whatever has no service of its own.
[[gnu::noinline]] void classify_odd(Batch& batch, Packet& packet, const TablesView& view) {
  if (packet.family == Family::none) {
    packet.verdict = Verdict::to_kernel;
    return;
  }
  const VipMatch address = find_destination(packet, view);
  if (address.vip == VipId::none)
    pass_on(packet, view, address.pool == PoolId::own);
  else
    take(batch, packet, view, packet.kind == PacketKind::flow ? find_service(packet, view) : address);
}

// Nearly all packets are of flows to an address, protocol and port that have an entry. True: that was it.
template <typename Entry, typename Address>
[[gnu::always_inline]] inline bool take_at_once(Packet& packet, const Entry* service, const Address& source,
                                                const Address& destination) {
  if (service == nullptr || service->pool == PoolId::none || is_bad_source(source, destination)) [[unlikely]]
    return false;
  set_service(packet, {service->vip, service->pool, service->tracking});
  return true;
}
[[gnu::always_inline]] inline bool take_at_once(Packet& packet, const TablesView& view) {
  if (packet.kind != PacketKind::flow) return false;
  const std::uint8_t* ip = packet.l3();
  const Be16 port = packet.ports.destination;
  if (packet.family == Family::ipv4) {
    const Be32 destination = ipv4_destination(ip);
    return take_at_once(packet, own_service4(view, destination, packet.protocol, port), ipv4_source(ip), destination);
  }
  const Block16 destination = ipv6_destination(ip);
  return take_at_once(packet, own_service6(view, destination, packet.protocol, port), ipv6_source(ip), destination);
}

}  // namespace

void classify(Batch& batch, const TablesView& view) {
  for (Packet& packet : batch.all())
    if (!take_at_once(packet, view)) [[unlikely]]
      classify_odd(batch, packet, view);
}

}  // namespace guideway
