// Addresses to text and back (RFC 5952 form for IPv6).
// Thread-safety: pure functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "guideway/address.h"

namespace guideway {

std::string to_text(const IpAddress& address);
std::string to_text(const MacAddress& mac);
std::optional<IpAddress> parse_ip(std::string_view text);
std::optional<MacAddress> parse_mac(std::string_view text);
// "192.0.2.1:80" or "[2001:db8::1]:80".
std::string to_text_with_port(const IpAddress& address, std::uint16_t port);

}  // namespace guideway
