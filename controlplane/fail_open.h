// Fail-open: where the checks hold most of a pool down, the checks are more likely to be wrong than the backends. Then
// "down" is not believed in this pool, and its backends keep their slots (docs/fail_open.md).
//
//                     the weight that is not down is less than fail_open_below
//   checks count ──────────────────────────────────────────────────────────────► the pool fails open
//        ▲          or: one goes down, and it would be less without those whose          │
//        │              last checks failed                                               │
//        └───────────────────────────────────────────────────────────────────────────────┘
//                     it is not less, for as long as a check takes to change its mind
//
// Verdicts come one after another. Without the second condition the first ones to go down would lose their slots, and
// their connections, before the pool fails open; without the wait so would the last ones to come back.
//
// decide() asks fails_open() and does the rest. Thread-safety: one thread, the functions are pure.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "controlplane/desired_state.h"
#include "controlplane/event_loop.h"

namespace guideway::controlplane {

// Whether the verdict "down" does not count in the pool. Only if there is one.
bool fails_open(const Facts& facts, const config::Pool& pool);

// Why the checks are not believed, and what to look for; by a desired state that says so of the pool.
std::string fail_open_warning(const config::Pool& pool, const std::vector<BackendDecision>& decisions);

// "; …" of a backend that is down and gets its traffic all the same; of any other one nothing.
std::string fail_open_note(const BackendDecision& decision);

// Remembers for how long pools fail open.
class FailOpen {
 public:
  // `ended`: of some pool the time is over, decide() again.
  FailOpen(EventLoop& loop, std::function<void()> ended);

  // Before decide(). `failing`: what is up, and failed its last check.
  void follow(const Facts& facts, const std::set<HealthTarget>& failing);
  // After it: says in the log which pools fail open from here on, and which no longer.
  void note(const config::Config& config, const DesiredState& desired);

  const std::set<std::string>& pools() const { return pools_; }  // Facts::held_open

 private:
  struct Watched {
    std::set<IpAddress> down;
    bool too_few = false;           // are not down
    std::optional<Deadline> until;  // it fails open, if enough are not down
  };
  void follow_pool(const Facts& facts, const config::Pool& pool, const std::set<HealthTarget>& failing,
                   Watched& watched) const;
  void await(Deadline now);

  std::map<std::string, Watched> watched_;
  std::set<std::string> pools_;
  std::set<std::string> logged_;
  Timer timer_;
};

}  // namespace guideway::controlplane
