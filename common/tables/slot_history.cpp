#include "common/tables/slot_history.h"

#include <algorithm>
#include <array>
#include <bit>

namespace guideway {
namespace {

// Whom an era's table names, as positions in today's pool.
struct Era {
  std::span<const SlotEntry> slots;
  std::vector<BackendId> today;  // by position in the era; none: gone
};

std::vector<Era> eras_of(std::span<const Weights> past, std::span<const KnownBackend> backends,
                         std::uint32_t slot_count, SlotTables& tables) {
  std::map<IpAddress, BackendId> positions;
  for (std::size_t i = 0; i < backends.size(); i++) positions.emplace(backends[i].address, static_cast<BackendId>(i));
  std::vector<Era> eras;
  for (const Weights& weights : past) {
    Era era{tables.of(weights, slot_count), {}};
    for (const WeightedBackend& backend : weights) {
      const auto found = positions.find(backend.address);
      era.today.push_back(found == positions.end() ? BackendId::none : found->second);
    }
    if (!era.slots.empty()) eras.push_back(std::move(era));
  }
  return eras;
}

// The distinct living owners of one slot: the first, and then the others in the order of their last eras.
class Owners {
 public:
  // The oldest stays: it has the flows that nobody knows. Of the others the last ones have most flows left.
  void add(BackendId backend) {
    if (count_ > 0 && owners_[0] == backend) return;
    const auto end = owners_.begin() + count_;
    auto out = std::find(owners_.begin(), end, backend);
    if (out == end && count_ < kPastOwnersMax) {
      owners_[count_++] = backend;
      return;
    }
    if (out == end) {
      crowded_ = true;
      out = owners_.begin() + 1;
    }
    std::rotate(out, out + 1, end);
    *(end - 1) = backend;
  }
  bool crowded() const { return crowded_; }
  PastOwners past() const { return {owners_, 0}; }

 private:
  std::array<BackendId, kPastOwnersMax> owners_{BackendId::none, BackendId::none, BackendId::none};
  std::uint32_t count_ = 0;
  bool crowded_ = false;
};

struct SlotPast {
  Owners owners;
  bool unsettled = false;
};

SlotPast past_of(std::size_t slot, BackendId owner, std::span<const Era> eras, std::span<const KnownBackend> backends) {
  SlotPast past;
  for (const Era& era : eras) {
    const BackendId before = era.today[era.slots[slot]];
    past.unsettled = past.unsettled || before != owner;
    if (before != BackendId::none && backends[index(before)].can_take) past.owners.add(before);
  }
  return past;
}

}  // namespace

const std::vector<SlotEntry>& SlotTables::of(const Weights& weights, std::uint32_t slot_count) {
  Key key{slot_count, {}};
  for (const WeightedBackend& backend : weights) key.weights.emplace_back(backend.address, backend.weight);
  const auto [at, is_new] = tables_.try_emplace(std::move(key));
  if (is_new) at->second.slots = build_slot_table(weights, slot_count);
  at->second.used = true;
  return at->second.slots;
}

void SlotTables::forget_unused() {
  std::erase_if(tables_, [](const auto& entry) { return !entry.second.used; });
  for (auto& [key, table] : tables_) table.used = false;
}

SlotHistory make_slot_history(std::span<SlotEntry> slots, std::span<const KnownBackend> backends,
                              std::span<const Weights> past, SlotTables& tables) {
  const std::vector<Era> eras = eras_of(past, backends, static_cast<std::uint32_t>(slots.size()), tables);
  std::vector<HistoryBlock> blocks(history_blocks(static_cast<std::uint32_t>(slots.size())));
  std::vector<PastOwners> pasts;
  SlotHistory history;
  for (std::size_t s = 0; s < slots.size(); s++) {
    HistoryBlock& block = blocks[s / kSlotsPerHistoryBlock];
    if (s % kSlotsPerHistoryBlock == 0) block.first = static_cast<std::uint32_t>(pasts.size());
    const SlotPast of_slot = past_of(s, static_cast<BackendId>(slots[s]), eras, backends);
    if (!of_slot.unsettled) continue;
    slots[s] |= kSlotUnsettled;
    block.mask |= 1U << (s % kSlotsPerHistoryBlock);
    pasts.push_back(of_slot.owners.past());
    if (of_slot.owners.crowded()) history.crowded_slots++;
  }
  history.unsettled_slots = static_cast<std::uint32_t>(pasts.size());
  if (pasts.empty()) return history;
  for (const HistoryBlock& block : blocks) history.words.push_back(std::bit_cast<HistoryWord>(block));
  for (const PastOwners& owners : pasts) history.words.push_back(std::bit_cast<HistoryWord>(owners));
  return history;
}

}  // namespace guideway
