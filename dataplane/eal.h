// DPDK's environment: memory, cores, drivers. One per process, started before any device.
//
// Memory comes from hugepages when enough are free (--in-memory), else from ordinary pages (--no-huge); both keep
// nothing in files, so any number of instances share a host. Logical cores are numbered by us: 0 is the main core,
// w + 1 is worker w.
//
// Thread-safety: main core.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/config/config.h"

namespace guideway {

class Eal {
 public:
  // Throws StartError.
  explicit Eal(const config::Dataplane& config);
  ~Eal();
  Eal(const Eal&) = delete;
  Eal& operator=(const Eal&) = delete;
};

constexpr unsigned lcore_of(WorkerId worker) {
  return index(worker) + 1;
}

// The first thing DPDK complained about since the previous call, as a clause for a sentence ("; DPDK says: …"), or
// nothing. DPDK reports by logging; its errors are kept here until somebody puts them into a sentence.
std::string take_dpdk_complaint();

// From now on DPDK's errors are events of their own.
void log_dpdk_complaints();

// ---- for tests ----
struct HugepagePool {
  std::uint64_t free_bytes = 0;
};
// What /proc/meminfo says about hugepages of the default size.
HugepagePool parse_hugepages(const std::string& meminfo);
// The command line for DPDK. Throws StartError when hugepages are demanded and not there.
std::vector<std::string> eal_arguments(const config::Dataplane& config, HugepagePool hugepages);

}  // namespace guideway
