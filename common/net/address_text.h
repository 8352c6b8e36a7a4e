// Addresses and prefixes to text and back (RFC 5952 form for IPv6, RFC 4632 for prefixes).
// Thread-safety: pure functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "guideway/address.h"

namespace guideway {

std::string to_text(const IpAddress& address);
// As it is written in packets of this family: an IPv6 address that is IPv4-mapped keeps its form.
std::string to_text(const IpAddress& address, Family family);
std::string to_text(const MacAddress& mac);
std::optional<IpAddress> parse_ip(std::string_view text);
std::optional<MacAddress> parse_mac(std::string_view text);
// Of an address or prefix as text: "192.0.2.1:80" or "[2001:db8::1]:80".
std::string with_port(const std::string& address, const std::string& port);
std::string to_text_with_port(const IpAddress& address, std::uint16_t port);

// "203.0.113.0/24"; a prefix of one address is that address alone.
std::string to_text(const IpPrefix& prefix);
std::string to_text_with_port(const IpPrefix& prefix, std::uint16_t port);  // port 0: "any"
// Of an address alone, or ADDRESS/BITS. When it is none, `why` goes on from the quoted text: "has bits set …; write …".
std::optional<IpPrefix> parse_prefix(std::string_view text, std::string& why);

}  // namespace guideway
