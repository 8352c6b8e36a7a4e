// What pipeline_bench measures: something that takes a batch from a port and sends it, over and over.
// Thread-safety: one thread. Ownership: port, trace and tables outlive the rig.
#pragma once

#include <memory>
#include <string>

#include "perf/bench_tables.h"
#include "perf/trace_port.h"

namespace guideway::perf {

class Rig {
 public:
  Rig() = default;
  Rig(const Rig&) = delete;
  Rig& operator=(const Rig&) = delete;
  virtual ~Rig() = default;

  virtual void poll() = 0;  // one batch
};

// Receives and transmits.
std::unique_ptr<Rig> empty_rig(Port& port);

// Exchanges the MAC addresses besides: the least that touches every frame.
std::unique_ptr<Rig> mac_swap_rig(Port& port);

// What DPDK's example l3fwd does with a batch: the destinations are looked up in a longest-prefix-match table side by
// side, then the MAC addresses are those of the next hop, TTL and checksum change. IPv6: rte_lpm6, and the hop limit.
// REQUIRES: start_dpdk() was called. Throws std::runtime_error.
std::unique_ptr<Rig> l3fwd_rig(Port& port, const TraceSpec& spec);

// The same for IPv4, but packets go by their sources, as their answers would by their destinations: a router has as
// many addresses to look up as there are clients, where the few VIPs of a trace lie in a line or two of its table.
std::unique_ptr<Rig> l3fwd_to_clients_rig(Port& port);
void start_dpdk();

// The shipped Worker with one port whose kernel sees every frame itself. `flows`: of the trace, for tables that
// remember flows.
std::unique_ptr<Rig> worker_rig(Port& port, const BenchTables& tables, std::uint32_t flows = 1);

// The shipped stages up to one of them, without the worker around them; the packets are sent whatever they are by then.
enum class Stage { parse, classify, select, encap };
std::unique_ptr<Rig> stages_rig(Port& port, const BenchTables& tables, Stage last);

}  // namespace guideway::perf
