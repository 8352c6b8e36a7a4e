#include "controlplane/ctl/drain_watch.h"

#include <fmt/format.h>

#include "controlplane/ctl/figures.h"

namespace guideway::ctl {
namespace {

using nlohmann::json;

template <typename T>
std::optional<T> number_or_null(const json& value) {
  return value.is_null() ? std::nullopt : std::optional(value.get<T>());
}

std::string known_flows(std::uint64_t flows) {
  return fmt::format("{} known flow{}", flows == 0 ? "no" : std::to_string(flows), flows == 1 ? "" : "s");
}

// A flow is known for a while after its end, so not all that are left are cut.
std::string cut_text(std::optional<std::uint64_t> flows) {
  if (!flows) return "; nobody knows how many flows were left, for there is no data plane";
  if (*flows == 0) return "; no known flow was left";
  return fmt::format(" with {} left; connections that had not ended are cut", known_flows(*flows));
}

}  // namespace

void DrainWatch::see(const json& backend, Time now) {
  name_ = backend.at("pool").get<std::string>() + "/" + backend.at("name").get<std::string>();
  state_ = backend.at("state").get<std::string>();
  drained_ = backend.at("drained").get<bool>();
  flows_ = number_or_null<std::uint64_t>(backend.at("flows"));
  remaining_s_ = number_or_null<std::int64_t>(backend.at("remaining_s"));
  not_in_force_ = backend.at("not_in_force").get<std::string>();
  packets_per_second_ = backend.at("packets_per_second").get<double>();
  const auto packets = backend.at("packets").get<std::uint64_t>();
  if (packets_ != packets || !flows_) quiet_since_ = now;
  packets_ = packets;
  now_ = now;
}

DrainWatch::Outcome DrainWatch::outcome() const {
  if (!drained_) return Outcome::undrained;
  if (!not_in_force_.empty()) return Outcome::going_on;
  if (state_ == "removed") return Outcome::removed;
  return flows_ == 0U && quiet() >= kQuietEnough ? Outcome::drained : Outcome::going_on;
}

bool DrainWatch::may_have_cut() const {
  return outcome() == Outcome::removed && flows_ != 0U;
}

std::string DrainWatch::progress() const {
  if (!not_in_force_.empty()) return name_ + ": not in force yet: " + not_in_force_;
  const std::string flows = flows_ ? known_flows(*flows_) : "no data plane, so nobody knows its flows";
  const std::string deadline = remaining_s_ ? "removed in " + age(*remaining_s_) : "no deadline";
  return fmt::format("{}: {}, {}, quiet for {}, {}", name_, flows, rate(packets_per_second_, "pkt"),
                     age(quiet().count()), deadline);
}

std::string DrainWatch::conclusion() const {
  switch (outcome()) {
    case Outcome::drained:
      return fmt::format("{}: drained; no known flow is left, and no packet came for {}", name_,
                         age(kQuietEnough.count()));
    case Outcome::removed:
      return name_ + ": removed at its deadline" + cut_text(flows_);
    case Outcome::undrained:
      return name_ + ": is no longer drained, somebody has undrained it";
    case Outcome::going_on:
      break;
  }
  return name_ + ": is being drained";
}

}  // namespace guideway::ctl
