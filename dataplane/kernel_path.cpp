#include "dataplane/kernel_path.h"

#include "dataplane/device_string.h"
#include "dataplane/start_error.h"

namespace guideway {
namespace {

KernelPathKind kind_of(const config::Port& port) {
  const std::string_view driver = device_driver(port.device);
  if (port.kernel == "steer" || port.kernel == "copy") {
    const bool steer = port.kernel == "steer";
    const std::string_view wanted = steer ? "net_af_xdp" : "net_af_packet";
    if (driver != wanted)
      throw StartError(
          "port \"{}\": kernel = \"{}\" works with {} devices only, and its device is \"{}\"; use \"auto\"", port.name,
          port.kernel, wanted, port.device);
    return steer ? KernelPathKind::steer : KernelPathKind::copy;
  }
  if (port.kernel == "none") return KernelPathKind::none;
  if (port.kernel != "auto" || is_pci_address(port.device)) return KernelPathKind::device;
  if (driver == "net_af_xdp") return KernelPathKind::steer;
  if (driver == "net_af_packet") return KernelPathKind::copy;
  return KernelPathKind::none;
}

std::string interface_in(std::string_view device) {
  return std::string(device_argument(device, "iface").value_or(""));
}

}  // namespace

const char* to_text(KernelPathKind kind) {
  switch (kind) {
    case KernelPathKind::none:
      return "none";
    case KernelPathKind::copy:
      return "copy";
    case KernelPathKind::steer:
      return "steer";
    case KernelPathKind::device:
      return "device";
  }
  return "unknown";
}

KernelPath kernel_path_of(const config::Port& port, std::size_t position, bool has_vhost_net) {
  KernelPath path{.kind = kind_of(port), .device = {}, .interface = port.kernel_interface};
  if (path.kind == KernelPathKind::device) {
    const std::string made = path.interface.empty() ? fmt::format("gw{}", position) : path.interface;
    if (port.kernel != "auto")
      path.device = port.kernel;
    else if (has_vhost_net)
      path.device = fmt::format("virtio_user{},path=/dev/vhost-net,queue_size=1024,iface={}", position, made);
    else
      path.device = fmt::format("net_tap{},iface={}", position, made);
  }
  if (path.interface.empty()) path.interface = interface_in(path.device);
  if (path.interface.empty()) path.interface = interface_in(port.device);
  return path;
}

}  // namespace guideway
