// How pipeline_bench measures a rig: in pieces of 2048 packets, of which the median counts, so that a piece in which
// the core was taken away does not. A cycle is one of the time stamp counter.
#pragma once

#include <x86intrin.h>

#include <algorithm>
#include <vector>

#include "perf/rigs.h"

namespace guideway::perf {

inline constexpr std::uint32_t kPollsPerPiece = 64;
inline constexpr std::uint32_t kPacketsPerPiece = kPollsPerPiece * kBatchMax;

// Cycles per packet.
inline double run_piece(Rig& rig) {
  const std::uint64_t start = __rdtsc();
  for (std::uint32_t i = 0; i < kPollsPerPiece; i++) rig.poll();
  return static_cast<double>(__rdtsc() - start) / kPacketsPerPiece;
}

// REQUIRES: not empty.
inline double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace guideway::perf
