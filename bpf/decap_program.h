// The decapsulation program (bpf/backend_decap.bpf.c) on a backend's interface: put on, taken off, asked.
//
// It hangs on the interface by netlink: it outlives the process that attached it and goes with the interface, needs no
// BPF file system, and interfaces of the same name in different network namespaces do not meet. Its maps are found
// through the interface (attached_program.h). Pins, for other tools, are extra: decap_pins.h.
//
// All functions throw std::runtime_error: one sentence that says what is wrong, where, and what to do.
// Thread-safety: none. Two processes at the same interface: the kernel lets one of them win, the other one is told.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "bpf/attached_program.h"
#include "guideway/abi/backend_decap.h"
#include "guideway/address.h"
#include "guideway/wire.h"

namespace guideway::bpf {

inline constexpr const char* kDecapProgramName = "backend_decap";

inline constexpr std::uint32_t kHopRate = 100'000;
inline constexpr std::uint32_t kHopRateMax = 10'000'000;

struct DecapSettings {
  std::vector<IpPrefix> sources;      // who may send us encapsulated packets
  std::vector<IpAddress> locals;      // the outer destinations that are ours
  std::uint16_t gue_port = kGuePort;  // 0: GUE is left alone
  bool ipip = true;
  bool gre = true;
  bool second_chance = true;           // false: packets with a hop list are decapsulated here, whosever they are
  std::uint32_t hop_rate = kHopRate;   // packets a second that are passed on to other backends
  std::vector<std::uint32_t> netns{};  // ids of further network namespaces with sockets (network_namespace.h)
};

struct DecapCounter {
  const char* name;
  const char* meaning;
};
// In the order of enum guideway_decap_counter.
extern const std::array<DecapCounter, GUIDEWAY_DECAP_COUNTERS> kDecapCounters;

struct DecapStatus {
  std::uint32_t program_id = 0;
  XdpMode mode = XdpMode::native;
  DecapSettings settings;
  std::vector<std::uint64_t> counters;  // one for each of kDecapCounters
};

// The addresses of an interface, which are the usual `locals`.
std::vector<IpAddress> addresses_of(const std::string& interface);

enum class Attach { fresh, replaced };
// Attaches a program with these settings. If ours is there already, the new one takes its place with one exchange:
// each packet meets either the old settings or the new ones, and counters carry on. `mode` nullopt: native where the
// driver can, else generic.
Attach attach_decap(const std::string& interface, const DecapSettings& settings, std::optional<XdpMode> mode);

// Our program on the interface; nullopt if there is none. Throws when another one is there.
std::optional<AttachedProgram> find_decap(const std::string& interface);
DecapStatus status_of(const AttachedProgram& program);

}  // namespace guideway::bpf
