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

NetworkInterface look_at_interface(const std::string& name, const std::string& where) {
  const Descriptor socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  if (name.size() >= sizeof request.ifr_name)
    throw StartError("{}: the interface name \"{}\" is longer than {} characters", where, name,
                     sizeof request.ifr_name - 1);
  std::memcpy(request.ifr_name, name.data(), name.size());
  if (ioctl(socket.get(), SIOCGIFINDEX, &request) != 0)
    throw StartError("{}: there is no network interface \"{}\" here; `ip link` lists what there is", where, name);
  NetworkInterface interface;
  interface.index = static_cast<unsigned>(request.ifr_ifindex);
  if (ioctl(socket.get(), SIOCGIFMTU, &request) == 0)
    interface.mtu_bytes = static_cast<std::uint16_t>(std::min(request.ifr_mtu, 0xffff));
  if (ioctl(socket.get(), SIOCGIFFLAGS, &request) == 0) interface.up = (request.ifr_flags & IFF_UP) != 0;

  ethtool_channels channels{};
  channels.cmd = ETHTOOL_GCHANNELS;
  request.ifr_data = reinterpret_cast<char*>(&channels);
  if (ioctl(socket.get(), SIOCETHTOOL, &request) == 0)
    interface.receive_queues = std::max(1U, channels.rx_count + channels.combined_count);
  return interface;
}

}  // namespace guideway
