#include <algorithm>
#include <set>

#include "common/config/kinds.h"
#include "common/config/sections.h"
#include "common/config/words.h"
#include "common/net/address_text.h"
#include "guideway/stats.h"

namespace guideway::config {
namespace {

using namespace std::chrono_literals;

constexpr std::uint32_t kCoreMax = 1023;
constexpr std::uint16_t kVlanMin = 1;  // IEEE 802.1Q, table 9-2: 0 and 4095 are no VLANs
constexpr std::uint16_t kVlanMax = 4094;
constexpr std::uint32_t kPerSecondMax = 10'000'000;
constexpr std::uint32_t kIdleSleepMax_us = 1000;  // 1024 descriptors last that long at a million packets per second
constexpr std::size_t kInterfaceNameMax = 15;     // IFNAMSIZ - 1

// "auto", "steer", "copy", "none", or a DPDK device that the kernel has the other end of.
std::optional<std::string> kernel_path(const Field& field) {
  auto path = text(field);
  if (!path || path->starts_with("net_") || path->starts_with("virtio_user")) return path;
  const std::vector<std::string> words{"auto", "steer", "copy", "none"};
  if (std::find(words.begin(), words.end(), *path) != words.end()) return path;
  return field.error("must be \"auto\", \"steer\", \"copy\", \"none\" or a device like \"net_tap0,iface=gw0\", not " +
                     in_quotes(*path) + field.review.did_you_mean(*path, words));
}

std::optional<std::string> interface_name(const Field& field) {
  auto name = text(field);
  if (name && (name->size() > kInterfaceNameMax || name->find('/') != std::string::npos))
    return field.error("must be a kernel interface: at most 15 characters and no '/', not " + in_quotes(*name));
  return name;
}

Family family_of(const IpAddress& address) {
  return address.family();
}
Family family_of(const IpPrefix& prefix) {
  return prefix.address.family();
}

// A list with at most one element of each family.
template <typename Kind, typename T>
void read_one_per_family(Section& section, const char* key, Kind kind, const char* noun, std::vector<T>& out) {
  std::vector<Located<T>> elements;
  section.optional(key, elements, one_or_list_of(located(kind), 2));
  for (const auto& [element, place] : elements) {
    const Family family = family_of(element);
    if (std::any_of(out.begin(), out.end(), [=](const T& other) { return family_of(other) == family; }))
      section.review().error(place,
                             std::string(key) + " has two " + noun + " of one family; keep one IPv4 and one IPv6");
    out.push_back(element);
  }
}

// Wide enough to vary by flow, and no wider than anybody has.
std::optional<IpPrefix> source_prefix(const Field& field) {
  const auto prefix = unicast_prefix(field);
  if (!prefix) return std::nullopt;
  const bool v4 = prefix->address.is_v4();
  const std::uint32_t min = v4 ? 8 : 32;
  const std::uint32_t max = v4 ? 30 : 126;
  if (prefix->bits >= min && prefix->bits <= max) return prefix;
  return field.error("must be a prefix of /" + std::to_string(min) + " to /" + std::to_string(max) + ", not " +
                     to_text(prefix->address) + "/" + std::to_string(prefix->bits));
}

void read_port(Section& section, Port& port) {
  section.required("name", port.name, name);
  section.required("device", port.device, text);
  section.optional("kernel", port.kernel, kernel_path);
  section.optional("kernel_interface", port.kernel_interface, interface_name);
  section.optional("next_hop_mac", port.next_hop_mac, unicast_mac);
  read_one_per_family(section, "source_addresses", unicast_address, "addresses", port.source_addresses);
  read_one_per_family(section, "ipip_source_prefixes", source_prefix, "prefixes", port.ipip_source_prefixes);
  section.optional("vlan", port.vlans, one_or_list_of(integer(kVlanMin, kVlanMax), 2));
  section.optional("mtu", port.mtu_bytes, integer(kMtuMin, kMtuMax));
}

void read_ports(Section& section, std::vector<Port>& ports) {
  section.each("port", [&](Section& element) {
    Port port;
    read_port(element, port);
    for (const Port& other : ports) {
      if (!port.name.empty() && port.name == other.name)
        element.review().error(element.place_of("name"),
                               "there are two ports " + in_quotes(port.name) + "; rename one");
      if (!port.device.empty() && port.device == other.device)
        element.review().error(element.place_of("device"),
                               "port " + in_quotes(other.name) + " has this device already");
    }
    ports.push_back(std::move(port));
  });
  if (!section.has("port")) section.missing("port");
  if (ports.size() > kPortsMax)
    section.review().error(section.place(), "there are " + std::to_string(ports.size()) + " ports; at most " +
                                                std::to_string(kPortsMax) + " are possible");
}

void read_cores(Section& section, Dataplane& dataplane) {
  std::vector<Located<std::uint32_t>> workers;
  section.optional("main_core", dataplane.main_core, integer(0U, kCoreMax));
  section.required("worker_cores", workers, list_of(located(integer(0U, kCoreMax)), kWorkersMax));
  std::set<std::uint32_t> taken;
  for (const auto& [core, place] : workers) {
    const std::string number = std::to_string(core);
    if (!taken.insert(core).second) section.review().error(place, "worker_cores names core " + number + " twice");
    if (core == dataplane.main_core)
      section.review().warning(place, "core " + number + " is main_core too: the worker on it shares its time");
    dataplane.worker_cores.push_back(core);
  }
}

}  // namespace

void read_dataplane(Section& root, Dataplane& dataplane) {
  root.in("dataplane", [&](Section& section) {
    read_cores(section, dataplane);
    section.optional(
        "hugepages", dataplane.hugepages,
        choice<Hugepages>({{"auto", Hugepages::automatic}, {"on", Hugepages::on}, {"off", Hugepages::off}}));
    section.optional("memory", dataplane.memory_mib, mebibytes(64, 1 << 20));
    section.optional("rx_descriptors", dataplane.rx_descriptors, integer(64U, 32768U));
    section.optional("tx_descriptors", dataplane.tx_descriptors, integer(64U, 32768U));
    section.optional("vips_max", dataplane.vips_max, integer(1U, 1U << 20));
    section.optional("backends_max", dataplane.backends_max, integer(1U, kDirectorySizeMax));
    section.optional("echo_per_second", dataplane.echo_per_second, integer(0U, kPerSecondMax));
    section.optional("errors_per_second", dataplane.errors_per_second, integer(0U, kPerSecondMax));
    section.optional("idle_sleep_us", dataplane.idle_sleep_us, integer(0U, kIdleSleepMax_us));
    section.optional("heartbeat_timeout", dataplane.heartbeat_timeout, duration(100ms, 60s));
    read_ports(section, dataplane.ports);
  });
}

}  // namespace guideway::config
