#include "controlplane/api/status.h"

#include <fmt/format.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "common/net/address_text.h"
#include "common/shm/stats_text.h"
#include "controlplane/fail_open.h"
#include "controlplane/text.h"

namespace guideway::controlplane::api {
namespace {

using nlohmann::json;

std::string host_name() {
  char name[256] = {};
  return gethostname(name, sizeof name - 1) == 0 ? name : "";
}

void add_traffic(json& to, const TrafficRate& rate) {
  to["packets"] = rate.packets;
  to["bytes"] = rate.bytes;
  to["packets_per_second"] = rate.packets_per_second;
  to["bits_per_second"] = rate.bits_per_second;
}

// ---- the data plane ------------------------------------------------------------------------------------------------

std::uint64_t pin_of(const StatsHeader& stats, std::uint32_t worker) {
  return worker_of(stats, worker).block->pin.load(std::memory_order_relaxed);
}

bool workers_follow(const StatsHeader& stats) {
  const std::uint64_t active = stats.active_generation.load(std::memory_order_relaxed);
  for (std::uint32_t w = 0; w < stats.worker_count; w++)
    if (const std::uint64_t pin = pin_of(stats, w); pin == kPinNone || pin < active) return false;
  return active != 0;
}

json workers_of(const ControlPlane& control_plane) {
  const StatsHeader& stats = control_plane.dataplane().stats();
  json workers = json::array();
  for (std::uint32_t w = 0; w < stats.worker_count; w++) {
    const std::uint64_t pin = pin_of(stats, w);
    const WorkerBlock& block = *worker_of(stats, w).block;
    workers.push_back({{"index", w},
                       {"lcore", block.lcore},
                       {"rx_packets", block.counters[index(Counter::rx_packets)].load(std::memory_order_relaxed)},
                       {"alive", control_plane.stats().worker_beats(w)},
                       {"generation", pin == kPinNone ? json() : json(pin)}});
  }
  return workers;
}

json ports_of(const StatsHeader& stats) {
  json ports = json::array();
  for (std::uint32_t p = 0; p < stats.port_count; p++) {
    const PortInfo& port = stats.ports[p];
    const PortState state = port.state.load(std::memory_order_relaxed);
    ports.push_back({{"name", from_bounded(port.name, sizeof port.name)},
                     {"device", from_bounded(port.device, sizeof port.device)},
                     {"kernel_name", from_bounded(port.kernel_name, sizeof port.kernel_name)},
                     {"mac", guideway::to_text(port.mac)},
                     {"mtu_bytes", port.mtu_bytes},
                     {"state", shm::to_text(state)},
                     {"link_up", state == PortState::up || state == PortState::not_steered},
                     {"queues", port.queue_count}});
  }
  return ports;
}

json counters_of(const StatsReader& stats) {
  json counters = json::array();
  for (std::size_t c = 0; c < kCounterCount; c++) {
    const auto counter = static_cast<Counter>(c);
    counters.push_back({{"name", kCounters[c].name},
                        {"unit", kCounters[c].unit},
                        {"sentence", kCounters[c].sentence},
                        {"drop", kCounters[c].is_drop},
                        {"gauge", kCounters[c].is_gauge},
                        {"value", stats.counter(counter)},
                        {"per_second", stats.per_second(counter)}});
  }
  return counters;
}

json dataplane_of(const ControlPlane& control_plane) {
  const DataplaneLink& link = control_plane.dataplane();
  json dataplane = {{"connected", link.connected()},
                    {"pid", link.pid()},
                    {"why", "connected"},
                    {"workers", json::array()},
                    {"ports", json::array()},
                    {"counters", json::array()},
                    {"equations", json::array()},
                    {"speaker", {{"state", "off"}, {"error", ""}}}};
  if (!link.connected()) {
    dataplane["why"] = link.why_not();
    return dataplane;
  }
  const StatsHeader& stats = link.stats();
  dataplane["workers"] = workers_of(control_plane);
  dataplane["ports"] = ports_of(stats);
  dataplane["counters"] = counters_of(control_plane.stats());
  for (const Equation& equation : equations_of(control_plane.stats(), stats.worker_count))
    dataplane["equations"].push_back(
        {{"name", equation.name}, {"left", equation.left}, {"right", equation.right}, {"holds", equation.holds}});
  dataplane["speaker"] = {{"state", shm::to_text(stats.speaker_state.load(std::memory_order_relaxed))},
                          {"error", shm::get_text(stats.speaker_error)}};
  return dataplane;
}

json generation_of(const ControlPlane& control_plane) {
  json generation = {{"pending", !control_plane.not_in_force().empty()},
                     {"published", number(control_plane.published())},
                     {"active", 0},
                     {"announced", 0},
                     {"rejected", 0},
                     {"rejected_reason", ""},
                     {"workers_follow", false}};
  if (!control_plane.dataplane().connected()) return generation;
  const StatsHeader& stats = control_plane.dataplane().stats();
  generation["active"] = stats.active_generation.load(std::memory_order_relaxed);
  generation["announced"] = stats.announced_generation.load(std::memory_order_relaxed);
  generation["rejected"] = stats.rejected_generation.load(std::memory_order_relaxed);
  generation["rejected_reason"] = shm::get_text(stats.rejected_reason);
  generation["workers_follow"] = workers_follow(stats);
  return generation;
}

json tables_of(const ControlPlane& control_plane) {
  const shm::TablesWriter* writer = control_plane.publisher().writer();
  if (writer == nullptr)
    return {{"size_bytes", 0}, {"live_bytes", 0}, {"limbo_bytes", 0}, {"free_bytes", 0}, {"slots_digest", ""}};
  const shm::TablesWriter::Usage usage = writer->usage();
  return {{"size_bytes", usage.size_bytes},
          {"live_bytes", usage.live_bytes},
          {"limbo_bytes", usage.limbo_bytes},
          {"free_bytes", usage.free_bytes},
          {"slots_digest", to_hex(control_plane.publisher().slots_digest())}};
}

// ---- VIPs ----------------------------------------------------------------------------------------------------------

struct Announcement {
  bool announced = false;
  std::string why;
};

std::string why_not_wanted(const ControlPlane& control_plane, const config::Vip& vip) {
  if (vip.announce == config::Announce::never) return "the configuration says never";
  if (!control_plane.desired().fails_open[vip.pool]) return "no service on it has a backend that is up";
  return fmt::format("no service on it has a backend that is up; pool {} fails open for what comes all the same",
                     control_plane.config().pools[vip.pool].name);
}

bool takes_flows(const ControlPlane& control_plane, std::size_t pool) {
  return std::ranges::any_of(control_plane.desired().backends[pool], &BackendDecision::usable);
}

bool no_port_is_up(const StatsHeader& stats) {
  return std::ranges::none_of(std::span(stats.ports).first(stats.port_count), [](const PortInfo& port) {
    return port.state.load(std::memory_order_relaxed) == PortState::up;
  });
}

// The data plane announces what its active generation flags, once all workers follow it.
Announcement announcement_of(const ControlPlane& control_plane, const config::Vip& vip) {
  const auto flag = control_plane.announce_flag(vip.prefix);
  if (!control_plane.dataplane().connected()) return {false, "the data plane is not connected, so nobody knows"};
  const StatsHeader& stats = control_plane.dataplane().stats();
  const SpeakerState speaker = stats.speaker_state.load(std::memory_order_relaxed);
  if (!flag.announce && flag.since == Generation::none) return {false, "it is in no generation yet"};
  if (speaker == SpeakerState::off) return {false, "[bgp] is off, so nothing is announced"};
  if (speaker != SpeakerState::established) {
    const std::string error = shm::get_text(stats.speaker_error);
    return {false, fmt::format("the BGP session is not established ({}){}{}", shm::to_text(speaker),
                               error.empty() ? "" : ": ", error)};
  }
  if (no_port_is_up(stats)) return {false, "no port of the data plane is up"};
  const std::uint64_t announced = stats.announced_generation.load(std::memory_order_relaxed);
  const bool adopted = announced != 0 && announced >= number(flag.since);
  if (!adopted)
    return {announced != 0 && !flag.announce,
            fmt::format("generation {} has to be followed by every worker first", number(flag.since))};
  if (!flag.announce) return {false, why_not_wanted(control_plane, vip)};
  switch (vip.announce) {
    case config::Announce::healthy:
      return {true,
              fmt::format("a backend {} and every worker follows generation {}",
                          takes_flows(control_plane, vip.pool) ? "is usable" : "has connections to keep", announced)};
    case config::Announce::always:
      return {true, "the configuration says always"};
    case config::Announce::never:
      return {true, "another service on it is to be announced"};
  }
  return {};
}

json vip_status(const ControlPlane& control_plane, const config::Vip& vip) {
  const Announcement announcement = announcement_of(control_plane, vip);
  json status = {{"name", vip.name},
                 {"address", guideway::to_text(vip.prefix)},
                 {"port", port_json(vip)},
                 {"protocol", protocol_of(vip)},
                 {"pool", control_plane.config().pools[vip.pool].name},
                 {"echo", controlplane::to_text(vip.echo)},
                 {"unserved", controlplane::to_text(vip.unserved)},
                 {"no_backend", controlplane::to_text(vip.no_backend)},
                 {"announce", controlplane::to_text(vip.announce)},
                 {"announced", announcement.announced},
                 {"why", announcement.why}};
  add_traffic(status, control_plane.stats().vip(control_plane.vip_indices().at(key_of(vip))));
  return status;
}

// ---- pools ---------------------------------------------------------------------------------------------------------

json next_hop_of(const ControlPlane& control_plane, std::size_t pool, std::size_t backend) {
  const auto& known = control_plane.desired().tables.pools[pool].backends[backend].egress;
  if (!known) return nullptr;
  const Egress& egress = *known;
  const auto& ports = control_plane.config().dataplane.ports;
  return {{"port", egress.port < ports.size() ? ports[egress.port].name : ""},
          {"mac", guideway::to_text(egress.next_hop_mac)},
          {"source", guideway::to_text(egress.source_prefix.value_or(IpPrefix::of(egress.source)))},
          {"vlans", egress.vlans},
          {"path_mtu_bytes", egress.path_mtu_bytes}};
}

// When a drain ends in removal, and how long that is from now.
void add_deadline(json& to, const Intent& intent, const SteadyWallClock& clock) {
  to["deadline"] = to["remaining_s"] = nullptr;
  if (!intent.deadline) return;
  const auto left = *intent.deadline - clock.now();
  to["deadline"] = to_utc_text(clock.wall_of(*intent.deadline));
  to["remaining_s"] = std::max<std::int64_t>(std::chrono::ceil<std::chrono::seconds>(left).count(), 0);
}

json backend_json(const ControlPlane& control_plane, std::size_t pool, std::size_t backend, std::uint32_t slots) {
  const config::Pool& of = control_plane.config().pools[pool];
  const config::Backend& configured = of.backends[backend];
  const BackendDecision& decision = control_plane.desired().backends[pool][backend];
  const BackendName name{of.name, configured.name};
  const Intent intent = control_plane.intent_of(name);
  const auto since = control_plane.state_since(name);
  json status = {
      {"name", configured.name},
      {"address", guideway::to_text(configured.address)},
      {"weight", configured.weight},
      {"weight_override", intent.weight ? json(*intent.weight) : json()},
      {"weight_effective", decision.weight},
      {"drained", intent.drained},
      {"intent_reason", intent.reason},
      {"slots", slots},
      {"share", of.slots == 0 ? 0.0 : static_cast<double>(slots) / of.slots},
      {"state", controlplane::to_text(decision.state)},
      {"since", to_utc_text(since)},
      {"since_s", std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now() - since).count()},
      {"reason", control_plane.state_reason(of, configured, decision.state) + fail_open_note(decision)},
      {"next_hop", next_hop_of(control_plane, pool, backend)}};
  const std::uint32_t stats_index = control_plane.backend_indices().at({of.name, configured.address});
  const auto flows = control_plane.stats().flows(stats_index);
  status["flows"] = flows ? json(*flows) : json();
  add_deadline(status, intent, control_plane.clock());
  add_traffic(status, control_plane.stats().backend(stats_index));
  return status;
}

std::vector<std::uint32_t> live_slots(ControlPlane& control_plane, std::size_t pool) {
  std::vector<std::uint32_t> slots;
  const TablesView* view = control_plane.live_view();
  if (view != nullptr && pool < view->pools.size()) slots = LiveTables::owned_slots(view->pools[pool]);
  slots.resize(control_plane.config().pools[pool].backends.size());
  return slots;
}

std::string slots_digest(ControlPlane& control_plane, std::size_t pool) {
  const TablesView* view = control_plane.live_view();
  if (view == nullptr || pool >= view->pools.size() || view->pools[pool].slot_count == 0) return "";
  return to_hex(LiveTables::owners_digest(view->pools[pool]));
}

json pool_status(ControlPlane& control_plane, std::size_t position) {
  const config::Pool& pool = control_plane.config().pools[position];
  const config::HealthCheck* check = health_check_of(control_plane.config(), pool);
  const std::vector<std::uint32_t> slots = live_slots(control_plane, position);
  json backends = json::array();
  int usable = 0;
  for (std::size_t b = 0; b < pool.backends.size(); b++) {
    backends.push_back(backend_json(control_plane, position, b, slots[b]));
    usable += control_plane.desired().backends[position][b].usable() ? 1 : 0;
  }
  return {{"name", pool.name},
          {"encap", guideway::to_text(pool.encap)},
          {"dscp", pool.dscp ? json(*pool.dscp) : json("copy")},
          {"oversize", controlplane::to_text(pool.oversize)},
          {"slots", pool.slots},
          {"unsettled_slots", control_plane.publisher().unsettled_slots(position)},
          {"crowded_slots", control_plane.publisher().crowded_slots(position)},
          {"kept_slots", control_plane.publisher().kept_slots(position)},
          {"health_check", check == nullptr ? json() : json(check->name)},
          {"fail_open_below", pool.fail_open_below},
          {"fails_open", static_cast<bool>(control_plane.desired().fails_open[position])},
          {"digest", slots_digest(control_plane, position)},
          {"usable_backends", usable},
          {"backends", std::move(backends)}};
}

}  // namespace

json port_json(const config::Vip& vip) {
  return vip.port == 0 ? json("any") : json(vip.port);
}

json backend_status(ControlPlane& control_plane, std::size_t pool, std::size_t backend) {
  return backend_json(control_plane, pool, backend, live_slots(control_plane, pool)[backend]);
}

json status_of(ControlPlane& control_plane) {
  const config::Config& config = control_plane.config();
  json status = {{"version", GUIDEWAY_VERSION},
                 {"node", host_name()},
                 {"pid", getpid()},
                 {"started", to_utc_text(control_plane.started())},
                 {"config",
                  {{"file", control_plane.config_path()},
                   {"digest", to_hex(config.digest)},
                   {"loaded", to_utc_text(control_plane.loaded_at())}}},
                 {"generation", generation_of(control_plane)},
                 {"tables", tables_of(control_plane)},
                 {"dataplane", dataplane_of(control_plane)},
                 {"vips", json::array()},
                 {"pools", json::array()},
                 {"warnings", control_plane.warnings()}};
  for (const config::Vip& vip : config.vips) status["vips"].push_back(vip_status(control_plane, vip));
  for (std::size_t p = 0; p < config.pools.size(); p++) status["pools"].push_back(pool_status(control_plane, p));
  return status;
}

}  // namespace guideway::controlplane::api
