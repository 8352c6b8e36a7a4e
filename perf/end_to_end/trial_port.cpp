#include "perf/end_to_end/trial_port.h"

#include <fcntl.h>
#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <sched.h>

#include <cerrno>
#include <stdexcept>

#include "common/descriptor.h"

namespace guideway::perf {
namespace {

constexpr std::uint32_t kBuffers = 32767;  // three memif queues of 4096, what is under way, and caches
constexpr std::uint32_t kBufferCache = 256;
constexpr std::uint16_t kDescriptors = 4096;

[[noreturn]] void fail(const std::string& what, int error) {
  throw std::runtime_error(what + ": " + rte_strerror(error));
}

void enter_netns(const std::string& netns) {
  if (netns.empty()) return;
  const Descriptor file(open(("/run/netns/" + netns).c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0 || setns(file.get(), CLONE_NEWNET) != 0)
    fail("cannot enter the network namespace " + netns, errno);
}

}  // namespace

TrialPort::TrialPort(const std::string& device, const std::string& netns, std::uint16_t receive_queues)
    : receive_queues_(receive_queues) {
  enter_netns(netns);
  const std::string name = device.substr(0, device.find(','));
  if (const int e = rte_dev_probe(device.c_str()); e != 0) fail("device " + device + " cannot be opened", -e);
  if (const int e = rte_eth_dev_get_port_by_name(name.c_str(), &id_); e != 0) fail("there is no port " + name, -e);
  buffers_ = rte_pktmbuf_pool_create((name + "_buffers").c_str(), kBuffers, kBufferCache, 0, RTE_MBUF_DEFAULT_BUF_SIZE,
                                     SOCKET_ID_ANY);
  if (buffers_ == nullptr) fail("no memory for packet buffers", rte_errno);
  const rte_eth_conf conf{};
  std::uint16_t rx = kDescriptors;
  std::uint16_t tx = kDescriptors;
  int e = rte_eth_dev_configure(id_, receive_queues_, 1, &conf);
  if (e == 0) e = rte_eth_dev_adjust_nb_rx_tx_desc(id_, &rx, &tx);
  for (std::uint16_t queue = 0; e == 0 && queue < receive_queues_; queue++)
    e = rte_eth_rx_queue_setup(id_, queue, rx, 0, nullptr, buffers_);
  if (e == 0) e = rte_eth_tx_queue_setup(id_, 0, tx, 0, nullptr);
  if (e == 0) e = rte_eth_dev_start(id_);
  if (e != 0) fail("device " + device + " cannot be started", -e);
}

TrialPort::~TrialPort() {
  rte_eth_dev_stop(id_);
  rte_eth_dev_close(id_);
}

bool TrialPort::is_up() const {
  rte_eth_link link{};
  return rte_eth_link_get_nowait(id_, &link) == 0 && link.link_status == RTE_ETH_LINK_UP;
}

MacAddress TrialPort::mac() const {
  rte_ether_addr address{};
  rte_eth_macaddr_get(id_, &address);
  return load<MacAddress>(address.addr_bytes);
}

bool TrialPort::allocate(std::span<rte_mbuf*> buffers) {
  return rte_pktmbuf_alloc_bulk(buffers_, buffers.data(), static_cast<unsigned>(buffers.size())) == 0;
}

std::uint32_t TrialPort::transmit(std::span<rte_mbuf*> buffers) {
  const auto count = static_cast<std::uint16_t>(buffers.size());
  const std::uint16_t taken = rte_eth_tx_burst(id_, 0, buffers.data(), count);
  if (taken < count) rte_pktmbuf_free_bulk(buffers.data() + taken, static_cast<unsigned>(count - taken));
  return taken;
}

std::uint32_t TrialPort::receive(std::span<rte_mbuf*> buffers) {
  std::uint32_t count = 0;
  for (std::uint16_t queue = 0; queue < receive_queues_; queue++)
    count += rte_eth_rx_burst(id_, queue, buffers.data() + count, static_cast<std::uint16_t>(buffers.size() - count));
  return count;
}

}  // namespace guideway::perf
