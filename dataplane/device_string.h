// DPDK device strings, "DRIVERn[,key=value …]" or a PCI address: what the configuration names ports by.
// Thread-safety: pure functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace guideway {

// What stands before the first comma: "net_af_xdp0", "0000:3b:00.0".
std::string_view device_name(std::string_view device);
// The name without its number: "net_af_xdp", "virtio_user".
std::string_view device_driver(std::string_view device);
bool is_pci_address(std::string_view device);
// The value of the first `key=…`.
std::optional<std::string_view> device_argument(std::string_view device, std::string_view key);
// The same string with `key=value` at its end, unless it says something about `key` already.
std::string with_argument(std::string_view device, std::string_view key, std::string_view value);

}  // namespace guideway
