// A trace behind a driver of DPDK: the shipped DpdkPort over a null device, whose buffers hold the frames.
//
//   pool of buffers, first in first out ──alloc──► net_null ──► DpdkPort ──► the rig
//                  ▲                                                            │ the Ethernet header is put back
//                  └──────────free────── net_null ◄── DpdkPort ◄────────────────┘
//
// The device touches no bytes (copy=0) but takes buffers from a pool and gives them back, as a NIC's driver does; there
// is no cache in front of the pool, which would hand out the same few frames over and over. Ports may share a pool as
// long as they run one after the other.
//
// Thread-safety: one thread.
#pragma once

#include "dataplane/dpdk_port.h"
#include "perf/trace_port.h"

namespace guideway::perf {

// The pool. REQUIRES: start_dpdk() was called; the trace outlives it. Throws std::runtime_error.
class DriverBuffers {
 public:
  explicit DriverBuffers(const Trace& trace);
  ~DriverBuffers();
  DriverBuffers(const DriverBuffers&) = delete;
  DriverBuffers& operator=(const DriverBuffers&) = delete;

  rte_mempool* pool() const { return pool_; }
  const Trace& trace() const { return trace_; }

 private:
  const Trace& trace_;
  rte_mempool* pool_ = nullptr;
};

class DriverPort final : public LoopPort {
 public:
  // `buffers` outlive it. Throws std::runtime_error.
  explicit DriverPort(const DriverBuffers& buffers);
  ~DriverPort() override;
  DriverPort(const DriverPort&) = delete;
  DriverPort& operator=(const DriverPort&) = delete;

  void receive(Batch& batch) override { port_->receive(batch); }
  std::uint32_t transmit(Packet* const* packets, std::uint32_t count) override;
  void release(Packet* const* packets, std::uint32_t count) override;
  bool allocate(Packet&, std::uint32_t) override { return false; }

 private:
  void open(const DriverBuffers& buffers);
  void put_back(Packet* const* packets, std::uint32_t count);

  EthernetHeader ethernet_;
  std::uint16_t device_ = 0;
  std::unique_ptr<DpdkPort> port_;
};

}  // namespace guideway::perf
