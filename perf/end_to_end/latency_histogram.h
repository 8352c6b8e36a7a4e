// Latencies in buckets, 32 to each power of two: a percentile is told with an error of at most 3 %.
// Thread-safety: one thread.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>

namespace guideway::perf {

class LatencyHistogram {
 public:
  void add(std::uint64_t cycles) {
    buckets_[bucket_of(cycles)]++;
    count_++;
    if (cycles > max_) max_ = cycles;
  }

  // The cycles that a share of all, 0 to 1, does not exceed; 0 if there are none.
  std::uint64_t quantile(double share) const {
    const auto wanted = static_cast<std::uint64_t>(share * static_cast<double>(count_));
    std::uint64_t seen = 0;
    for (std::uint32_t b = 0; b < buckets_.size(); b++) {
      seen += buckets_[b];
      if (seen > wanted) return std::min(upper_end(b), max_);
    }
    return max_;
  }
  std::uint64_t max() const { return max_; }

 private:
  static constexpr std::uint32_t kLinearBits = 5;
  static constexpr std::uint32_t kLinear = 1 << kLinearBits;

  // Below 2 × kLinear a bucket is one cycle; from there on the highest kLinearBits + 1 bits choose it.
  static std::uint32_t bucket_of(std::uint64_t cycles) {
    const auto width = static_cast<std::uint32_t>(std::bit_width(cycles));
    if (width <= kLinearBits + 1) return static_cast<std::uint32_t>(cycles);
    const std::uint32_t shift = width - kLinearBits - 1;
    return shift * kLinear + static_cast<std::uint32_t>(cycles >> shift);
  }
  static std::uint64_t upper_end(std::uint32_t bucket) {
    if (bucket < 2 * kLinear) return bucket;
    const std::uint32_t shift = bucket / kLinear - 1;
    return (std::uint64_t{bucket - shift * kLinear + 1} << shift) - 1;
  }

  std::array<std::uint64_t, (64 - kLinearBits + 1) * kLinear> buckets_{};
  std::uint64_t count_ = 0;
  std::uint64_t max_ = 0;
};

}  // namespace guideway::perf
