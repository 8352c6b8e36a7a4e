// Carries out single health checks: TCP connect, or HTTP GET. Never blocks; a bounded number is under way at a time and
// the others wait their turn, so that thousands of targets cannot exhaust descriptors.
//
// HTTP is judged by the status of the final answer; interim ones are skipped (RFC 9110, section 15.2), bodies not read.
//
// Connections end with a reset (SO_LINGER 0): nothing stays behind in TIME_WAIT to use up source ports.
// Thread-safety: one thread.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "common/config/config.h"
#include "controlplane/event_loop.h"

namespace guideway::controlplane {

struct ProbeResult {
  // none: this host could not carry the check out, so that it says nothing of the target
  enum class Verdict { none, good, bad };
  Verdict verdict = Verdict::none;
  std::string reason;  // "status 200", "connection refused", "no answer within 2000 ms"
};

class Prober {
 public:
  static constexpr std::size_t kUnderWayMax = 256;

  explicit Prober(EventLoop& loop, std::size_t under_way_max = kUnderWayMax);
  ~Prober();

  // Calls `done` once, later, from the loop; never after the Prober's destruction. The check's timeout covers
  // everything from connect to the last byte needed.
  void probe(const IpAddress& address, const config::HealthCheck& check, std::function<void(const ProbeResult&)> done);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace guideway::controlplane
