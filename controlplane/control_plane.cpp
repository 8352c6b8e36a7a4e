#include "controlplane/control_plane.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/net/address_text.h"
#include "controlplane/log.h"
#include "controlplane/text.h"

namespace guideway::controlplane {
namespace {

using std::chrono::system_clock;

constexpr std::chrono::seconds kStatsInterval{1};
constexpr std::chrono::seconds kOfferAgain{1};

std::string drain_reason(const Intent& intent, BackendState state, const SteadyWallClock& clock) {
  std::string reason = "drained by an operator";
  if (intent.deadline && state == BackendState::removed)
    reason += ", and removed at the deadline " + to_utc_text(clock.wall_of(*intent.deadline));
  else if (intent.deadline)
    reason += ", to be removed at " + to_utc_text(clock.wall_of(*intent.deadline));
  return intent.reason.empty() ? reason : reason + ": " + intent.reason;
}

std::vector<PortFacts> ports_of(const StatsHeader& stats) {
  std::vector<PortFacts> ports;
  for (std::uint32_t p = 0; p < stats.port_count; p++) {
    const PortInfo& port = stats.ports[p];
    ports.push_back({from_bounded(port.name, sizeof port.name), from_bounded(port.kernel_name, sizeof port.kernel_name),
                     port.mac, port.mtu_bytes});
  }
  return ports;
}

// What cannot be written holds for as long as this control plane runs, and is tried again every second.
void write_state(const std::function<void()>& write, const char* consequence, std::string& unwritten) {
  try {
    write();
    if (!unwritten.empty()) log(Level::info, "written now: {}", unwritten);
    unwritten.clear();
  } catch (const std::system_error& error) {
    if (unwritten.empty()) log(Level::error, "{}", error.what());
    unwritten = std::string(error.what()) + ": " + consequence;
  }
}

}  // namespace

ControlPlane::ControlPlane(EventLoop& loop, std::string config_path, config::LoadResult loaded)
    : loop_(loop),
      config_path_(std::move(config_path)),
      config_(std::move(loaded.config)),
      control_at_start_(config_->control),
      config_warnings_(loaded.warnings()),
      started_(system_clock::now()),
      loaded_at_(started_),
      intents_file_(config_->control.state_dir),
      intents_(intents_file_.load(intents_warning_)),
      eras_(config_->control.state_dir, config_->flows.settle_after, eras_warning_),
      clock_(config_->control.run_dir, eras_.latest()),
      numbers_file_(config_->control.state_dir),
      numbers_before_(numbers_file_.load(numbers_warning_)),
      publisher_(loop, {[this] { return decide_now(); }, [this] { return link_.oldest_pin(); },
                        [this] { note_announcements(); }, [this] { tables_replaced(); }}),
      health_(
          loop, [this](const HealthChecker::Verdict&) { publisher_.request(); },
          [this](const IpAddress& backend) { return next_hops_.cut_off(backend); }),
      fail_open_(loop, [this] { publisher_.request(); }),
      next_hops_(loop, [this] { publisher_.request(); }),
      stats_timer_(loop, [this] { sample_stats(); }),
      offer_timer_(loop, [this] { offer_tables(); }),
      settle_timer_(loop, [this] { publisher_.request(); }),
      deadline_timer_(loop, [this] { publisher_.request(); }),
      link_(
          loop, config_->control.run_dir + "/dataplane.sock", [this] { connected(); },
          [this] {
            stats_.reset();
            next_hops_.set_ports(config_->dataplane.ports, {});
            publisher_.request();
          }) {
  if (const auto conflicts = conflicts_of(*config_, host_facts()); !conflicts.empty())
    throw std::runtime_error(config_path_ + ": " + conflicts.front());
}

void ControlPlane::start() {
  for (const std::string& warning : {intents_warning_, eras_warning_, numbers_warning_})
    if (!warning.empty()) log(Level::warning, "{}", warning);
  for (const auto& [key, number] : numbers_before_) backend_indices_.recover(key, number);
  follow_config();
  publisher_.publish_now();
  link_.start();
  stats_timer_.start(kStatsInterval);
}

// ---- configuration and intents -------------------------------------------------------------------------------------

void ControlPlane::follow_config() {
  write_eras([&] { eras_.set_window(config_->flows.settle_after, clock_.now()); });
  std::vector<ServiceKey> services;
  for (const config::Vip& vip : config_->vips) services.push_back(key_of(vip));
  std::vector<BackendKey> backends;
  std::set<IpAddress> addresses;
  for (const config::Pool& pool : config_->pools)
    for (const config::Backend& backend : pool.backends) {
      backends.push_back({pool.name, backend.address});
      addresses.insert(backend.address);
    }
  const HostFacts::Capacity capacity = capacity_for(services.size(), backends.size());
  vip_indices_.assign(services, capacity.vips);
  backend_indices_.assign(backends, capacity.backends);
  write_numbers();
  publisher_.set_size(std::size_t{config_->control.tables_mib} << 20);
  health_.follow(*config_);
  next_hops_.set_destinations(addresses);
  publisher_.request();
}

// What the running data plane counts, unless there is more to be told apart.
HostFacts::Capacity ControlPlane::capacity_for(std::size_t vips, std::size_t backends) const {
  HostFacts::Capacity capacity{config_->dataplane.vips_max, config_->dataplane.backends_max};
  const auto running = running_capacity();
  if (running && running->vips >= vips) capacity.vips = std::min(capacity.vips, running->vips);
  if (running && running->backends >= backends) capacity.backends = std::min(capacity.backends, running->backends);
  return capacity;
}

ControlPlane::Reload ControlPlane::reload() {
  config::LoadResult loaded = config::load_config(config_path_);
  if (Refusal refusal = refusal_of(loaded, config_path_); !refusal.first_error.empty()) {
    reload_error_ = refusal.first_error;
    log(Level::error, "reload refused, what runs stays: {}", reload_error_);
    return {false, std::move(refusal.first_error), std::move(refusal.report), {}};
  }
  reload_error_.clear();
  config_warnings_ = loaded.warnings();
  std::vector<std::string> warnings = key_warnings(config_->flow_hash, loaded.config->flow_hash);
  const std::map<HealthTarget, Health> health = health_kept_by(*loaded.config, facts());
  config_ = std::move(loaded.config);
  loaded_at_ = system_clock::now();
  log(Level::info, "reloaded {}", config_path_);
  for (const std::string& warning : warnings) log(Level::warning, "{}", warning);
  follow_config();
  health_.assume(health);
  if (link_.connected()) use_ports_of_dataplane();
  publisher_.publish_now();
  return {true, {}, {}, std::move(warnings)};
}

HostFacts ControlPlane::host_facts() const {
  HostFacts facts{addresses_of_host(), {}, {}};
  for (const auto& [backend, egress] : next_hops_.egress()) facts.sources.push_back(egress.source);
  std::ranges::sort(facts.sources);
  facts.sources.erase(std::unique(facts.sources.begin(), facts.sources.end()), facts.sources.end());
  facts.capacity = running_capacity();
  return facts;
}

std::optional<HostFacts::Capacity> ControlPlane::running_capacity() const {
  if (!link_.connected()) return std::nullopt;
  return HostFacts::Capacity{link_.stats().vip_capacity, link_.stats().backend_capacity};
}

ControlPlane::Refusal ControlPlane::refusal_of(const config::LoadResult& loaded, const std::string& name) const {
  if (!loaded.config) return {loaded.first_error(), loaded.report()};
  Refusal refusal;
  for (const std::string& conflict : conflicts_of(*loaded.config, host_facts())) {
    const std::string line = name + ": " + conflict;
    if (refusal.first_error.empty()) refusal.first_error = line;
    refusal.report += line + "\n";
  }
  return refusal;
}

ControlPlane::Planned ControlPlane::plan(std::string text, const std::string& name) const {
  const config::LoadResult loaded = config::load_config_text(std::move(text), name);
  if (Refusal refusal = refusal_of(loaded, name); !refusal.first_error.empty())
    return {{}, std::move(refusal.first_error), std::move(refusal.report)};
  const auto flows = [this](const BackendKey& backend) { return stats_.flows(backend_indices_.at(backend)); };
  Plan plan = make_plan({facts(), desired_, eras_, *loaded.config, flows});
  if (publisher_.writer() == nullptr)
    plan.warnings.push_back("nothing is in force, so nobody knows which slots would move: " + link_.why_not());
  for (const auto& warnings : {restart_warnings(*loaded.config), loaded.warnings()})
    plan.warnings.insert(plan.warnings.end(), warnings.begin(), warnings.end());
  return {std::move(plan), {}, {}};
}

void ControlPlane::set_intent(const BackendName& backend, const Intent& intent) {
  Intents changed = intents_;
  if (intent.empty())
    changed.erase(backend);
  else
    changed[backend] = intent;
  if (changed == intents_) return;
  intents_file_.store(changed);
  intents_ = std::move(changed);
  publisher_.publish_now();
}

Intent ControlPlane::intent_of(const BackendName& backend) const {
  const auto found = intents_.find(backend);
  return found == intents_.end() ? Intent{} : found->second;
}

// ---- deciding ------------------------------------------------------------------------------------------------------

// At first a pool waits until each of its backends was checked: else the first that answers would get all flows, and
// lose most of them to the next ones, also those that other load balancers have given to its backends.
void ControlPlane::await_first_checks() {
  waiting_pools_.clear();
  for (const config::Pool& pool : config_->pools) {
    const config::HealthCheck* check = health_check_of(*config_, pool);
    const bool complete = check == nullptr || std::ranges::none_of(pool.backends, [&](const config::Backend& backend) {
                            const auto found = health_.health().find({backend.address, check->name});
                            return found == health_.health().end() || found->second == Health::unknown;
                          });
    if (complete) checked_pools_.insert(pool.name);
    if (!checked_pools_.contains(pool.name)) waiting_pools_.insert(pool.name);
  }
}

Facts ControlPlane::facts() const {
  return {*config_,       intents_,           health_.health(), next_hops_.egress(), next_hops_.behind_gateway(),
          waiting_pools_, fail_open_.pools(), vip_indices_,     backend_indices_,    clock_.now()};
}

DesiredTables ControlPlane::decide_now() {
  await_first_checks();
  fail_open_.follow(facts(), health_.failing());
  desired_ = decide(facts());
  fail_open_.note(*config_, desired_);
  await_deadlines();
  note_states();
  // Without a segment to publish to nothing of this comes into force, and health is not known yet.
  if (publisher_.writer() != nullptr) remember_eras();
  return desired_.tables;
}

// Each pool's weights begin an era if they are new; the eras before make its slot history.
void ControlPlane::remember_eras() {
  const EraTime now = clock_.now();
  std::vector<std::string> names;
  for (std::size_t p = 0; p < config_->pools.size(); p++) {
    DesiredPool& pool = desired_.tables.pools[p];
    const std::string& name = names.emplace_back(config_->pools[p].name);
    if (waiting_pools_.contains(name)) continue;
    write_eras([&] { eras_.note(name, pool.slot_count, weights_of(pool), now); });
    pool.past = eras_.past(name, now);
  }
  write_eras([&] { eras_.keep_only(names); });
  settle_timer_.stop();
  if (const auto next = eras_.next_change(now)) settle_timer_.start(*next - now);
}

void ControlPlane::write_eras(const std::function<void()>& write) {
  write_state(
      [&] {
        write();
        eras_.catch_up();
      },
      "after a restart of the control plane connections of moved slots break", eras_unwritten_);
}

void ControlPlane::write_numbers() {
  write_state([&] { numbers_file_.store(backend_indices_.all()); },
              "after a restart of both programs flows that are remembered may break", numbers_unwritten_);
}

void ControlPlane::write_intents() {
  write_state([&] { intents_file_.store(intents_); },
              "after a restart of the control plane backends are as the configuration says, drained ones too",
              intents_unwritten_);
}

void ControlPlane::write_what_is_missing() {
  write_eras([] {});
  if (!intents_unwritten_.empty() || intents_file_.is_behind()) write_intents();
  if (!numbers_unwritten_.empty() || numbers_file_.is_behind()) write_numbers();
}

void ControlPlane::await_deadlines() {
  const Deadline now = clock_.now();
  std::optional<std::chrono::milliseconds> wait;
  for (const auto& [backend, intent] : intents_)
    if (intent.drained && intent.deadline && *intent.deadline > now)
      wait = std::min(wait.value_or(std::chrono::milliseconds::max()), *intent.deadline - now);
  deadline_timer_.stop();
  if (wait) deadline_timer_.start(*wait);
}

std::set<BackendKey> ControlPlane::removed_backends() const {
  std::set<BackendKey> removed;
  for (const config::Pool& pool : config_->pools)
    for (const config::Backend& backend : pool.backends)
      if (intent_of({pool.name, backend.name}).removes(clock_.now())) removed.insert({pool.name, backend.address});
  return removed;
}

void ControlPlane::note_states() {
  const WallTime now = system_clock::now();
  std::map<BackendName, StateSince> states;
  for (std::size_t p = 0; p < config_->pools.size(); p++) {
    const config::Pool& pool = config_->pools[p];
    for (std::size_t b = 0; b < pool.backends.size(); b++) {
      const BackendName name{pool.name, pool.backends[b].name};
      const BackendState state = desired_.backends[p][b].state;
      const auto known = states_.find(name);
      const bool same = known != states_.end() && known->second.state == state;
      if (known != states_.end() && !same)
        log(Level::info, "backend {} {}: {}", to_text(name), to_text(state),
            state_reason(pool, pool.backends[b], state));
      const WallTime begun = state == BackendState::removed ? clock_.wall_of(*intent_of(name).deadline) : now;
      states.emplace(name, same ? known->second : StateSince{state, begun});
    }
  }
  states_ = std::move(states);
}

std::string ControlPlane::state_reason(const config::Pool& pool, const config::Backend& backend,
                                       BackendState state) const {
  const config::HealthCheck* check = health_check_of(*config_, pool);
  std::string last_result = check == nullptr ? "no health check" : health_.last_result({backend.address, check->name});
  std::string trouble = next_hops_.trouble(backend.address);
  switch (state) {
    case BackendState::drained:
    case BackendState::removed:
      return drain_reason(intent_of({pool.name, backend.name}), state, clock_);
    case BackendState::unreachable:
      return trouble.empty() ? "it is behind a gateway, and l2dsr needs it on the link of the port" : trouble;
    case BackendState::up:
      return trouble.empty() ? last_result : last_result + "; " + trouble;
    case BackendState::down:
    case BackendState::unknown:
      return last_result;
  }
  return {};
}

ControlPlane::WallTime ControlPlane::state_since(const BackendName& backend) const {
  const auto found = states_.find(backend);
  return found == states_.end() ? started_ : found->second.since;
}

void ControlPlane::note_announcements() {
  std::map<IpPrefix, bool> wanted;
  for (const DesiredVip& vip : desired_.tables.vips) wanted[vip.prefix] |= vip.announce;
  std::map<IpPrefix, AnnounceFlag> flags;
  for (const auto& [prefix, announce] : wanted) {
    const auto known = announce_flags_.find(prefix);
    const bool same = known != announce_flags_.end() && known->second.announce == announce;
    flags.emplace(prefix, same ? known->second : AnnounceFlag{announce, published()});
    if (!same && (announce || known != announce_flags_.end()))
      log(Level::info, "VIP {} {} from generation {} on", to_text(prefix),
          announce ? "is to be announced" : "is not to be announced", number(published()));
  }
  announce_flags_ = std::move(flags);
}

ControlPlane::AnnounceFlag ControlPlane::announce_flag(const IpPrefix& prefix) const {
  const auto found = announce_flags_.find(prefix);
  return found == announce_flags_.end() ? AnnounceFlag{} : found->second;
}

// ---- the data plane ------------------------------------------------------------------------------------------------

void ControlPlane::connected() {
  stats_.reset();
  stats_.sample(link_.stats());
  if (!tables_were_offered_) take_or_create_tables();
  follow_config();
  use_ports_of_dataplane();
  publisher_.publish_now();
  offer_tables();
}

// Tables in a data plane's custody are in force there: carry on with them, unless we have tables in force ourselves.
void ControlPlane::take_or_create_tables() {
  const Descriptor& custody = link_.tables_in_custody();
  std::unique_ptr<shm::TablesWriter> writer;
  if (custody.valid() && publisher_.writer() != nullptr && same_file(custody, publisher_.writer()->descriptor()))
    return;
  if (custody.valid()) {
    std::string why;
    writer = shm::TablesWriter::attach(custody, why);
    if (writer) {
      log(Level::info, "carrying on with the tables in force, generation {}", number(writer->generation()));
    } else {
      log(Level::warning, "the tables in force cannot be carried on with, a fresh segment replaces them: {}", why);
    }
  }
  const bool attached = writer != nullptr;
  if (!attached && publisher_.writer() != nullptr) return;
  if (!attached) writer = shm::TablesWriter::create(std::size_t{config_->control.tables_mib} << 20);
  live_.forget();
  publisher_.set_writer(std::move(writer));
  if (attached) inherit_from_live();
}

void ControlPlane::inherit_from_live() {
  const TablesView* view = live_.view(*publisher_.writer());
  if (view == nullptr) return;
  const Inheritance inheritance = inherit(*view, *config_, removed_backends());
  vip_indices_ = {};
  backend_indices_ = {};
  for (const auto& [key, index] : inheritance.vip_indices) vip_indices_.recover(key, index);
  for (const auto& [key, index] : inheritance.backend_indices) backend_indices_.recover(key, index);
  for (const auto& [key, number] : numbers_before_) backend_indices_.recover(key, number);
  for (const auto& [address, egress] : inheritance.egress) next_hops_.remember(address, egress);
  health_.assume(inheritance.health);
  eras_missing_ = eras_.lack_of(inheritance.unsettled_slots);
  if (!eras_missing_.empty()) log(Level::warning, "{}", eras_missing_);
  for (const config::Pool& pool : config_->pools) checked_pools_.insert(pool.name);  // they are in force
  for (const VipRecord& vip : view->vips) {
    AnnounceFlag& flag = announce_flags_[{vip.address, vip.prefix_bits}];
    flag = {flag.announce || (vip.flags & kVipAnnounce) != 0, view->generation};
  }
  follow_config();
}

void ControlPlane::use_ports_of_dataplane() {
  next_hops_.set_ports(config_->dataplane.ports, ports_of(link_.stats()));
}

void ControlPlane::tables_replaced() {
  live_.forget();
  offer_tables();
}

void ControlPlane::offer_tables() {
  if (!link_.connected()) return;
  std::string why;
  const bool taken = link_.offer(publisher_.writer()->read_only_descriptor(), why);
  if (why != offer_error_ && !taken) log(Level::error, "{}; offering again every second", why);
  offer_error_ = taken ? "" : why;
  tables_were_offered_ = tables_were_offered_ || taken;
  if (!taken) offer_timer_.start(kOfferAgain);
}

void ControlPlane::sample_stats() {
  if (link_.connected()) stats_.sample(link_.stats());
  write_what_is_missing();
  stats_timer_.start(kStatsInterval);
}

const TablesView* ControlPlane::live_view() {
  if (publisher_.writer() == nullptr) return nullptr;
  const TablesView* view = live_.view(*publisher_.writer());
  return view != nullptr && view->config_digest == config_->digest ? view : nullptr;
}

Generation ControlPlane::published() const {
  return publisher_.writer() == nullptr ? Generation::none : publisher_.writer()->generation();
}

}  // namespace guideway::controlplane
