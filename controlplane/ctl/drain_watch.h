// What becomes of a backend that is being drained, as one load balancer can know it: for `guidewayctl drain --wait`.
//
// Known flows are those of the flow tables. A connection that says nothing is not among them before its next packet, so
// a drain counts as done only when the backend has been quiet for a while, too.
//
// Thread-safety: plain value.
#pragma once

#include <chrono>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

namespace guideway::ctl {

class DrainWatch {
 public:
  using Time = std::chrono::steady_clock::time_point;
  // removed: the deadline came first. undrained: somebody has ended it.
  enum class Outcome : std::uint8_t { going_on, drained, removed, undrained };
  static constexpr std::chrono::seconds kQuietEnough{10};

  // The backend as the API answers, once a second. Throws nlohmann::json::exception.
  void see(const nlohmann::json& backend, Time now);

  // All REQUIRE see().
  Outcome outcome() const;
  bool may_have_cut() const;       // removed, and not known to have had no flows
  std::string progress() const;    // a line without its end
  std::string conclusion() const;  // a sentence about outcome(). REQUIRES: it is not going_on

 private:
  std::chrono::seconds quiet() const { return std::chrono::floor<std::chrono::seconds>(now_ - quiet_since_); }

  std::string name_;
  std::string state_;
  std::string not_in_force_;  // why it is not; empty: it is
  bool drained_ = false;
  std::optional<std::uint64_t> flows_;  // none: there is no data plane
  std::optional<std::uint64_t> packets_;
  double packets_per_second_ = 0;
  std::optional<std::int64_t> remaining_s_;
  Time now_, quiet_since_;
};

}  // namespace guideway::ctl
