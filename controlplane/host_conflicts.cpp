#include "controlplane/host_conflicts.h"

#include <fmt/format.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>

#include <algorithm>
#include <map>
#include <memory>

#include "common/net/address_text.h"
#include "common/net/prefix.h"

namespace guideway::controlplane {
namespace {

std::optional<IpAddress> address_of(const sockaddr* address) {
  if (address == nullptr) return std::nullopt;
  if (address->sa_family == AF_INET)
    return IpAddress::from_v4(std::bit_cast<Be32>(reinterpret_cast<const sockaddr_in*>(address)->sin_addr.s_addr));
  if (address->sa_family != AF_INET6) return std::nullopt;
  IpAddress v6;
  const auto& bytes = reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr.s6_addr;
  std::copy(std::begin(bytes), std::end(bytes), v6.bytes.begin());
  return v6;
}

// Loopback and dummy interfaces: no packet leaves by them, and operators put the addresses of services there.
bool leads_nowhere(unsigned flags) {
  return (flags & IFF_LOOPBACK) != 0 || (flags & (IFF_NOARP | IFF_POINTOPOINT)) == IFF_NOARP;
}

// The first VIP of each prefix, by prefix.
std::map<IpPrefix, const config::Vip*> by_prefix(const config::Config& config) {
  std::map<IpPrefix, const config::Vip*> vips;
  for (const config::Vip& vip : config.vips) vips.emplace(vip.prefix, &vip);
  return vips;
}

class TakenAddresses {
 public:
  explicit TakenAddresses(const config::Config& config) : vips_(by_prefix(config)) {}

  void look_for(const IpAddress& address, const std::string& whose, std::vector<std::string>& conflicts) const {
    const auto found = std::ranges::find_if(vips_, [&](const auto& entry) { return contains(entry.first, address); });
    if (found == vips_.end()) return;
    conflicts.push_back(
        fmt::format("VIP {} has {}, {}: packets for this host would go to backends, and it would be cut off; give the "
                    "VIP another address",
                    found->second->name, to_text(address), whose));
  }

 private:
  std::map<IpPrefix, const config::Vip*> vips_;
};

void look_for_more(const char* what, std::size_t configured, std::uint32_t running,
                   std::vector<std::string>& conflicts) {
  if (configured <= running) return;
  conflicts.push_back(fmt::format(
      "here are {} {}, but the running data plane counts no more than {}: it takes [dataplane] {}_max at its "
      "start; restart guideway-dataplane with this file, then reload",
      configured, what == std::string_view("vips") ? "VIPs" : what, running, what));
}

}  // namespace

std::vector<HostFacts::Address> addresses_of_host() {
  ifaddrs* first = nullptr;
  if (getifaddrs(&first) != 0) return {};
  const std::unique_ptr<ifaddrs, decltype(&freeifaddrs)> all(first, freeifaddrs);
  std::vector<HostFacts::Address> addresses;
  for (const ifaddrs* each = first; each != nullptr; each = each->ifa_next)
    if (const auto address = address_of(each->ifa_addr); address && !leads_nowhere(each->ifa_flags))
      addresses.push_back({*address, each->ifa_name});
  return addresses;
}

std::vector<std::string> conflicts_of(const config::Config& config, const HostFacts& host) {
  std::vector<std::string> conflicts;
  const TakenAddresses taken(config);
  for (const auto& [address, link] : host.addresses)
    taken.look_for(address, "which this host has on " + link, conflicts);
  for (const IpAddress& source : host.sources)
    if (std::ranges::find(host.addresses, source, &HostFacts::Address::address) == host.addresses.end())
      taken.look_for(source, "which packets to backends have as their source", conflicts);
  if (!host.capacity) return conflicts;
  std::size_t backends = 0;
  for (const config::Pool& pool : config.pools) backends += pool.backends.size();
  look_for_more("vips", config.vips.size(), host.capacity->vips, conflicts);
  look_for_more("backends", backends, host.capacity->backends, conflicts);
  return conflicts;
}

}  // namespace guideway::controlplane
