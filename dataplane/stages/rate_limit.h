// At most so many events per second, with a burst of as many.
//
// A leaky bucket kept as the time when it will be empty (the generic cell rate algorithm, ITU-T I.371, annex A).
// Thread-safety: one thread.
#pragma once

#include <algorithm>

#include "dataplane/batch.h"

namespace guideway {

class RateLimit {
 public:
  explicit RateLimit(std::uint32_t per_second) : per_second_(per_second) {}

  // Whether one more may happen now; if so, it counts.
  bool allow(Ns now) {
    if (per_second_ == 0) return false;
    const Ns interval = kBurst / per_second_;
    spent_until_ = std::max(spent_until_, now - kBurst);
    if (spent_until_ + interval > now) return false;
    spent_until_ += interval;
    return true;
  }

 private:
  static constexpr Ns kBurst = std::chrono::seconds(1);
  std::uint32_t per_second_;
  Ns spent_until_ = -kBurst;
};

}  // namespace guideway
