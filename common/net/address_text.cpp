#include "common/net/address_text.h"

#include <arpa/inet.h>

#include <array>
#include <charconv>
#include <cstring>

#include "common/net/prefix.h"

namespace guideway {

std::string to_text(const IpAddress& address) {
  return to_text(address, address.family());
}

std::string to_text(const IpAddress& address, Family family) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (family == Family::ipv4)
    inet_ntop(AF_INET, address.bytes.data() + 12, text.data(), text.size());
  else
    inet_ntop(AF_INET6, address.bytes.data(), text.data(), text.size());
  return text.data();
}

std::string to_text(const MacAddress& mac) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string text;
  for (const std::uint8_t byte : mac.bytes) {
    if (!text.empty()) text += ':';
    text += kHex[byte >> 4];
    text += kHex[byte & 0xf];
  }
  return text;
}

std::optional<IpAddress> parse_ip(std::string_view text) {
  const std::string terminated(text);
  if (terminated.size() != std::strlen(terminated.c_str())) return std::nullopt;
  IpAddress ip;
  if (std::array<std::uint8_t, 4> v4{}; inet_pton(AF_INET, terminated.c_str(), v4.data()) == 1)
    return IpAddress::from_v4(std::bit_cast<Be32>(v4));
  if (inet_pton(AF_INET6, terminated.c_str(), ip.bytes.data()) == 1) return ip;
  return std::nullopt;
}

std::optional<MacAddress> parse_mac(std::string_view text) {
  MacAddress mac;
  if (text.size() != 17) return std::nullopt;
  const auto digit = [](char c) -> int {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
  };
  for (std::size_t i = 0; i < mac.bytes.size(); i++) {
    const int high = digit(text[3 * i]);
    const int low = digit(text[3 * i + 1]);
    if (high < 0 || low < 0 || (i < 5 && text[3 * i + 2] != ':')) return std::nullopt;
    mac.bytes[i] = static_cast<std::uint8_t>(high * 16 + low);
  }
  return mac;
}

std::string with_port(const std::string& address, const std::string& port) {
  return (address.find(':') == std::string::npos ? address : "[" + address + "]") + ":" + port;
}

std::string to_text_with_port(const IpAddress& address, std::uint16_t port) {
  return with_port(to_text(address), std::to_string(port));
}

std::string to_text_with_port(const IpPrefix& prefix, std::uint16_t port) {
  return with_port(to_text(prefix), port == 0 ? "any" : std::to_string(port));
}

std::string to_text(const IpPrefix& prefix) {
  const std::string address = to_text(prefix.address);
  return prefix.is_host() ? address : address + "/" + std::to_string(prefix.bits);
}

std::optional<IpPrefix> parse_prefix(std::string_view text, std::string& why) {
  const std::size_t slash = text.find('/');
  const auto address = parse_ip(text.substr(0, slash));
  if (!address) {
    why = "is no address or prefix; write it like 203.0.113.0/24 or 2001:db8::/32";
    return std::nullopt;
  }
  const std::uint8_t bits_max = IpPrefix::of(*address).bits;
  std::uint8_t bits = bits_max;
  if (slash != std::string_view::npos) {
    const char* end = text.data() + text.size();
    const auto parsed = std::from_chars(text.data() + slash + 1, end, bits);
    if (parsed.ec != std::errc{} || parsed.ptr != end || bits > bits_max) {
      why = "has no prefix length from 0 to " + std::to_string(bits_max) + " behind its slash";
      return std::nullopt;
    }
  }
  const IpPrefix prefix = prefix_of(*address, bits);
  if (prefix.address == *address) return prefix;
  why = "has bits set behind its prefix; write " + to_text(prefix) + ", or " + to_text(*address) + " for one address";
  return std::nullopt;
}

}  // namespace guideway
