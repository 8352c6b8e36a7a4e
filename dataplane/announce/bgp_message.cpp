#include "dataplane/announce/bgp_message.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace guideway::bgp {
namespace {

constexpr std::uint8_t kVersion = 4;
constexpr std::uint16_t kAsTrans = 23456;  // stands for a 4-octet AS in 2-octet fields (RFC 6793, section 4.2.2)
constexpr std::uint16_t kAfiIpv4 = 1;
constexpr std::uint16_t kAfiIpv6 = 2;
constexpr std::uint8_t kSafiUnicast = 1;
constexpr std::uint8_t kParameterCapabilities = 2;

enum class Capability : std::uint8_t { multiprotocol = 1, route_refresh = 2, four_octet_as = 65 };

enum class Attribute : std::uint8_t {
  origin = 1,
  as_path = 2,
  next_hop = 3,
  local_pref = 5,
  mp_reach = 14,
  mp_unreach = 15
};
constexpr std::uint8_t kWellKnown = 0x40;
constexpr std::uint8_t kOptional = 0x80;
constexpr std::uint8_t kExtendedLength = 0x10;
constexpr std::uint8_t kOriginIgp = 0;

void append8(Bytes& out, std::uint8_t value) {
  out.push_back(value);
}
template <typename Enum>
requires std::is_enum_v<Enum>
void append8(Bytes& out, Enum value) {
  out.push_back(static_cast<std::uint8_t>(value));
}
void append16(Bytes& out, std::size_t value) {
  out.push_back(static_cast<std::uint8_t>(value >> 8));
  out.push_back(static_cast<std::uint8_t>(value));
}
void append32(Bytes& out, std::uint32_t value) {
  append16(out, value >> 16);
  append16(out, value & 0xffff);
}
void append_bytes(Bytes& out, ByteSpan bytes) {
  out.insert(out.end(), bytes.begin(), bytes.end());
}
// The address as it goes into the message: 4 or 16 bytes.
ByteSpan wire_bytes(const IpAddress& address) {
  return ByteSpan(address.bytes).subspan(address.is_v4() ? 12 : 0);
}
std::uint16_t number16(ByteSpan bytes, std::size_t at) {
  return load<Be16>(bytes.data() + at).host();
}
std::uint32_t number32(ByteSpan bytes, std::size_t at) {
  return load<Be32>(bytes.data() + at).host();
}

// A 16-bit length that is only known once what it counts has been written.
class LengthField {
 public:
  explicit LengthField(Bytes& out) : at_(out.size()) { append16(out, 0); }
  void close(Bytes& out) const { write(out, out.size() - at_ - 2); }

 protected:
  void write(Bytes& out, std::size_t value) const {
    store(out.data() + at_, Be16::from_host(static_cast<std::uint16_t>(value)));
  }

 private:
  std::size_t at_;
};

// Header of a message; its length counts from the marker.
class MessageFrame : LengthField {
 public:
  MessageFrame(Bytes& out, MessageType type) : LengthField(with_marker(out)), start_(out.size() - 18) {
    append8(out, type);
  }
  void close(Bytes& out) const { write(out, out.size() - start_); }

 private:
  static Bytes& with_marker(Bytes& out) {
    out.insert(out.end(), 16, 0xff);
    return out;
  }
  std::size_t start_;
};

// RFC 4271, section 4.3: the length in bits, and as many bytes as it takes.
void append_prefixes(Bytes& out, std::span<const IpPrefix> routes) {
  for (const IpPrefix& route : routes) {
    append8(out, route.bits);
    append_bytes(out, wire_bytes(route.address).first((route.bits + 7U) / 8));
  }
}

void append_attribute(Bytes& out, Attribute type, ByteSpan value) {
  append8(out, kWellKnown);
  append8(out, type);
  append8(out, static_cast<std::uint8_t>(value.size()));
  append_bytes(out, value);
}

// What a route carries besides its prefix and next hop, in order of type (RFC 4271, appendix F.3).
void append_common_attributes(Bytes& out, const PathAttributes& attributes, const IpAddress* next_hop4) {
  append_attribute(out, Attribute::origin, std::array{kOriginIgp});
  append_attribute(out, Attribute::as_path, {});
  if (next_hop4 != nullptr) append_attribute(out, Attribute::next_hop, wire_bytes(*next_hop4));
  const auto local_pref = std::bit_cast<std::array<std::uint8_t, 4>>(Be32::from_host(attributes.local_pref));
  append_attribute(out, Attribute::local_pref, local_pref);
}

void append_ipv4_announcement(Bytes& out, std::span<const IpPrefix> routes, const PathAttributes& attributes) {
  append16(out, 0);  // no withdrawn routes
  const LengthField length(out);
  append_common_attributes(out, attributes, &*attributes.next_hop4);
  length.close(out);
  append_prefixes(out, routes);
}

// MP_REACH_NLRI stands first, as RFC 7606, section 5.1 asks.
void append_ipv6_announcement(Bytes& out, std::span<const IpPrefix> routes, const PathAttributes& attributes) {
  append16(out, 0);  // no withdrawn routes
  const LengthField length(out);
  append8(out, static_cast<std::uint8_t>(kOptional | kExtendedLength));
  append8(out, Attribute::mp_reach);
  const LengthField reach_length(out);
  append16(out, kAfiIpv6);
  append8(out, kSafiUnicast);
  const ByteSpan next_hop = wire_bytes(*attributes.next_hop6);
  append8(out, static_cast<std::uint8_t>(next_hop.size()));
  append_bytes(out, next_hop);
  append8(out, std::uint8_t{0});  // reserved
  append_prefixes(out, routes);
  reach_length.close(out);
  append_common_attributes(out, attributes, nullptr);
  length.close(out);
}

void append_ipv4_withdrawal(Bytes& out, std::span<const IpPrefix> routes) {
  const LengthField withdrawn(out);
  append_prefixes(out, routes);
  withdrawn.close(out);
  append16(out, 0);  // no attributes
}

void append_ipv6_withdrawal(Bytes& out, std::span<const IpPrefix> routes) {
  append16(out, 0);  // no withdrawn IPv4 routes
  const LengthField length(out);
  append8(out, static_cast<std::uint8_t>(kOptional | kExtendedLength));
  append8(out, Attribute::mp_unreach);
  const LengthField unreach_length(out);
  append16(out, kAfiIpv6);
  append8(out, kSafiUnicast);
  append_prefixes(out, routes);
  unreach_length.close(out);
  length.close(out);
}

// Calls append_body(routes) for as many UPDATEs as it takes. Their part besides the prefixes is below 100 bytes.
template <typename AppendBody>
void append_updates(Bytes& out, std::span<const IpPrefix> routes, AppendBody append_body) {
  if (routes.empty()) return;
  constexpr std::size_t kFixedBytesMax = 100;
  const std::size_t per_message = (kMessageBytesMax - kFixedBytesMax) / (1 + wire_bytes(routes.front().address).size());
  while (!routes.empty()) {
    const auto part = routes.first(std::min(per_message, routes.size()));
    const MessageFrame frame(out, MessageType::update);
    append_body(part);
    frame.close(out);
    routes = routes.subspan(part.size());
  }
}

void append_multiprotocol(Bytes& out, std::uint16_t afi) {
  append8(out, Capability::multiprotocol);
  append8(out, std::uint8_t{4});
  append16(out, afi);
  append8(out, std::uint8_t{0});  // reserved
  append8(out, kSafiUnicast);
}

// ---- parsing -------------------------------------------------------------------------------------------------------

Notification open_error(std::uint8_t subcode, Bytes data = {}) {
  return {ErrorCode::open, subcode, std::move(data)};
}
constexpr std::uint8_t kMalformed = 0;

// RFC 5492, section 4: capabilities are code, length, value.
std::optional<Notification> parse_capabilities(ByteSpan bytes, Open& open, bool& multiprotocol) {
  while (!bytes.empty()) {
    if (bytes.size() < 2 || bytes.size() - 2 < bytes[1]) return open_error(kMalformed);
    const auto code = static_cast<Capability>(bytes[0]);
    const ByteSpan value = bytes.subspan(2, bytes[1]);
    bytes = bytes.subspan(2 + value.size());
    if (code == Capability::multiprotocol) {
      if (value.size() != 4) return open_error(kMalformed);
      multiprotocol = true;
      open.ipv4 |= number16(value, 0) == kAfiIpv4 && value[3] == kSafiUnicast;
      open.ipv6 |= number16(value, 0) == kAfiIpv6 && value[3] == kSafiUnicast;
    } else if (code == Capability::four_octet_as) {
      if (value.size() != 4) return open_error(kMalformed);
      open.as = number32(value, 0);
    }
  }
  return std::nullopt;
}

struct ErrorName {
  ErrorCode code;
  std::uint8_t subcode;
  std::string_view name;
};
constexpr auto kErrorNames = std::to_array<ErrorName>({
    {ErrorCode::header, 1, "connection not synchronized"},
    {ErrorCode::header, 2, "bad message length"},
    {ErrorCode::header, 3, "bad message type"},
    {ErrorCode::open, 0, "malformed OPEN"},
    {ErrorCode::open, 1, "unsupported version"},
    {ErrorCode::open, 2, "bad peer AS"},
    {ErrorCode::open, 3, "bad router id"},
    {ErrorCode::open, 4, "unsupported optional parameter"},
    {ErrorCode::open, 6, "unacceptable hold time"},
    {ErrorCode::open, 7, "unsupported capability"},
    {ErrorCode::update, 1, "malformed attribute list"},
    {ErrorCode::update, 8, "invalid next hop"},
    {ErrorCode::hold_timer_expired, 0, "hold timer expired"},
    {ErrorCode::state_machine, 1, "unexpected message in OpenSent"},
    {ErrorCode::state_machine, 2, "unexpected message in OpenConfirm"},
    {ErrorCode::state_machine, 3, "unexpected message in Established"},
    {ErrorCode::cease, 1, "maximum number of prefixes reached"},
    {ErrorCode::cease, 2, "administrative shutdown"},
    {ErrorCode::cease, 3, "peer de-configured"},
    {ErrorCode::cease, 4, "administrative reset"},
    {ErrorCode::cease, 5, "connection rejected"},
    {ErrorCode::cease, 6, "other configuration change"},
    {ErrorCode::cease, 7, "connection collision"},
    {ErrorCode::cease, 8, "out of resources"},
});

std::string_view code_name(ErrorCode code) {
  switch (code) {
    case ErrorCode::header:
      return "header error";
    case ErrorCode::open:
      return "OPEN error";
    case ErrorCode::update:
      return "UPDATE error";
    case ErrorCode::hold_timer_expired:
      return "hold timer expired";
    case ErrorCode::state_machine:
      return "unexpected message";
    case ErrorCode::cease:
      return "cease";
  }
  return "unknown error";
}

}  // namespace

std::string to_text(const Notification& notification) {
  const auto known = std::ranges::find_if(kErrorNames, [&](const ErrorName& e) {
    return e.code == notification.code && e.subcode == notification.subcode;
  });
  const std::string_view name = known != kErrorNames.end() ? known->name : code_name(notification.code);
  return std::string(name) + " (" + std::to_string(static_cast<int>(notification.code)) + "/" +
         std::to_string(notification.subcode) + ")";
}

void append_open(Bytes& out, const Open& open) {
  const MessageFrame frame(out, MessageType::open);
  append8(out, kVersion);
  append16(out, open.as <= 0xffff ? open.as : kAsTrans);
  append16(out, open.hold_time_s);
  append32(out, open.router_id.host());
  Bytes capabilities;
  if (open.ipv4) append_multiprotocol(capabilities, kAfiIpv4);
  if (open.ipv6) append_multiprotocol(capabilities, kAfiIpv6);
  append8(capabilities, Capability::route_refresh);
  append8(capabilities, std::uint8_t{0});
  append8(capabilities, Capability::four_octet_as);
  append8(capabilities, std::uint8_t{4});
  append32(capabilities, open.as);
  append8(out, static_cast<std::uint8_t>(capabilities.size() + 2));
  append8(out, kParameterCapabilities);
  append8(out, static_cast<std::uint8_t>(capabilities.size()));
  append_bytes(out, capabilities);
  frame.close(out);
}

void append_keepalive(Bytes& out) {
  const MessageFrame frame(out, MessageType::keepalive);
  frame.close(out);
}

void append_notification(Bytes& out, const Notification& notification) {
  const MessageFrame frame(out, MessageType::notification);
  append8(out, notification.code);
  append8(out, notification.subcode);
  append_bytes(out, notification.data);
  frame.close(out);
}

void append_announcements(Bytes& out, std::span<const IpPrefix> routes, const PathAttributes& attributes) {
  append_updates(out, routes, [&](std::span<const IpPrefix> part) {
    if (part.front().address.is_v4())
      append_ipv4_announcement(out, part, attributes);
    else
      append_ipv6_announcement(out, part, attributes);
  });
}

void append_withdrawals(Bytes& out, std::span<const IpPrefix> routes) {
  append_updates(out, routes, [&](std::span<const IpPrefix> part) {
    if (part.front().address.is_v4())
      append_ipv4_withdrawal(out, part);
    else
      append_ipv6_withdrawal(out, part);
  });
}

// RFC 4271, section 6.1.
std::optional<Notification> parse_header(ByteSpan bytes, Header& header) {
  if (!std::ranges::all_of(bytes.first(16), [](std::uint8_t b) { return b == 0xff; }))
    return Notification{ErrorCode::header, 1, {}};
  const std::uint16_t length = number16(bytes, 16);
  const Notification bad_length{ErrorCode::header, 2, {bytes[16], bytes[17]}};
  if (length < kHeaderBytes || length > kMessageBytesMax) return bad_length;
  const auto type = static_cast<MessageType>(bytes[18]);
  bool length_fits = false;
  switch (type) {
    case MessageType::open:
      length_fits = length >= 29;
      break;
    case MessageType::update:
      length_fits = length >= 23;
      break;
    case MessageType::notification:
      length_fits = length >= 21;
      break;
    case MessageType::keepalive:
      length_fits = length == kHeaderBytes;
      break;
    case MessageType::route_refresh:
      length_fits = length == 23;
      break;
    default:
      return Notification{ErrorCode::header, 3, {bytes[18]}};
  }
  if (!length_fits) return bad_length;
  header = {length, type};
  return std::nullopt;
}

// RFC 4271, section 6.2. Whether AS and router id suit us is the session's business.
std::optional<Notification> parse_open(ByteSpan body, Open& open) {
  if (body[0] != kVersion) return open_error(1, {0, kVersion});
  open = {.as = number16(body, 1), .hold_time_s = number16(body, 3), .router_id = load<Be32>(body.data() + 5)};
  ByteSpan parameters = body.subspan(10);
  if (parameters.size() != body[9]) return open_error(kMalformed);
  bool multiprotocol = false;
  while (!parameters.empty()) {
    if (parameters.size() < 2 || parameters.size() - 2 < parameters[1]) return open_error(kMalformed);
    if (parameters[0] != kParameterCapabilities) return open_error(4);
    const ByteSpan capabilities = parameters.subspan(2, parameters[1]);
    if (auto wrong = parse_capabilities(capabilities, open, multiprotocol)) return wrong;
    parameters = parameters.subspan(2 + capabilities.size());
  }
  if (!multiprotocol) open.ipv4 = true;  // plain BGP-4 is IPv4 unicast
  if (open.hold_time_s == 1 || open.hold_time_s == 2) return open_error(6);
  if (open.router_id == Be32{}) return open_error(3);
  return std::nullopt;
}

Notification parse_notification(ByteSpan body) {
  return {static_cast<ErrorCode>(body[0]), body[1], Bytes(body.begin() + 2, body.end())};
}

Family parse_route_refresh(ByteSpan body) {
  if (body[3] != kSafiUnicast) return Family::none;
  const std::uint16_t afi = number16(body, 0);
  return afi == kAfiIpv4 ? Family::ipv4 : afi == kAfiIpv6 ? Family::ipv6 : Family::none;
}

// RFC 4271, section 6.3, first paragraph.
std::optional<Notification> check_update(ByteSpan body) {
  const Notification malformed{ErrorCode::update, 1, {}};
  const std::size_t withdrawn_bytes = number16(body, 0);
  if (withdrawn_bytes + 4 > body.size()) return malformed;
  const std::size_t attribute_bytes = number16(body, 2 + withdrawn_bytes);
  if (withdrawn_bytes + attribute_bytes + 4 > body.size()) return malformed;
  return std::nullopt;
}

}  // namespace guideway::bgp
