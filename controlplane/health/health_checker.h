// Keeps every health target's check going, and its verdict at hand.
// Thread-safety: one thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>

#include "common/config/config.h"
#include "controlplane/desired_state.h"
#include "controlplane/event_loop.h"
#include "controlplane/health/prober.h"

namespace guideway::controlplane {

class HealthChecker {
 public:
  struct Verdict {
    const HealthTarget& target;
    Health health;
    std::string reason;  // of the result that decided: "connection refused (3 of 3)"
  };

  // Why nothing from this host gets to an address, as far as it is this host's fault; empty: nothing is known.
  using Hindrance = std::function<std::string(const IpAddress&)>;

  HealthChecker(
      EventLoop& loop, std::function<void(const Verdict&)> on_verdict,
      Hindrance hindrance = [](const IpAddress&) { return std::string(); });
  ~HealthChecker();

  // Checks what `config` asks for: new targets begin, targets that are gone end, the others go on undisturbed unless
  // the check itself changed; then the verdict is kept and the new rules hold from here.
  void follow(const config::Config& config);

  // What counted of targets before their checks began: it holds until these say otherwise. Those that have a verdict
  // already keep it.
  void assume(const std::map<HealthTarget, Health>& inherited);

  const std::map<HealthTarget, Health>& health() const { return health_; }
  std::set<HealthTarget> failing() const;                     // that are up, and failed their last check
  std::string last_result(const HealthTarget& target) const;  // a sentence; empty if there is no such target
  // Why targets cannot be checked although nothing speaks against them: a sentence, empty while all can.
  std::string trouble() const;

 private:
  struct Target;
  void begin(const HealthTarget& key, const config::HealthCheck& check, Health initial);
  void check_now(const std::shared_ptr<Target>& target);
  ProbeResult without_blame(const ProbeResult& result, const IpAddress& address, std::string hindrance) const;
  void finished(const std::shared_ptr<Target>& target, const ProbeResult& result);
  void judge(Target& target, const ProbeResult& result);
  void note_trouble();
  double random() { return std::uniform_real_distribution<double>()(engine_); }

  EventLoop& loop_;
  Prober prober_;
  std::function<void(const Verdict&)> on_verdict_;
  Hindrance hindrance_;
  std::mt19937_64 engine_{std::random_device{}()};
  std::map<HealthTarget, std::shared_ptr<Target>> targets_;
  std::map<HealthTarget, Health> health_;
  std::map<HealthTarget, std::string> hindrances_;  // why the last check could not be carried out
  bool in_trouble_ = false;
};

}  // namespace guideway::controlplane
