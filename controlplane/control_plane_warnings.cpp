// What the status warns of.
#include <fmt/format.h>

#include <algorithm>

#include "common/config/start_digests.h"
#include "controlplane/control_plane.h"
#include "controlplane/pool_warnings.h"
#include "controlplane/text.h"

namespace guideway::controlplane {
namespace {

const char* trouble_of(PortState state) {
  switch (state) {
    case PortState::gone:
      return "has lost its interface; make it again and restart guideway-dataplane";
    case PortState::replaced:
      return "has lost its interface to a new one of that name; restart guideway-dataplane to open it";
    case PortState::not_steered:
      return "gets no packets: its XDP program is not on the interface; the data plane's log says why";
    case PortState::down:
    case PortState::up:
      break;
  }
  return "has no link";
}

}  // namespace

std::vector<std::string> ControlPlane::restart_warnings(const config::Config& config) const {
  std::vector<std::string> warnings;
  const auto changed = [&](bool same, const char* section, const char* program) {
    if (!same) warnings.push_back(fmt::format("{} has changed; restart {} for it to take effect", section, program));
  };
  if (link_.connected()) {
    const StartDigests& running = link_.stats().start;
    const StartDigests wanted = config::start_digests_of(config);
    changed(running.dataplane == wanted.dataplane, "[dataplane]", "guideway-dataplane");
    changed(running.flows == wanted.flows, "[flows]", "guideway-dataplane");
    changed(running.bgp == wanted.bgp, "[bgp]", "guideway-dataplane");
  }
  config::Control control = config.control;
  control.tables_mib = control_at_start_.tables_mib;
  changed(control == control_at_start_, "[control]", "guideway-controlplane");
  return warnings;
}

std::string ControlPlane::not_in_force() const {
  return publisher_.waits_for().empty() && link_.connected() ? offer_error_ : publisher_.waits_for();
}

void ControlPlane::add_dataplane_warnings(std::vector<std::string>& warnings) const {
  if (!link_.connected()) {
    warnings.push_back("no data plane: " + link_.why_not());
    return;
  }
  const StatsHeader& stats = link_.stats();
  if (const auto refused = stats.rejected_generation.load(std::memory_order_relaxed);
      refused != 0 && refused > stats.active_generation.load(std::memory_order_relaxed))
    warnings.push_back(fmt::format("the data plane refused generation {}", refused));
  if (stats.port_count != config_->dataplane.ports.size())
    warnings.push_back(fmt::format("the data plane runs with {} ports, the configuration has {}; restart it",
                                   stats.port_count, config_->dataplane.ports.size()));
  for (std::uint32_t p = 0; p < stats.port_count; p++)
    if (const PortState state = stats.ports[p].state.load(std::memory_order_relaxed); state != PortState::up)
      warnings.push_back(
          fmt::format("port {} {}", from_bounded(stats.ports[p].name, sizeof stats.ports[p].name), trouble_of(state)));
  if (config_->bgp.enabled && stats.speaker_state.load(std::memory_order_relaxed) != SpeakerState::established)
    warnings.push_back("the BGP session is not established: no VIP is announced");
}

std::vector<std::string> ControlPlane::warnings() const {
  std::vector<std::string> warnings;
  if (!reload_error_.empty()) warnings.push_back("the last reload was refused: " + reload_error_);
  for (const std::string& warning : {intents_warning_, intents_unwritten_, eras_warning_, eras_missing_,
                                     eras_unwritten_, numbers_warning_, numbers_unwritten_, health_.trouble()})
    if (!warning.empty()) warnings.push_back(warning);
  for (const std::string& warning : restart_warnings(*config_)) warnings.push_back(warning);
  for (const std::string& conflict : conflicts_of(*config_, host_facts())) warnings.push_back(conflict);
  add_dataplane_warnings(warnings);
  if (const std::string why = not_in_force(); !why.empty())
    warnings.push_back("the last change is not in force yet: " + why);
  if (const std::size_t pools = publisher_.pools_without_history(); pools > 0)
    warnings.push_back(fmt::format(
        "tables_memory has no room for the slot histories of {} pool{}: connections of their slots that have "
        "moved break; raise tables_memory and reload",
        pools, pools == 1 ? "" : "s"));
  add_pool_warnings(*config_, desired_, publisher_, warnings);
  for (const auto& [backend, intent] : intents_)
    if (!states_.contains(backend))
      warnings.push_back(
          fmt::format("an intent is kept for backend {}, which the configuration does not name", to_text(backend)));
  warnings.insert(warnings.end(), config_warnings_.begin(), config_warnings_.end());
  return warnings;
}

}  // namespace guideway::controlplane
