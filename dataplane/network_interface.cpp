#include "dataplane/network_interface.h"

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>

#include "common/descriptor.h"
#include "dataplane/start_error.h"

namespace guideway {
namespace {

Descriptor any_socket() {
  return Descriptor(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
}

// REQUIRES: the name is short enough.
ifreq request_for(const std::string& name) {
  ifreq request{};
  std::memcpy(request.ifr_name, name.data(), name.size());
  return request;
}

}  // namespace

NetworkInterface look_at_interface(const std::string& name, const std::string& where) {
  const Descriptor socket = any_socket();
  if (name.size() >= IF_NAMESIZE)
    throw StartError("{}: the interface name \"{}\" is longer than {} characters", where, name, IF_NAMESIZE - 1);
  ifreq request = request_for(name);
  if (ioctl(socket.get(), SIOCGIFINDEX, &request) != 0)
    throw StartError("{}: there is no network interface \"{}\" here; `ip link` lists what there is", where, name);
  NetworkInterface interface;
  interface.index = static_cast<unsigned>(request.ifr_ifindex);
  if (ioctl(socket.get(), SIOCGIFMTU, &request) == 0)
    interface.mtu_bytes = static_cast<std::uint16_t>(std::min(request.ifr_mtu, 0xffff));

  ethtool_channels channels{};
  channels.cmd = ETHTOOL_GCHANNELS;
  request.ifr_data = reinterpret_cast<char*>(&channels);
  if (ioctl(socket.get(), SIOCETHTOOL, &request) == 0)
    interface.receive_queues = std::max(1U, channels.rx_count + channels.combined_count);
  return interface;
}

InterfaceFlags interface_flags(const std::string& name) {
  ifreq request = request_for(name);
  if (ioctl(any_socket().get(), SIOCGIFFLAGS, &request) != 0) return {};
  const bool up = (request.ifr_flags & IFF_UP) != 0;
  return {.up = up, .running = up && (request.ifr_flags & IFF_RUNNING) != 0};
}

}  // namespace guideway
