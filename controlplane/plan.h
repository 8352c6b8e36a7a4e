// What a reload of another configuration would change, compared with what is in force. Nothing is changed.
//
// What is not known yet of the backends in the other configuration counts as good: not checked is healthy, without a
// next hop is reachable if it is new. So a plan shows where the change leads, not its first seconds. Operators' intents
// count.
//
// Thread-safety: pure functions.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "controlplane/desired_state.h"
#include "controlplane/eras.h"

namespace guideway::controlplane {

struct Plan {
  enum class Change { added, removed, changed };

  struct PlannedVip {
    std::string name;
    ServiceKey service;
    Change change = Change::changed;
    std::vector<std::string> keys;  // of the file that differ; changed ones only
  };
  struct PlannedBackend {
    std::string name;
    IpAddress address;
    Change change = Change::changed;
    std::uint16_t weight_before = 0, weight_after = 0;  // as the files say
    std::optional<std::uint64_t> flows;                 // that are known now; none: nobody knows, or it is new
  };
  struct PlannedPool {
    std::string name;
    Change change = Change::changed;
    std::vector<std::string> keys;
    std::uint32_t slots_before = 0, slots_after = 0;  // 0: there is no such pool
    std::uint32_t moved_slots = 0;                    // of slots_before, with another owner than now
    std::uint32_t unsettled_slots = 0, crowded_slots = 0;
    std::uint64_t removed_flows = 0;  // known ones, of backends that go
    std::vector<PlannedBackend> backends;
  };

  // What stays as it is, is in none of them.
  std::vector<PlannedVip> vips;
  std::vector<PlannedPool> pools;
  std::vector<std::string> warnings;
};
const char* to_text(Plan::Change change);

struct PlanFacts {
  Facts running;  // the configuration in force, and what is known with it
  const DesiredState& desired;
  const Eras& eras;
  const config::Config& other;
  std::function<std::optional<std::uint64_t>(const BackendKey&)> flows;  // that are known now
};
Plan make_plan(const PlanFacts& facts);

// That of a plan's warnings which a reload repeats, planned or not: a new key breaks the connections of every pool.
std::vector<std::string> key_warnings(const config::FlowHash& before, const config::FlowHash& after);

}  // namespace guideway::controlplane
