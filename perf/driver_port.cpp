#include "perf/driver_port.h"

#include <fmt/format.h>
#include <rte_dev.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_mbuf_pool_ops.h>

#include <cstring>
#include <stdexcept>
#include <vector>

namespace guideway::perf {
namespace {

constexpr std::uint16_t kDescriptors = 512;  // the device has none, but wants a number

std::string next_name() {
  static int count = 0;
  return fmt::format("net_null{}", count++);
}

std::uint8_t* frame_of(const rte_mbuf* mbuf) {
  return static_cast<std::uint8_t*>(mbuf->buf_addr) + RTE_PKTMBUF_HEADROOM;
}

}  // namespace

// All buffers are taken, filled and given back in the order of the trace.
DriverBuffers::DriverBuffers(const Trace& trace) : trace_(trace) {
  const auto room = static_cast<std::uint16_t>(RTE_PKTMBUF_HEADROOM + trace.frame_bytes());
  const std::string name = next_name() + "_buffers";
  pool_ = rte_pktmbuf_pool_create_by_ops(name.c_str(), trace.frames(), 0, 0, room, SOCKET_ID_ANY, "ring_sp_sc");
  if (pool_ == nullptr) throw std::runtime_error("no memory for the buffers of a null device");
  std::vector<rte_mbuf*> mbufs(trace.frames());
  if (rte_pktmbuf_alloc_bulk(pool_, mbufs.data(), trace.frames()) != 0)
    throw std::runtime_error("the pool of a null device has too few buffers");
  for (std::uint32_t i = 0; i < trace.frames(); i++)
    std::memcpy(frame_of(mbufs[i]), trace.frame(i), trace.frame_bytes());
  rte_pktmbuf_free_bulk(mbufs.data(), trace.frames());
}

DriverBuffers::~DriverBuffers() {
  rte_mempool_free(pool_);
}

DriverPort::DriverPort(const DriverBuffers& buffers) : ethernet_(buffers.trace().ethernet()) {
  open(buffers);
  port_ = std::make_unique<DpdkPort>(device_, 0, buffers.pool());
}

DriverPort::~DriverPort() {
  rte_eth_dev_stop(device_);
  rte_eth_dev_close(device_);
}

void DriverPort::open(const DriverBuffers& buffers) {
  const std::string name = next_name();
  const std::string device = fmt::format("{},size={},copy=0", name, buffers.trace().frame_bytes());
  const rte_eth_conf configuration{};
  if (rte_dev_probe(device.c_str()) != 0 || rte_eth_dev_get_port_by_name(name.c_str(), &device_) != 0 ||
      rte_eth_dev_configure(device_, 1, 1, &configuration) != 0 ||
      rte_eth_rx_queue_setup(device_, 0, kDescriptors, 0, nullptr, buffers.pool()) != 0 ||
      rte_eth_tx_queue_setup(device_, 0, kDescriptors, 0, nullptr) != 0 || rte_eth_dev_start(device_) != 0)
    throw std::runtime_error(fmt::format("the device \"{}\" does not start", device));
}

std::uint32_t DriverPort::transmit(Packet* const* packets, std::uint32_t count) {
  put_back(packets, count);
  sent_ += count;
  return port_->transmit(packets, count);
}

void DriverPort::release(Packet* const* packets, std::uint32_t count) {
  put_back(packets, count);
  released_ += count;
  port_->release(packets, count);
}

void DriverPort::put_back(Packet* const* packets, std::uint32_t count) {
  for (std::uint32_t i = 0; i < count; i++) store(frame_of(static_cast<rte_mbuf*>(packets[i]->buffer)), ethernet_);
}

}  // namespace guideway::perf
