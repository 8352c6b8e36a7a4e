// BGP-4 messages as bytes: what an announce-only speaker writes, and what it must understand of its peer.
//
//   every message: marker (16 × 0xff) │ length │ type │ body                       RFC 4271, section 4.1
//
//   OPEN          who we are, and capabilities                                     RFC 4271, 4.2; RFC 5492
//     multiprotocol  IPv4 and IPv6 unicast                                         RFC 4760
//     route refresh  the peer may ask to hear everything again                     RFC 2918
//     4-octet AS                                                                   RFC 6793
//     (never graceful restart: with it a dead LB stays in routers' tables)
//   UPDATE        IPv4 in the classic fields, IPv6 in MP_REACH / MP_UNREACH        RFC 4271, 4.3; RFC 4760
//   KEEPALIVE, ROUTE-REFRESH
//   NOTIFICATION  why the session ends                                             RFC 4271, 4.5 and 6
//
// Ownership: the append_… functions add whole messages at the end of the caller's buffer, each at most
// kMessageBytesMax long; the parse_… functions copy what they return. Thread-safety: pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "guideway/address.h"
#include "guideway/byte_order.h"

namespace guideway::bgp {

using Bytes = std::vector<std::uint8_t>;
using ByteSpan = std::span<const std::uint8_t>;

inline constexpr std::size_t kHeaderBytes = 19;
inline constexpr std::size_t kMessageBytesMax = 4096;

enum class MessageType : std::uint8_t { open = 1, update = 2, notification = 3, keepalive = 4, route_refresh = 5 };

// Error codes and subcodes of NOTIFICATION: RFC 4271, section 4.5; RFC 4486 (Cease), RFC 6608 (state machine).
enum class ErrorCode : std::uint8_t {
  header = 1,
  open = 2,
  update = 3,
  hold_timer_expired = 4,
  state_machine = 5,
  cease = 6
};

struct Notification {
  ErrorCode code{};
  std::uint8_t subcode = 0;
  Bytes data;
  friend bool operator==(const Notification&, const Notification&) = default;
};
// For example "bad peer AS (2/2)".
std::string to_text(const Notification& notification);

struct Open {
  std::uint32_t as = 0;
  std::uint16_t hold_time_s = 0;
  Be32 router_id;
  bool ipv4 = false;  // unicast routes of this family may be exchanged
  bool ipv6 = false;
  friend bool operator==(const Open&, const Open&) = default;
};

// Everything we say about a route besides its prefix: all VIPs share it. The peer is iBGP: ORIGIN is IGP, AS_PATH
// empty.
struct PathAttributes {
  std::uint32_t local_pref = 100;
  std::optional<IpAddress> next_hop4;  // none: no route of this family can be announced
  std::optional<IpAddress> next_hop6;
};

void append_open(Bytes& out, const Open& open);
void append_keepalive(Bytes& out);
void append_notification(Bytes& out, const Notification& notification);
// As many routes per message as fit. REQUIRES: all of one family; its next hop is set.
void append_announcements(Bytes& out, std::span<const IpPrefix> routes, const PathAttributes& attributes);
void append_withdrawals(Bytes& out, std::span<const IpPrefix> routes);

struct Header {
  std::uint16_t length_bytes = 0;  // of the message, header included
  MessageType type{};
};
// Returns the answer to bytes that are no message, else nullopt. REQUIRES: kHeaderBytes bytes.
std::optional<Notification> parse_header(ByteSpan bytes, Header& header);

// The bodies of messages whose header parse_header() found right, which fixes their least length. Errors as above.
std::optional<Notification> parse_open(ByteSpan body, Open& open);
Notification parse_notification(ByteSpan body);
// The family that the peer wants to hear again; none if it is one we do not speak.
Family parse_route_refresh(ByteSpan body);
// We take no routes: only the lengths that frame the message are looked at.
std::optional<Notification> check_update(ByteSpan body);

}  // namespace guideway::bgp
