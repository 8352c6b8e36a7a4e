// When a worker without work may sleep: after kEmptyTurns turns that brought no packet, and again after every further
// one. A turn that brings something ends it, so under load a worker never sleeps.
//
// Thread-safety: one worker's.
#pragma once

#include <chrono>
#include <cstdint>

namespace guideway {

class IdleSleep {
 public:
  // Enough that a pause between two bursts of a busy port is not taken for idleness.
  static constexpr std::uint32_t kEmptyTurns = 64;

  // `sleep`: how long at a time; 0: never.
  explicit IdleSleep(std::chrono::microseconds sleep) : sleep_(sleep) {}

  bool enabled() const { return sleep_.count() > 0; }

  // After each turn. `received`: what the worker has received so far, in any unit that grows. How long to sleep now.
  std::chrono::microseconds after_turn(std::uint64_t received) {
    if (received != received_) empty_turns_ = 0;
    received_ = received;
    if (empty_turns_ < kEmptyTurns) {
      empty_turns_++;
      return std::chrono::microseconds{0};
    }
    return sleep_;
  }

 private:
  std::chrono::microseconds sleep_;
  std::uint64_t received_ = 0;
  std::uint32_t empty_turns_ = 0;
};

}  // namespace guideway
