#include "dataplane/dpdk_device.h"

#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_mbuf_pool_ops.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstring>

#include "dataplane/device_string.h"
#include "dataplane/eal.h"
#include "dataplane/start_error.h"

namespace guideway {
namespace {

constexpr std::uint64_t kRssFields = RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP | RTE_ETH_RSS_UDP;
constexpr std::uint32_t kBufferCache = 256;          // buffers that a core keeps to itself
constexpr std::uint32_t kAfPacketFrameBytes = 2048;  // of AF_PACKET's rings, unless the device string has framesz=
constexpr std::uint32_t kAfPacketFrameOverheadBytes = 148;  // the kernel's header in it, and ours
constexpr std::uint16_t kFrameOverheadBytes = 26;           // Ethernet header, two VLAN tags, frame check sequence

// The length of a ring's frames; 0 if the device is none of AF_PACKET's.
std::uint32_t ring_frame_bytes(std::string_view device) {
  if (device_driver(device) != "net_af_packet") return 0;
  const std::string_view text = device_argument(device, "framesz").value_or("");
  std::uint32_t bytes = kAfPacketFrameBytes;
  std::from_chars(text.data(), text.data() + text.size(), bytes);  // what is no number, the driver refuses
  return bytes;
}

// Room for a whole frame, so that it lies in one piece, behind DPDK's standard headroom, which holds our outer headers.
std::uint16_t buffer_bytes(std::uint16_t mtu_bytes, std::string_view device) {
  static_assert(RTE_PKTMBUF_HEADROOM >= 80);  // sizeof(OuterTemplate::header)
  const std::uint32_t frame_bytes = std::max({2048U, mtu_bytes + 0U + kFrameOverheadBytes, ring_frame_bytes(device)});
  return static_cast<std::uint16_t>(std::min(RTE_PKTMBUF_HEADROOM + frame_bytes, 0xffffU));
}

// As rte_pktmbuf_pool_create(), but in one piece, and one buffer follows the other without gaps at the ends of pages,
// which only DMA needs. net_af_xdp of DPDK 22.11 counts on both: it registers `count` times a buffer's size with the
// kernel, which skips descriptors of what lies behind, and says nothing. nullptr if there is no memory.
rte_mempool* create_gapless_pool(const std::string& name, std::uint32_t count, std::uint16_t data_bytes, int socket) {
  rte_pktmbuf_pool_private about{};
  about.mbuf_data_room_size = data_bytes;
  rte_mempool* pool =
      rte_mempool_create_empty(name.c_str(), count, static_cast<unsigned>(sizeof(rte_mbuf)) + data_bytes, kBufferCache,
                               sizeof about, socket, RTE_MEMPOOL_F_NO_IOVA_CONTIG);
  if (pool == nullptr) return nullptr;
  if (rte_mempool_set_ops_byname(pool, rte_mbuf_best_mempool_ops(), nullptr) == 0) {
    rte_pktmbuf_pool_init(pool, &about);
    if (rte_mempool_populate_default(pool) >= 0 && pool->nb_mem_chunks == 1) {
      rte_mempool_obj_iter(pool, rte_pktmbuf_init, nullptr);
      return pool;
    }
  }
  rte_mempool_free(pool);
  return nullptr;
}

}  // namespace

DpdkDevice::DpdkDevice(const Settings& settings) {
  take_dpdk_complaint();  // what was not bad enough to stop is no cause of what comes now
  probe(settings);
  try {
    configure(settings);
    set_up_queues(settings);
    if (const int e = rte_eth_dev_start(id_); e != 0)
      throw StartError("{}: device \"{}\" does not start: {}{}", settings.where, settings.device, rte_strerror(-e),
                       take_dpdk_complaint());
  } catch (...) {
    rte_eth_dev_close(id_);
    rte_mempool_free(buffers_);
    throw;
  }
}

DpdkDevice::~DpdkDevice() {
  rte_eth_dev_stop(id_);
  rte_eth_dev_close(id_);
  rte_mempool_free(buffers_);
}

void DpdkDevice::probe(const Settings& settings) {
  is_pci_ = is_pci_address(settings.device);
  const std::string name(device_name(settings.device));
  // PCI devices were probed when DPDK started, because only then does it look at the bus.
  const int e = is_pci_ ? 0 : rte_dev_probe(settings.device.c_str());
  if (e != 0 || rte_eth_dev_get_port_by_name(name.c_str(), &id_) != 0)
    throw StartError("{}: device \"{}\" cannot be opened{}; {}", settings.where, settings.device, take_dpdk_complaint(),
                     is_pci_
                         ? "check that it exists and is bound to a driver that DPDK can use (dpdk-devbind.py --status)"
                         : "check the driver's name and its arguments");
}

void DpdkDevice::configure(const Settings& settings) {
  rte_eth_dev_info info{};
  if (const int e = rte_eth_dev_info_get(id_, &info); e != 0)
    throw StartError("{}: device \"{}\" does not tell its abilities: {}", settings.where, settings.device,
                     rte_strerror(-e));
  if (info.max_rx_queues < settings.queue_pairs || info.max_tx_queues < settings.queue_pairs)
    throw StartError(
        "{}: device \"{}\" has {} queue pairs, but there are {} workers and each needs its own; use fewer "
        "worker_cores or give the device more queues",
        settings.where, settings.device, std::min(info.max_rx_queues, info.max_tx_queues), settings.queue_pairs);

  rte_eth_conf conf{};
  if (settings.queue_pairs > 1) {
    conf.rx_adv_conf.rss_conf.rss_hf = info.flow_type_rss_offloads & kRssFields;
    if (conf.rx_adv_conf.rss_conf.rss_hf != 0)
      conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
    else if (is_pci_)  // virtual devices have their queues filled by whoever is behind them
      throw StartError("{}: device \"{}\" cannot spread packets over {} queues (no RSS); use one worker core",
                       settings.where, settings.device, settings.queue_pairs);
  }
  conf.txmode.offloads = info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
  if (const int e = rte_eth_dev_configure(id_, settings.queue_pairs, settings.queue_pairs, &conf); e != 0)
    throw StartError("{}: device \"{}\" refuses {} queue pairs: {}{}", settings.where, settings.device,
                     settings.queue_pairs, rte_strerror(-e), take_dpdk_complaint());

  rte_eth_dev_get_mtu(id_, &mtu_bytes_);
  if (settings.mtu_bytes == 0 || settings.mtu_bytes == mtu_bytes_) return;
  // DPDK 22.11's AF_PACKET driver refuses more than 1500, though its ring holds longer frames. The interface below has
  // its MTU already.
  const bool ring_decides = settings.mtu_bytes + kAfPacketFrameOverheadBytes <= ring_frame_bytes(settings.device);
  const int e = ring_decides ? 0 : rte_eth_dev_set_mtu(id_, settings.mtu_bytes);
  if (e != 0 && e != -ENOTSUP)
    throw StartError("{}: device \"{}\" refuses an MTU of {}: {}{}", settings.where, settings.device,
                     settings.mtu_bytes, rte_strerror(-e), take_dpdk_complaint());
  mtu_bytes_ = settings.mtu_bytes;
}

void DpdkDevice::set_up_queues(const Settings& settings) {
  const std::uint32_t buffers = settings.buffers_per_queue * settings.queue_pairs;
  const int socket = rte_eth_dev_socket_id(id_);
  const std::string name = fmt::format("buffers{}", id_);
  const std::uint16_t bytes = buffer_bytes(mtu_bytes_, settings.device);
  buffers_ = device_driver(settings.device) == "net_af_xdp"
                 ? create_gapless_pool(name, buffers, bytes, socket)
                 : rte_pktmbuf_pool_create(name.c_str(), buffers, kBufferCache, 0, bytes, socket);
  if (buffers_ == nullptr)
    throw StartError("{}: no memory for {} packet buffers of {} bytes; raise dataplane.memory", settings.where, buffers,
                     bytes);
  std::uint16_t rx = settings.rx_descriptors;
  std::uint16_t tx = settings.tx_descriptors;
  rte_eth_dev_adjust_nb_rx_tx_desc(id_, &rx, &tx);
  for (std::uint16_t queue = 0; queue < settings.queue_pairs; queue++) {
    int e = rte_eth_rx_queue_setup(id_, queue, rx, static_cast<unsigned>(socket), nullptr, buffers_);
    if (e == 0) e = rte_eth_tx_queue_setup(id_, queue, tx, static_cast<unsigned>(socket), nullptr);
    if (e != 0)
      throw StartError("{}: queue {} of device \"{}\" cannot be set up: {}{}", settings.where, queue, settings.device,
                       rte_strerror(-e), take_dpdk_complaint());
  }
}

MacAddress DpdkDevice::mac() const {
  rte_ether_addr address{};
  rte_eth_macaddr_get(id_, &address);
  return std::bit_cast<MacAddress>(address);
}

void DpdkDevice::set_mac(const MacAddress& mac) {
  auto address = std::bit_cast<rte_ether_addr>(mac);
  rte_eth_dev_default_mac_addr_set(id_, &address);
}

bool DpdkDevice::link_up() const {
  rte_eth_link link{};
  return rte_eth_link_get_nowait(id_, &link) == 0 && link.link_status == RTE_ETH_LINK_UP;
}

}  // namespace guideway
