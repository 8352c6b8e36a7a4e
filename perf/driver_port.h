// A trace behind a driver of DPDK: the shipped DpdkPort over a null device, whose buffers hold the frames.
//
//   pool of buffers, first in first out ──alloc──► net_null ──► DpdkPort ──► the rig
//                  ▲                                                            │ the Ethernet header is put back
//                  └──────────free────── net_null ◄── DpdkPort ◄────────────────┘
//
// The device touches no bytes (copy=0) but takes buffers from a pool and gives them back, as a NIC's driver does; there
// is no cache in front of the pool, which would hand out the same few frames over and over.
//
// Thread-safety: one thread.
#pragma once

#include "dataplane/dpdk_port.h"
#include "perf/trace_port.h"

namespace guideway::perf {

class DriverPort final : public LoopPort {
 public:
  // REQUIRES: start_dpdk() was called. Throws std::runtime_error.
  explicit DriverPort(const Trace& trace);
  ~DriverPort() override;
  DriverPort(const DriverPort&) = delete;
  DriverPort& operator=(const DriverPort&) = delete;

  void receive(Batch& batch) override { port_->receive(batch); }
  std::uint32_t transmit(Packet* const* packets, std::uint32_t count) override;
  void release(Packet* const* packets, std::uint32_t count) override;
  bool allocate(Packet&, std::uint32_t) override { return false; }

 private:
  void fill(const Trace& trace);
  void open(const Trace& trace);
  void put_back(Packet* const* packets, std::uint32_t count);

  EthernetHeader ethernet_;
  rte_mempool* buffers_ = nullptr;
  std::uint16_t device_ = 0;
  std::unique_ptr<DpdkPort> port_;
};

}  // namespace guideway::perf
