#include "common/tables/slot_history.h"

#include <algorithm>
#include <array>
#include <bit>

namespace guideway {
namespace {

enum class Age { recent, older, kept };

// Whom an era's table names, as positions in today's pool.
struct Era {
  std::span<const SlotEntry> slots;
  std::vector<BackendId> today;  // by position in the era; none: gone
  Age age{};
};

using Positions = std::map<IpAddress, BackendId>;

void add_eras(std::span<const Weights> past, Age age, const Positions& positions, std::uint32_t slot_count,
              SlotTables& tables, std::vector<Era>& eras) {
  for (const Weights& weights : past) {
    Era era{tables.of(weights, slot_count), {}, age};
    for (const WeightedBackend& backend : weights) {
      const auto found = positions.find(backend.address);
      era.today.push_back(found == positions.end() ? BackendId::none : found->second);
    }
    if (!era.slots.empty()) eras.push_back(std::move(era));
  }
}

// The oldest first.
std::vector<Era> eras_of(const PastEras& past, std::span<const KnownBackend> backends, std::uint32_t slot_count,
                         SlotTables& tables) {
  Positions positions;
  for (std::size_t i = 0; i < backends.size(); i++) positions.emplace(backends[i].address, static_cast<BackendId>(i));
  std::vector<Era> eras;
  add_eras(past.kept, Age::kept, positions, slot_count, tables, eras);
  add_eras(past.older, Age::older, positions, slot_count, tables, eras);
  add_eras(past.recent, Age::recent, positions, slot_count, tables, eras);
  return eras;
}

// The distinct living owners of one slot: `first`, where flows go that nobody knows, and then the others in the order
// of their last eras.
class Owners {
 public:
  Owners(BackendId first, BackendId owner, std::span<const KnownBackend> backends)
      : owner_(owner), backends_(backends) {
    owners_.fill(BackendId::none);
    owners_[0] = first;
  }
  // Of the others drained ones come first: nothing else will lead their flows to them. Then the last ones, which have
  // most flows left. The owner of now is a hop anyway.
  void add(BackendId backend) {
    if (owners_[0] == backend || owner_ == backend) return;
    auto out = std::find(others(), others_end(), backend);
    if (out == others_end() && others_ + 1 < kPastOwnersMax) {
      owners_[++others_] = backend;
      return;
    }
    if (out == others_end()) {
      crowded_ = true;
      out = std::find_if_not(others(), others_end(), [this](BackendId other) { return is_drained(other); });
      if (out == others_end() && !is_drained(backend)) return;
      if (out == others_end()) out = others();
    }
    std::rotate(out, out + 1, others_end());
    *(others_end() - 1) = backend;
  }
  bool crowded() const { return crowded_; }
  PastOwners past() const { return {owners_}; }

 private:
  using Place = std::array<BackendId, kPastOwnersMax>::iterator;
  bool is_drained(BackendId backend) const { return backends_[index(backend)].is_drained; }
  Place others() { return owners_.begin() + 1; }
  Place others_end() { return others() + others_; }

  BackendId owner_;
  std::span<const KnownBackend> backends_;
  std::array<BackendId, kPastOwnersMax> owners_;
  std::uint32_t others_ = 0;
  bool crowded_ = false;
};

struct SlotPast {
  Owners owners;
  bool is_unsettled = false;
  bool is_only_kept = true;  // if it is unsettled
};

bool speaks_for(const Era& era, const KnownBackend& backend) {
  if (era.age == Age::recent) return true;
  return era.age == Age::older ? backend.can_take : backend.is_drained;
}

// Whom an era names for a slot.
BackendId named_by(const Era& era, std::size_t slot) {
  return era.today[era.slots[slot]];
}

KnownBackend known_as(BackendId backend, std::span<const KnownBackend> backends) {
  return backend == BackendId::none ? KnownBackend{} : backends[index(backend)];
}

// Where flows go that nobody knows; none: to the owner. Of recent eras the oldest decides. Without it, and without an
// owner, it is the newest of the others: most flows are left there.
BackendId first_of(std::size_t slot, BackendId owner, std::span<const Era> eras,
                   std::span<const KnownBackend> backends) {
  BackendId newest = BackendId::none;
  for (const Era& era : eras) {
    const BackendId before = named_by(era, slot);
    const KnownBackend known = known_as(before, backends);
    if (!known.can_take || !speaks_for(era, known)) continue;
    if (era.age == Age::recent) return before;
    newest = before;
  }
  return owner == BackendId::none ? newest : BackendId::none;
}

void add_era(const Era& era, BackendId before, BackendId owner, std::span<const KnownBackend> backends,
             SlotPast& past) {
  const KnownBackend known = known_as(before, backends);
  if (!speaks_for(era, known)) return;
  past.is_unsettled = past.is_unsettled || before != owner;
  past.is_only_kept = past.is_only_kept && (era.age == Age::kept || before == owner);
  if (known.can_take) past.owners.add(before);
}

SlotPast past_of(std::size_t slot, BackendId owner, std::span<const Era> eras, std::span<const KnownBackend> backends) {
  SlotPast past{Owners(first_of(slot, owner, eras, backends), owner, backends)};
  for (const Era& era : eras) add_era(era, named_by(era, slot), owner, backends, past);
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

SlotHistory make_slot_history(std::span<SlotEntry> slots, std::span<const KnownBackend> backends, const PastEras& past,
                              SlotTables& tables) {
  const std::vector<Era> eras = eras_of(past, backends, static_cast<std::uint32_t>(slots.size()), tables);
  std::vector<HistoryBlock> blocks(history_blocks(static_cast<std::uint32_t>(slots.size())));
  std::vector<PastOwners> pasts;
  SlotHistory history;
  for (std::size_t s = 0; s < slots.size(); s++) {
    HistoryBlock& block = blocks[s / kSlotsPerHistoryBlock];
    if (s % kSlotsPerHistoryBlock == 0) block.first = static_cast<std::uint32_t>(pasts.size());
    const SlotPast of_slot = past_of(s, static_cast<BackendId>(slots[s]), eras, backends);
    if (!of_slot.is_unsettled) continue;
    slots[s] |= kSlotUnsettled;
    block.mask |= 1U << (s % kSlotsPerHistoryBlock);
    pasts.push_back(of_slot.owners.past());
    history.crowded_slots += of_slot.owners.crowded() ? 1U : 0U;
    history.kept_slots += of_slot.is_only_kept ? 1U : 0U;
  }
  history.unsettled_slots = static_cast<std::uint32_t>(pasts.size());
  if (pasts.empty()) return history;
  for (const HistoryBlock& block : blocks) history.words.push_back(std::bit_cast<HistoryWord>(block));
  for (const PastOwners& owners : pasts) history.words.push_back(std::bit_cast<HistoryWord>(owners));
  return history;
}

}  // namespace guideway
