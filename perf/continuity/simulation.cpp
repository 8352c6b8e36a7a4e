#include "perf/continuity/simulation.h"

#include <algorithm>
#include <deque>
#include <random>

namespace guideway::perf {
namespace {

struct Home {
  std::uint16_t member = 0;
  std::uint16_t life = 0;
};

struct Flow {
  std::uint32_t id = 0;
  std::uint32_t ends_s = 0;
  Home home{};             // where its connection is, by slots
  Home two_choice_home{};  // … by two choices
  FlowPart next = FlowPart::opening;
  bool is_quiet = false;
  std::uint8_t broken = 0;    // a bit for each scheme
  std::uint8_t inherent = 0;  // likewise
};

constexpr std::uint8_t bit(Scheme scheme) {
  return static_cast<std::uint8_t>(1U << static_cast<unsigned>(scheme));
}
constexpr Scheme kBySlots[] = {Scheme::guideway, Scheme::guideway_second_chance, Scheme::maglev, Scheme::full_tracking};

// A table for few flows is built sooner; a prime, as ever.
std::uint32_t slots_for(std::uint32_t flows) {
  return flows < 100'000 ? 16'381 : kSlotCountDefault;
}

class Simulation {
 public:
  Simulation(const Schedule& schedule, std::uint32_t flows)
      : schedule_(schedule),
        random_(schedule.seed),
        pool_(schedule.backends, schedule.spare_backends, slots_for(flows)),
        flows_(flows),
        calendar_(schedule.duration_s) {
    for (std::uint32_t i = 0; i < schedule.load_balancers; i++) load_balancers_.emplace_back(flows);
    for (std::uint32_t i = 0; i < flows; i++) open_at(i, below(kOpeningSeconds / 2));
  }

  Result run() {
    spread_ways();
    auto event = schedule_.events.begin();
    for (std::uint32_t t = 0; t < schedule_.duration_s; t++) {
      now_ = Seconds{t};
      for (; event != schedule_.events.end() && event->at_s <= t; ++event) apply(*event);
      if (pool_.publish_if_due(now_)) two_choice_.update(pool_.members());
      for (const std::uint32_t flow : std::exchange(calendar_[t], {})) send(flow);
      for (LoadBalancer& lb : load_balancers_) flush(lb);
      note_usage();
    }
    return std::move(result_);
  }

 private:
  std::uint32_t below(std::uint32_t bound) { return static_cast<std::uint32_t>(random_() % bound); }
  std::uint32_t exponential_s(double mean_s) {
    return 1 + static_cast<std::uint32_t>(std::exponential_distribution<>(1 / mean_s)(random_));
  }

  void put_at(std::uint32_t flow, std::uint32_t at_s) {
    if (at_s < calendar_.size()) calendar_[at_s].push_back(flow);
  }

  // A fifth of them is short, a quarter of the others quiet.
  void open_at(std::uint32_t flow, std::uint32_t at_s) {
    const std::uint32_t draw = below(20);
    const double mean_s = draw < 4 ? 1500 : 20'000;
    flows_[flow] = {.id = next_id_++, .ends_s = at_s + exponential_s(mean_s), .is_quiet = draw < 8 && draw >= 4};
    put_at(flow, at_s);
  }

  void apply(const Event& event) {
    if (pool_.apply(event)) return;
    LoadBalancer& lb = load_balancers_[event.subject];
    if (event.action == Action::replace_lb) lb.forget();
    if (event.action == Action::restart_data) lb.restart();
    if (event.action != Action::restart_data) lb.is_live = event.action != Action::lose_lb;
    spread_ways();
  }

  // ECMP without resilient hashing: one way more or less moves most flows.
  void spread_ways() {
    ways_.clear();
    for (LoadBalancer& lb : load_balancers_)
      if (lb.is_live) ways_.push_back(&lb);
  }
  LoadBalancer& way_of(std::uint32_t flow_id) {
    const std::uint64_t hash = std::uint64_t{flow_id} * 0xd6e8feb86659fd93;
    return *ways_[(hash >> 32) % ways_.size()];
  }

  void send(std::uint32_t flow) {
    LoadBalancer& lb = way_of(flows_[flow].id);
    if (lb.is_full()) flush(lb);
    lb.receive({flow, flows_[flow].id, flows_[flow].next});
  }
  void flush(LoadBalancer& lb) {
    lb.flush(pool_, now_, [&](const SimulatedPacket& packet, const Choices& choices) { take(packet, choices); });
  }

  void take(const SimulatedPacket& packet, const Choices& choices) {
    Flow& flow = flows_[packet.flow];
    result_.packets++;
    result_.with_hops += choices.hops[0] != Choices::kNowhere ? 1U : 0U;
    if (packet.part == FlowPart::opening)
      settle_down(flow, choices);
    else
      judge(flow, choices);
    go_on(packet.flow);
  }

  void settle_down(Flow& flow, const Choices& choices) {
    result_.opened++;
    flow.home = home_at(choices.moved);
    flow.two_choice_home = home_at(two_choice_.slot_of_hash(choices.hash).first);
  }
  // Nobody lives on a dead host.
  Home home_at(std::uint32_t member) const {
    if (member == Choices::kNowhere || !pool_.members()[member].is_up) return {0, 0xffff};
    return {static_cast<std::uint16_t>(member), static_cast<std::uint16_t>(pool_.members()[member].life)};
  }
  bool is_alive(Home home) const { return pool_.members()[home.member].life == home.life; }
  bool answers(std::uint32_t member) const { return member != Choices::kNowhere && pool_.members()[member].is_up; }

  void judge(Flow& flow, const Choices& choices) {
    if (is_alive(flow.home)) {
      judge_by(Scheme::guideway, flow, choices.moved);
      judge_by(Scheme::maglev, flow, choices.none);
      judge_by(Scheme::full_tracking, flow, choices.all);
      judge_second_chance(flow, choices);
    } else {
      for (const Scheme scheme : kBySlots) count_inherent(flow, scheme);
    }
    if (is_alive(flow.two_choice_home))
      judge_two_choice(flow, two_choice_.slot_of_hash(choices.hash));
    else
      count_inherent(flow, Scheme::two_choice);
  }
  // True: for the first time.
  bool count_broken(Flow& flow, Scheme scheme) {
    if (((flow.broken | flow.inherent) & bit(scheme)) != 0) return false;
    flow.broken |= bit(scheme);
    result_.broken[static_cast<std::size_t>(scheme)]++;
    return true;
  }
  void count_inherent(Flow& flow, Scheme scheme) {
    if (((flow.broken | flow.inherent) & bit(scheme)) != 0) return;
    flow.inherent |= bit(scheme);
    result_.inherent[static_cast<std::size_t>(scheme)]++;
  }
  void judge_by(Scheme scheme, Flow& flow, std::uint32_t chosen) {
    if (answers(chosen) && chosen != flow.home.member) count_broken(flow, scheme);
  }

  void judge_second_chance(Flow& flow, const Choices& choices) {
    if (!answers(choices.second_chance) || choices.second_chance == flow.home.member) return;
    if (choices.has_hops) result_.detours[static_cast<std::size_t>(Scheme::guideway_second_chance)]++;
    for (const std::uint32_t hop : choices.hops) {
      if (hop == Choices::kNowhere) break;
      if (hop == flow.home.member || !answers(hop)) return;
    }
    if (!count_broken(flow, Scheme::guideway_second_chance)) return;
    result_.causes[static_cast<std::size_t>(cause_of(flow, choices))]++;
    result_.broken_drained += pool_.members()[flow.home.member].drained ? 1U : 0U;
  }

  Cause cause_of(const Flow& flow, const Choices& choices) {
    const Slot slot = pool_.slot_of_hash(choices.hash);
    if (pool_.is_remembered_as_owner(slot, flow.home.member, now_)) return Cause::crowded;
    if (pool_.has_owned(slot, flow.home.member, now_)) return Cause::era_cut;
    return choices.has_hops && !choices.unsettled ? Cause::mistaken : Cause::late;
  }

  void judge_two_choice(Flow& flow, TwoChoice::Slot slot) {
    if (!answers(slot.first) || slot.first == flow.two_choice_home.member) return;
    result_.detours[static_cast<std::size_t>(Scheme::two_choice)]++;
    if (answers(slot.second) && slot.second != flow.two_choice_home.member) count_broken(flow, Scheme::two_choice);
  }

  // The next packet; or the next flow, after the last packet and after its host died.
  void go_on(std::uint32_t index) {
    constexpr double kMeanSeconds = 1200;
    constexpr double kMeanQuietSeconds = 6000;
    Flow& flow = flows_[index];
    const std::uint32_t t = now_.count();
    if (flow.next == FlowPart::closing || flow.inherent != 0) return open_at(index, t + 1);
    const bool was_opened = flow.next == FlowPart::opening;
    const std::uint32_t silent_s =
        std::min(exponential_s(flow.is_quiet ? kMeanQuietSeconds : kMeanSeconds), kSilenceMax.count());
    const std::uint32_t next_s = was_opened ? t + 1 : t + silent_s;
    flow.next = next_s >= flow.ends_s ? FlowPart::closing : FlowPart::data;
    put_at(index, flow.next == FlowPart::closing ? std::max(t + 1, flow.ends_s) : next_s);
  }

  void note_usage() {
    constexpr std::uint32_t kMinute = 60;
    std::uint64_t second_chance = 0;
    std::uint64_t moved = 0;
    std::uint64_t all = 0;
    for (LoadBalancer& lb : load_balancers_) {
      lb.sweep(now_);
      if (!lb.is_live) continue;
      second_chance += lb.second_chance_flows();
      moved += lb.moved_flows();
      all += lb.all_flows();
    }
    result_.peak_second_chance = std::max(result_.peak_second_chance, second_chance);
    result_.peak_moved = std::max(result_.peak_moved, moved);
    result_.peak_all = std::max(result_.peak_all, all);
    if (now_.count() % kMinute == 0) result_.remembered_by_minute.push_back(second_chance);
  }

  const Schedule& schedule_;
  std::mt19937 random_;
  Pool pool_;
  TwoChoice two_choice_;
  std::deque<LoadBalancer> load_balancers_;
  std::vector<LoadBalancer*> ways_;
  std::vector<Flow> flows_;
  std::vector<std::vector<std::uint32_t>> calendar_;  // by second, the flows that send
  std::uint32_t next_id_ = 0;
  Seconds now_{};
  Result result_;
};

}  // namespace

Result simulate(const Schedule& schedule, std::uint32_t flows) {
  return Simulation(schedule, flows).run();
}

}  // namespace guideway::perf
