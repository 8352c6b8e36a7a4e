// Wires the control plane together: what changes anywhere leads to decide() and, if the outcome differs, to a new
// generation.
//
//   HealthChecker ─┐                                                     ┌─► DataplaneLink (offers the tables)
//   NextHops ──────┼─ request() ─► Publisher ─ desired() ─► decide() ──► TablesWriter
//   intents, file ─┘
//
// Its death changes nothing for traffic: tables stay in force, and the next control plane takes them back.
// Thread-safety: one thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "common/config/load.h"
#include "controlplane/backend_numbers.h"
#include "controlplane/dataplane_link.h"
#include "controlplane/desired_state.h"
#include "controlplane/eras.h"
#include "controlplane/fail_open.h"
#include "controlplane/health/health_checker.h"
#include "controlplane/host_conflicts.h"
#include "controlplane/intents.h"
#include "controlplane/live_tables.h"
#include "controlplane/plan.h"
#include "controlplane/publisher.h"
#include "controlplane/routes/next_hops.h"
#include "controlplane/stats_reader.h"
#include "controlplane/steady_wall_clock.h"

namespace guideway::controlplane {

class ControlPlane {
 public:
  using WallTime = std::chrono::system_clock::time_point;

  // REQUIRES: loaded.config. Throws a sentence: std::system_error when the state directory or the kernel's routes
  // cannot be read, std::runtime_error when a VIP has an address of this host.
  ControlPlane(EventLoop& loop, std::string config_path, config::LoadResult loaded);
  void start();

  // Reads the file again; what is wrong with it, or an empty report. What runs stays in force on errors.
  struct Reload {
    bool ok = false;
    std::string first_error;
    std::string report;
    std::vector<std::string> warnings;  // of the change itself; warnings() has what lasts
  };
  Reload reload();

  // What reload() would do if the file had this text; `name` is for messages, and key files are beside it. Changes
  // nothing.
  struct Planned {
    std::optional<Plan> plan;  // none: the text has errors
    std::string first_error;
    std::string report;
  };
  Planned plan(std::string text, const std::string& name) const;

  // Replaces the operator's intent for a backend that exists, durably, and publishes. Throws std::system_error when it
  // cannot be stored; then nothing changed.
  void set_intent(const BackendName& backend, const Intent& intent);
  Intent intent_of(const BackendName& backend) const;
  const SteadyWallClock& clock() const { return clock_; }  // deadlines go by it

  // What the status is made of.
  const config::Config& config() const { return *config_; }
  const std::string& config_path() const { return config_path_; }
  WallTime started() const { return started_; }
  WallTime loaded_at() const { return loaded_at_; }
  const DesiredState& desired() const { return desired_; }
  const DataplaneLink& dataplane() const { return link_; }
  const StatsReader& stats() const { return stats_; }
  const Publisher& publisher() const { return publisher_; }
  const NextHops& next_hops() const { return next_hops_; }
  const StatsIndices<ServiceKey>& vip_indices() const { return vip_indices_; }
  const StatsIndices<BackendKey>& backend_indices() const { return backend_indices_; }
  // The published generation, if it is one of the running configuration; else nullptr.
  const TablesView* live_view();
  Generation published() const;
  WallTime state_since(const BackendName& backend) const;
  std::string state_reason(const config::Pool& pool, const config::Backend& backend, BackendState state) const;
  // Since which generation the prefix is announced, or is not.
  struct AnnounceFlag {
    bool announce = false;
    Generation since = Generation::none;
  };
  AnnounceFlag announce_flag(const IpPrefix& prefix) const;
  std::vector<std::string> warnings() const;
  // Why workers do not have what is desired yet, although there is a data plane; empty: they will at once.
  std::string not_in_force() const;

 private:
  struct Refusal {
    std::string first_error;  // empty: there is none
    std::string report;
  };
  Refusal refusal_of(const config::LoadResult& loaded, const std::string& name) const;
  HostFacts host_facts() const;
  std::optional<HostFacts::Capacity> running_capacity() const;
  HostFacts::Capacity capacity_for(std::size_t vips, std::size_t backends) const;
  void follow_config();
  Facts facts() const;
  DesiredTables decide_now();
  void remember_eras();
  void write_eras(const std::function<void()>& write);
  void write_numbers();
  void write_intents();
  void write_what_is_missing();
  void await_deadlines();
  std::set<BackendKey> removed_backends() const;
  void await_first_checks();
  void note_states();
  void note_announcements();
  void connected();
  void take_or_create_tables();
  void inherit_from_live();
  void use_ports_of_dataplane();
  void tables_replaced();
  void offer_tables();
  void sample_stats();
  std::vector<std::string> restart_warnings(const config::Config& config) const;
  void add_dataplane_warnings(std::vector<std::string>& warnings) const;

  struct StateSince {
    BackendState state;
    WallTime since;
  };

  EventLoop& loop_;
  std::string config_path_;
  std::optional<config::Config> config_;
  config::Control control_at_start_;  // takes effect at the start of this program only, but for tables_memory
  std::vector<std::string> config_warnings_;
  std::string reload_error_;
  WallTime started_, loaded_at_;

  IntentsFile intents_file_;
  std::string intents_warning_;  // before whoever writes it, as the ones below
  std::string intents_unwritten_;
  Intents intents_;
  std::string eras_warning_;    // what of the journal was not understood
  std::string eras_missing_;    // what it says nothing of
  std::string eras_unwritten_;  // why it lacks something now
  Eras eras_;
  SteadyWallClock clock_;
  StatsIndices<ServiceKey> vip_indices_;
  StatsIndices<BackendKey> backend_indices_;
  BackendNumbersFile numbers_file_;
  std::string numbers_warning_;
  std::string numbers_unwritten_;
  BackendNumbers numbers_before_;  // an earlier control plane's
  DesiredState desired_;
  std::set<std::string> checked_pools_;  // that had a verdict on every backend once
  std::set<std::string> waiting_pools_;  // that had not
  std::map<BackendName, StateSince> states_;
  std::map<IpPrefix, AnnounceFlag> announce_flags_;

  Publisher publisher_;
  HealthChecker health_;
  FailOpen fail_open_;
  NextHops next_hops_;
  LiveTables live_;
  StatsReader stats_;
  bool tables_were_offered_ = false;
  std::string offer_error_;
  Timer stats_timer_;
  Timer offer_timer_;
  Timer settle_timer_;    // when the next era is forgotten
  Timer deadline_timer_;  // when the next drain is over
  DataplaneLink link_;
};

}  // namespace guideway::controlplane
