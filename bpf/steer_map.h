// Which addresses the steering program (bpf/xsk_steer.bpf.c) takes from the kernel, and what it counted.
//
// DPDK loads the program and does not hand out its maps; SteerMap finds them through the interface. Open it after the
// port is configured, that is when DPDK has attached the program.
// Thread-safety: one thread; the program sees each address appear or vanish as a whole.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "common/descriptor.h"
#include "guideway/address.h"

namespace guideway::bpf {

inline constexpr const char* kSteerProgramName = "xsk_steer";

struct SteerCounters {  // packets; abi/xsk_steer.h tells what each means
  std::uint64_t steered = 0;
  std::uint64_t unbound = 0;
  std::uint64_t passed = 0;
};

class SteerMap {
 public:
  // Throws std::runtime_error, a sentence, when the interface has no steering program.
  static SteerMap open(const std::string& interface);

  // From now on these VIPs are steered, and no others. Adds what is new before it removes what is gone, so that an
  // address in both never falls back to the kernel. At most GUIDEWAY_STEER_VIPS_MAX; duplicates are allowed. Throws
  // std::runtime_error; what was added until then stays.
  void set(std::span<const IpAddress> vips) const;

  SteerCounters counters() const;

 private:
  SteerMap(Descriptor vips, Descriptor counters) : vips_(std::move(vips)), counters_(std::move(counters)) {}
  Descriptor vips_;
  Descriptor counters_;
};

}  // namespace guideway::bpf
