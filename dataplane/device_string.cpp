#include "dataplane/device_string.h"

#include <fmt/format.h>

#include <algorithm>

namespace guideway {

std::string_view device_name(std::string_view device) {
  return device.substr(0, device.find(','));
}

std::string_view device_driver(std::string_view device) {
  const std::string_view name = device_name(device);
  return name.substr(0, name.find_last_not_of("0123456789") + 1);
}

bool is_pci_address(std::string_view device) {
  std::string_view name = device_name(device);
  // [domain:]bus:device.function in hexadecimal digits; the domain is four of them.
  static constexpr std::string_view kLong = "xxxx:xx:xx.x";
  const std::string_view form = name.size() == kLong.size() ? kLong : kLong.substr(5);
  const auto is_hex = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); };
  return std::equal(name.begin(), name.end(), form.begin(), form.end(),
                    [&](char c, char f) { return f == 'x' ? is_hex(c) : c == f; });
}

std::optional<std::string_view> device_argument(std::string_view device, std::string_view key) {
  for (std::size_t comma = device.find(','); comma != std::string_view::npos; comma = device.find(',')) {
    device.remove_prefix(comma + 1);
    const std::string_view argument = device_name(device);
    const std::size_t equals = argument.find('=');
    if (argument.substr(0, equals) == key)
      return equals == std::string_view::npos ? std::string_view{} : argument.substr(equals + 1);
  }
  return std::nullopt;
}

std::string with_argument(std::string_view device, std::string_view key, std::string_view value) {
  if (device_argument(device, key)) return std::string(device);
  return fmt::format("{},{}={}", device, key, value);
}

}  // namespace guideway
