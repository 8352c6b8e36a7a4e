// Which prefixes the steering program (bpf/xsk_steer.bpf.c) takes from the kernel, and what it counted.
//
// DPDK loads the program and does not hand out its maps; SteerMap finds them through the interface. Open it after the
// port is configured, that is when DPDK has attached the program.
// Thread-safety: one thread, and one SteerMap that sets; the program sees each prefix appear or vanish as a whole.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <set>
#include <span>
#include <string>

#include "common/descriptor.h"
#include "guideway/abi/xsk_steer.h"
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

  // From now on packets to these prefixes are steered, and no others. Adds what is new before it removes what is gone,
  // so that an address that stays covered never falls back to the kernel. At most GUIDEWAY_STEER_VIPS_MAX; duplicates
  // are allowed. Throws std::runtime_error; what was added until then stays.
  void set(std::span<const IpPrefix> vips);

  SteerCounters counters() const;

 private:
  // The bytes of a guideway_prefix, which has no padding.
  using Key = std::array<std::uint8_t, sizeof(guideway_prefix)>;

  SteerMap(Descriptor vips, Descriptor counters);
  void add(const Key& key, std::size_t wanted);

  Descriptor vips_;
  Descriptor counters_;
  std::set<Key> steered_;  // what the map holds: asking the kernel for it costs as much as filling it
};

}  // namespace guideway::bpf
