// A load balancer of the simulation: the shipped stages from parse to select, over frames made for one flow each.
//
// Each packet is chosen for four times, by a flow table for each: with GUE and second chance, and with IPIP and
// tracking `moved`, `all` and `none`. Ownership: the view outlives the call. Thread-safety: one thread.
#pragma once

#include <array>
#include <atomic>
#include <optional>
#include <vector>

#include "dataplane/stages/stages.h"
#include "guideway/second_chance.h"
#include "perf/continuity/pool.h"

namespace guideway::perf {

enum class FlowPart : std::uint8_t { opening, data, closing };  // SYN, ACK, FIN

struct SimulatedPacket {
  std::uint32_t flow = 0;     // position among the flows of the simulation
  std::uint32_t flow_id = 0;  // address and port of its client follow from it; no two flows have the same
  FlowPart part{};
};

// What became of a packet: members by position; kNowhere: it was dropped.
struct Choices {
  static constexpr std::uint32_t kNowhere = ~std::uint32_t{0};
  std::uint32_t second_chance = kNowhere;
  std::uint32_t moved = kNowhere;
  std::uint32_t all = kNowhere;
  std::uint32_t none = kNowhere;
  std::uint64_t hash = 0;
  // Of `second_chance`:
  std::array<std::uint32_t, kHopsMax> hops{kNowhere, kNowhere, kNowhere, kNowhere};
  bool has_hops = false;
  bool unsettled = false;  // the slot
};

// A flow table and its memory, which outlives it.
class RememberedFlows {
 public:
  explicit RememberedFlows(std::size_t buckets);
  void restart() { tracker_.emplace(Tracker{FlowTable(buckets_, {}, {})}); }
  void forget();
  void sweep(Seconds now);
  Tracker& tracker() { return *tracker_; }
  const FlowTable::Usage& usage() const { return tracker_->flows.usage(); }

 private:
  std::vector<FlowBucket> buckets_;
  std::optional<Tracker> tracker_;
};

class LoadBalancer {
 public:
  // With room for `flows` flows in each table.
  explicit LoadBalancer(std::size_t flows);
  LoadBalancer(LoadBalancer&&) = delete;

  bool is_live = true;

  bool is_full() const { return batch_.count == kBatchMax; }
  // REQUIRES: not full.
  void receive(const SimulatedPacket& packet);
  // Calls `took` with each packet received, and what was chosen for it.
  template <typename Took>
  void flush(const Pool& pool, Seconds now, Took took) {
    choose(pool.gue(), pool.ipip(), now);
    for (std::uint32_t i = 0; i < batch_.count; i++) took(packets_[i], choices_[i]);
    batch_.clear();
  }

  void restart();  // its data plane
  void forget();
  void sweep(Seconds now);
  std::uint64_t second_chance_flows() const { return second_chance_.usage().flows; }
  std::uint64_t moved_flows() const { return moved_.usage().flows; }
  std::uint64_t all_flows() const { return all_.usage().flows; }

 private:
  static constexpr std::size_t kFrameBytes = 64;
  void choose(const TablesView& gue, const TablesView& ipip, Seconds now);
  void choose_by_ipip(const Batch& classified, const TablesView& ipip, Seconds now);

  RememberedFlows second_chance_;
  RememberedFlows moved_;
  RememberedFlows all_;
  RememberedFlows none_;
  Batch batch_;
  std::array<SimulatedPacket, kBatchMax> packets_;
  std::array<Choices, kBatchMax> choices_;
  std::array<std::array<std::uint8_t, kFrameBytes>, kBatchMax> frames_;
};

}  // namespace guideway::perf
