// A schedule, lived through by a fleet and its flows in virtual time, and what became of the connections.
//
// A flow lives on the backend that got its SYN. A packet that comes to another backend, without a way on to the right
// one, breaks its connection: that is counted once, and the flow goes on, so that all schemes see the same packets. A
// packet to a dead host is lost, and sent again. A flow is never silent for longer than kSilenceMax.
// Thread-safety: one thread.
#pragma once

#include <array>
#include <vector>

#include "perf/continuity/load_balancer.h"
#include "perf/continuity/two_choice.h"

namespace guideway::perf {

inline constexpr Seconds kSilenceMax{7000};
static_assert(kSilenceMax < kSettleAfter);

enum class Scheme : std::uint8_t {
  guideway,                // as with IPIP
  guideway_second_chance,  // as with GUE
  maglev,                  // the owner of the slot, and nothing else
  full_tracking,           // each load balancer remembers all its flows
  two_choice,
};
inline constexpr std::size_t kSchemes = 5;

// Why second chance did not help.
enum class Cause : std::uint8_t {
  // A load balancer that had never seen the flow got it when its backend had owned no slot of it for kSettleAfter …
  late,
  // … or before that, and remembered another backend, as it had to; now the slot has settled.
  mistaken,
  // The backend owned the slot lately, but the slot had more than four owners since,
  crowded,
  // or the pool more than Eras::kErasMax eras.
  era_cut,
};
inline constexpr std::size_t kCauses = 4;

struct Result {
  std::uint64_t opened = 0;
  std::uint64_t packets = 0;
  std::array<std::uint64_t, kSchemes> broken{};    // connections whose backend lives
  std::array<std::uint64_t, kSchemes> inherent{};  // … is dead
  std::array<std::uint64_t, kSchemes> detours{};   // packets that a backend passed on
  std::array<std::uint64_t, kCauses> causes{};     // of guideway_second_chance
  std::uint64_t broken_drained = 0;                // of guideway_second_chance, on drained backends
  std::uint64_t with_hops = 0;                     // … packets
  std::uint64_t peak_second_chance = 0;            // flows remembered at once, by all load balancers
  std::uint64_t peak_moved = 0;
  std::uint64_t peak_all = 0;
  std::vector<std::uint64_t> remembered_by_minute;
};

Result simulate(const Schedule& schedule, std::uint32_t flows);

}  // namespace guideway::perf
