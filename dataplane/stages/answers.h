// Our own answers: how many a worker may send (echo replies; errors, which are resets and ICMP errors), and as what
// they are counted. Thread-safety: one worker.
#pragma once

#include "dataplane/batch.h"
#include "dataplane/stages/rate_limit.h"

namespace guideway {

struct Answers {
  RateLimit echo;
  RateLimit errors;
};

// What a packet is counted as that was answered instead of being dropped for `reason`.
constexpr Counter answered_as(Counter reason) {
  switch (reason) {
    case Counter::drop_echo_limited:
      return Counter::answered_echo;
    case Counter::drop_too_big:
      return Counter::answered_too_big;
    case Counter::drop_no_backend:
      return Counter::answered_no_backend;
    default:
      return Counter::answered_unserved;
  }
}

}  // namespace guideway
