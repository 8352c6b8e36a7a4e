#include "dataplane/port_set.h"

#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <optional>

#include "bpf/steer_program.h"
#include "common/net/address_text.h"
#include "dataplane/device_string.h"
#include "dataplane/dpdk_device.h"
#include "dataplane/dpdk_port.h"
#include "dataplane/interface_lock.h"
#include "dataplane/interface_watch.h"
#include "dataplane/kernel_path.h"
#include "dataplane/log.h"
#include "dataplane/network_interface.h"
#include "dataplane/start_error.h"

namespace guideway {
namespace {

constexpr std::uint32_t kXdpFillBuffers = 4096;  // net_af_xdp's fill queue, whatever rx_descriptors says
constexpr std::uint32_t kXdpTxBuffers = 2048;    // and its completion queue
constexpr std::uint32_t kSpareBuffers = 1024 + FragmentTable::kWaitingMax;  // in cores' caches, in flight, waiting

// Buffers that may be in rings at once: a frame received here may wait in any port's transmit ring.
std::uint32_t buffers_per_queue(const config::Dataplane& config) {
  const auto rings = static_cast<std::uint32_t>(2 * config.ports.size());  // each port may have a kernel path
  return std::max(config.rx_descriptors, kXdpFillBuffers) + rings * std::max(config.tx_descriptors, kXdpTxBuffers) +
         kSpareBuffers;
}

DpdkDevice::Settings settings_for(const config::Dataplane& config, const config::Port& port, std::string device) {
  return {.where = fmt::format("port \"{}\"", port.name),
          .device = std::move(device),
          .queue_pairs = static_cast<std::uint16_t>(config.worker_cores.size()),
          .rx_descriptors = static_cast<std::uint16_t>(config.rx_descriptors),
          .tx_descriptors = static_cast<std::uint16_t>(config.tx_descriptors),
          .buffers_per_queue = buffers_per_queue(config),
          .mtu_bytes = port.mtu_bytes};
}

// What AF_PACKET and AF_XDP need to know of the kernel's interface below them.
void fit_to_interface(DpdkDevice::Settings& settings, const std::string& name, const NetworkInterface& interface) {
  if (settings.mtu_bytes == 0) settings.mtu_bytes = interface.mtu_bytes;
  const std::string queues = std::to_string(settings.queue_pairs);
  if (device_driver(settings.device) == "net_af_packet") {
    settings.device = with_argument(settings.device, "qpairs", queues);
    return;
  }
  // A receive queue without a socket keeps its packets from us, and nobody would notice.
  if (interface.receive_queues != settings.queue_pairs)
    throw StartError(
        "{}: interface {} has {} receive queues, and there are {} workers; AF_XDP needs one worker for each "
        "queue: `ethtool -L {} combined {}` (veth: rx {}), or another number of worker_cores",
        settings.where, name, interface.receive_queues, settings.queue_pairs, name, queues, queues);
  settings.device = with_argument(settings.device, "queue_count", queues);
}

template <std::size_t kSize>
void copy_text(char (&target)[kSize], std::string_view text) {
  text = text.substr(0, kSize - 1);
  std::memcpy(target, text.data(), text.size());
  target[text.size()] = '\0';
}

}  // namespace

struct PortSet::Open {
  Open(const config::Dataplane& dataplane, const config::Port& port, std::size_t position);
  DpdkDevice::Settings network_settings(const config::Dataplane& dataplane);
  std::string where() const { return fmt::format("port \"{}\"", config.name); }
  // Says in the log what changed.
  void watch(std::chrono::steady_clock::time_point now);

  const config::Port& config;
  KernelPath path;
  bool steered;
  std::optional<InterfaceLock> lock;  // until the device is closed and its program taken off
  std::optional<bpf::SteerProgram> steer_program;
  DpdkDevice network;
  std::optional<DpdkDevice> kernel;
  std::deque<DpdkPort> network_queues;
  std::deque<DpdkPort> kernel_queues;
  std::optional<InterfaceWatch> watched;  // none: the device knows best whether it has a link
  PortState state = PortState::up;
};

PortSet::Open::Open(const config::Dataplane& dataplane, const config::Port& port, std::size_t position)
    : config(port),
      path(kernel_path_of(port, position, access("/dev/vhost-net", F_OK) == 0)),
      // An AF_XDP interface keeps the kernel's packets with the kernel unless a device is there to take them.
      steered(device_driver(port.device) == "net_af_xdp" && path.kind != KernelPathKind::device),
      network(network_settings(dataplane)) {
  if (path.kind == KernelPathKind::device) {
    std::string device = path.device;
    // The kernel's end answers ARP and ND for the port, so it needs the port's MAC address.
    if (const auto driver = device_driver(device); driver == "net_tap" || driver == "virtio_user")
      device = with_argument(device, "mac", to_text(network.mac()));
    if (device_driver(device) == "virtio_user")
      device = with_argument(device, "queues", std::to_string(dataplane.worker_cores.size()));
    auto settings = settings_for(dataplane, port, device);
    settings.where += ", kernel path";
    kernel.emplace(settings);
  }
  const auto workers = static_cast<std::uint16_t>(dataplane.worker_cores.size());
  for (std::uint16_t queue = 0; queue < workers; queue++) {
    network_queues.emplace_back(network.id(), queue, network.buffers());
    if (kernel) kernel_queues.emplace_back(kernel->id(), queue, kernel->buffers());
  }
  if (lock) watched.emplace(where(), lock->name(), lock->index(), device_driver(port.device) == "net_af_xdp");
}

void PortSet::Open::watch(std::chrono::steady_clock::time_point now) {
  const PortState before = state;
  if (watched)
    state = watched->look(now);
  else
    state = network.link_up() ? PortState::up : PortState::down;
  if (state == before) return;
  if (state == PortState::up)
    log::info("{}: up again", where());
  else
    log::error("{}: {}", where(), watched ? watched->why() : "no link");
}

DpdkDevice::Settings PortSet::Open::network_settings(const config::Dataplane& dataplane) {
  auto settings = settings_for(dataplane, config, config.device);
  const std::string_view driver = device_driver(config.device);
  const std::string interface(device_argument(config.device, "iface").value_or(""));
  if ((driver != "net_af_xdp" && driver != "net_af_packet") || interface.empty()) return settings;
  const NetworkInterface found = look_at_interface(interface, settings.where);
  lock.emplace(found.index, interface, settings.where);
  // Beyond this point no other data plane has the interface: what is on it is a dead one's.
  fit_to_interface(settings, interface, found);
  if (steered) {
    if (bpf::remove_left_over_steering(interface))
      log::info("port \"{}\": removed the steering program that an earlier process left on {}", config.name, interface);
    settings.device = with_argument(settings.device, "xdp_prog", steer_program.emplace().path());
  }
  return settings;
}

PortSet::PortSet(const config::Dataplane& config) {
  for (const config::Port& port : config.ports) {
    ports_.push_back(std::make_unique<Open>(config, port, ports_.size()));
    const Open& open = *ports_.back();
    log::info("port \"{}\": {}, MAC {}, MTU {}, kernel path {}{}", port.name, port.device, to_text(open.network.mac()),
              open.network.mtu_bytes(), to_text(open.path.kind),
              open.path.device.empty() ? "" : " " + open.path.device);
  }
}

PortSet::~PortSet() = default;

void PortSet::describe(StatsSegment& stats) {
  for (std::size_t i = 0; i < ports_.size(); i++) {
    const Open& port = *ports_[i];
    PortInfo& info = stats.port(i);
    copy_text(info.name, port.config.name);
    copy_text(info.device, port.config.device);
    copy_text(info.kernel_name, port.path.interface);
    info.mac = port.network.mac();
    info.mtu_bytes = port.network.mtu_bytes();
    info.queue_count = static_cast<std::uint32_t>(port.network_queues.size());
  }
  watch(stats, std::chrono::steady_clock::now());
}

void PortSet::watch(StatsSegment& stats, std::chrono::steady_clock::time_point now) {
  for (std::size_t i = 0; i < ports_.size(); i++) {
    ports_[i]->watch(now);
    stats.port(i).state.store(ports_[i]->state, std::memory_order_relaxed);
  }
}

bool PortSet::any_up() const {
  return std::ranges::any_of(ports_, [](const auto& port) { return port->state == PortState::up; });
}

std::vector<WorkerPort> PortSet::of_worker(WorkerId worker) const {
  std::vector<WorkerPort> result;
  for (const auto& port : ports_)
    result.push_back({.network = &port->network_queues[index(worker)],
                      .kernel = port->kernel ? &port->kernel_queues[index(worker)] : nullptr,
                      .kernel_sees_all = port->path.kind == KernelPathKind::copy,
                      .mac = port->network.mac()});
  return result;
}

std::vector<std::string> PortSet::steered_interfaces() const {
  std::vector<std::string> interfaces;
  for (const auto& port : ports_)
    if (port->steered) interfaces.emplace_back(device_argument(port->config.device, "iface").value_or(""));
  return interfaces;
}

}  // namespace guideway
