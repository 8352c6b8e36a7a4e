// Who owned a slot before: by small tables whose owners are known, and against an oracle over random eras.
#include "common/tables/slot_history.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <optional>
#include <random>
#include <set>

#include "guideway/tables_view.h"

namespace guideway {
namespace {

constexpr std::uint32_t kSlots = 1009;

IpAddress address(std::uint32_t n) {
  return IpAddress::from_v4(Be32::from_host(0x0a000000 + n));
}
Weights weights(std::initializer_list<std::uint32_t> backends) {
  Weights weights;
  for (const std::uint32_t n : backends) weights.push_back({address(n), 1});
  return weights;
}
std::vector<KnownBackend> known(std::uint32_t count, const std::set<std::uint32_t>& dead = {}) {
  std::vector<KnownBackend> known;
  for (std::uint32_t n = 0; n < count; n++) known.push_back({address(n), !dead.contains(n)});
  return known;
}

// … of which these are drained.
std::vector<KnownBackend> known_with_drained(std::uint32_t count, const std::set<std::uint32_t>& drained) {
  std::vector<KnownBackend> backends = known(count);
  for (const std::uint32_t n : drained) backends[n].is_drained = true;
  return backends;
}

// A history opened as a worker sees it.
struct Opened {
  std::vector<SlotEntry> slots;
  SlotHistory history;
  PoolView view;

  std::vector<std::uint32_t> past(std::uint32_t slot) const {
    std::vector<std::uint32_t> owners;
    if (const PastOwners* past = past_owners(view, Slot{slot}); past != nullptr)
      for (const BackendId backend : past->backends)
        if (backend != BackendId::none) owners.push_back(index(backend));
    return owners;
  }
  // Where flows go that nobody knows; none: to the owner.
  BackendId first(std::uint32_t slot) const {
    const PastOwners* past = past_owners(view, Slot{slot});
    return past == nullptr ? BackendId::none : past->backends[0];
  }
  bool unsettled(std::uint32_t slot) const { return (slots[slot] & kSlotUnsettled) != 0; }
};

// `now`: today's weights, in which backend n is at position n.
Opened open(const Weights& now, std::span<const KnownBackend> backends, const PastEras& past) {
  SlotTables tables;
  Opened opened{tables.of(now, kSlots), {}, {}};
  if (opened.slots.empty()) opened.slots.assign(kSlots, kSlotOwnerMask);
  opened.history = make_slot_history(opened.slots, backends, past, tables);
  opened.view.slot_count = kSlots;
  if (opened.history.words.empty()) return opened;
  const std::uint32_t blocks = history_blocks(kSlots);
  opened.view.history = {reinterpret_cast<const HistoryBlock*>(opened.history.words.data()),
                         reinterpret_cast<const PastOwners*>(opened.history.words.data() + blocks),
                         static_cast<std::uint32_t>(opened.history.words.size()) - blocks};
  return opened;
}

TEST(SlotHistory, IsNothingWithoutEras) {
  const Opened opened = open(weights({0, 1, 2}), known(3), {});
  EXPECT_TRUE(opened.history.words.empty());
  EXPECT_EQ(opened.history.unsettled_slots, 0U);
}

TEST(SlotHistory, IsNothingAfterAnEraWithTheSameOwners) {
  const Weights same = weights({0, 1, 2});
  EXPECT_TRUE(open(same, known(3), {.recent = {same}, .kept = {}}).history.words.empty());
}

TEST(SlotHistory, NamesWhoWasDrained) {
  const Weights before = weights({0, 1, 2});
  const Weights now{{address(0), 1}, {address(1), 1}, {address(2), 0}};
  const Opened opened = open(now, known(3), {.recent = {before}, .kept = {}});
  SlotTables tables;
  const std::vector<SlotEntry>& owners = tables.of(before, kSlots);
  for (std::uint32_t s = 0; s < kSlots; s++) {
    const bool moved = owners[s] != (opened.slots[s] & kSlotOwnerMask);
    ASSERT_EQ(opened.unsettled(s), moved) << s;
    ASSERT_EQ(opened.past(s), moved ? std::vector<std::uint32_t>{owners[s]} : std::vector<std::uint32_t>{}) << s;
  }
  EXPECT_NEAR(opened.history.unsettled_slots, kSlots / 3, kSlots / 50);
}

TEST(SlotHistory, NamesNobodyWhoIsDeadButKeepsTheSlotUnsettled) {
  const Weights now{{address(0), 1}, {address(1), 1}, {address(2), 0}};
  const Opened opened = open(now, known(3, {2}), {.recent = {weights({0, 1, 2})}, .kept = {}});
  SlotTables tables;
  const std::vector<SlotEntry>& owners = tables.of(weights({0, 1, 2}), kSlots);
  for (std::uint32_t s = 0; s < kSlots; s++) {
    if (owners[s] != 2) continue;
    ASSERT_TRUE(opened.unsettled(s)) << s;
    ASSERT_EQ(opened.past(s), std::vector<std::uint32_t>{}) << s;
  }
}

TEST(SlotHistory, NamesNobodyWhoIsGone) {
  const Opened opened = open(weights({0, 1}), known(2), {.recent = {weights({0, 1, 2})}, .kept = {}});
  EXPECT_GT(opened.history.unsettled_slots, kSlots / 4);
  SlotTables tables;
  const std::vector<SlotEntry>& owners = tables.of(weights({0, 1, 2}), kSlots);
  for (std::uint32_t s = 0; s < kSlots; s++) ASSERT_TRUE(owners[s] != 2 || opened.past(s).empty()) << s;
}

// A backend that was drained and is back: its slots went away and returned. Flows that nobody knows began at it.
TEST(SlotHistory, KeepsTheOrderOfTheEras) {
  const Weights all = weights({0, 1, 2});
  const Weights drained{{address(0), 1}, {address(1), 1}};
  const Opened opened = open(all, known(3), {.recent = {all, drained}, .kept = {}});
  SlotTables tables;
  const std::vector<SlotEntry>& meanwhile = tables.of(drained, kSlots);
  std::uint32_t returned = 0;
  for (std::uint32_t s = 0; s < kSlots; s++) {
    if ((opened.slots[s] & kSlotOwnerMask) != 2) continue;
    returned++;
    ASSERT_EQ(opened.past(s), (std::vector<std::uint32_t>{2, meanwhile[s]})) << s;
  }
  EXPECT_GT(returned, kSlots / 4);
}

TEST(SlotHistory, KeepsTheOldestAndTheNewestOfMany) {
  std::vector<Weights> past;
  for (std::uint32_t n = 0; n < 5; n++) past.push_back(weights({n}));
  Weights now(6, {address(0), 0});
  for (std::uint32_t n = 0; n < 6; n++) now[n] = {address(n), n == 5 ? 1U : 0U};
  const Opened opened = open(now, known(6), {.recent = past, .kept = {}});
  EXPECT_EQ(opened.past(7), (std::vector<std::uint32_t>{0, 2, 3, 4}));
  EXPECT_EQ(opened.history.crowded_slots, kSlots);
  EXPECT_EQ(opened.history.unsettled_slots, kSlots);
}

TEST(SlotHistory, HasSlotsWithoutAnOwner) {
  const Opened opened = open({{address(0), 0}}, known(1), {.recent = {weights({0})}, .kept = {}});
  EXPECT_EQ(opened.history.unsettled_slots, kSlots);
  EXPECT_EQ(opened.past(3), std::vector<std::uint32_t>{0});
}

TEST(SlotHistory, AKeptEraSpeaksForDrainedBackendsAlone) {
  const Weights before = weights({0, 1, 2});
  const Weights now{{address(0), 1}, {address(1), 5}, {address(2), 0}};
  const Opened opened = open(now, known_with_drained(3, {2}), {.recent = {}, .kept = {before}});
  SlotTables tables;
  const std::vector<SlotEntry>& owners = tables.of(before, kSlots);
  std::uint32_t of_drained = 0;
  for (std::uint32_t s = 0; s < kSlots; s++) {
    const bool was_its = owners[s] == 2;
    of_drained += was_its ? 1 : 0;
    ASSERT_EQ(opened.unsettled(s), was_its) << s;
    ASSERT_EQ(opened.past(s), was_its ? std::vector<std::uint32_t>{2} : std::vector<std::uint32_t>{}) << s;
    ASSERT_EQ(opened.first(s), BackendId::none) << "flows that nobody knows go to the owner";
  }
  EXPECT_EQ(opened.history.unsettled_slots, of_drained);
  EXPECT_EQ(opened.history.kept_slots, of_drained);
}

TEST(SlotHistory, AnOlderEraNamesHops) {
  const Weights before = weights({0, 1, 2});
  const Weights now{{address(0), 1}, {address(1), 5}, {address(2), 0}};
  const Opened opened = open(now, known(3, {2}), {.recent = {}, .older = {before}});
  SlotTables tables;
  const std::vector<SlotEntry>& owners = tables.of(before, kSlots);
  for (std::uint32_t s = 0; s < kSlots; s++) {
    const bool moved = owners[s] != (opened.slots[s] & kSlotOwnerMask) && owners[s] != 2;
    ASSERT_EQ(opened.unsettled(s), moved) << s << ": nothing of who is dead";
    ASSERT_EQ(opened.past(s), moved ? std::vector<std::uint32_t>{owners[s]} : std::vector<std::uint32_t>{}) << s;
    ASSERT_EQ(opened.first(s), BackendId::none) << "flows that nobody knows go to the owner";
  }
  EXPECT_GT(opened.history.unsettled_slots, kSlots / 10);
  EXPECT_EQ(opened.history.kept_slots, 0U);
}

TEST(SlotHistory, AKeptEraSaysNothingOfOthers) {
  const Weights now{{address(0), 1}, {address(1), 1}, {address(2), 0}};
  const PastEras past{.recent = {}, .kept = {weights({0, 1, 2})}};
  EXPECT_EQ(open(now, known(3), past).history.unsettled_slots, 0U) << "of one that is not drained";
  EXPECT_EQ(open(now, known(3, {2}), past).history.unsettled_slots, 0U) << "of one that is dead";
  EXPECT_EQ(open(weights({0, 1}), known(2), past).history.unsettled_slots, 0U) << "of one that is gone";
  EXPECT_EQ(open(weights({0, 1, 2}), known(3), past).history.unsettled_slots, 0U) << "of one that is back";
}

// Within the window flows that nobody knows go to the oldest owner, whatever is kept beside it.
TEST(SlotHistory, AKeptOwnerIsAHopBesideRecentOnes) {
  Weights now(4, {address(0), 0});
  for (std::uint32_t n = 0; n < 4; n++) now[n] = {address(n), n == 3 ? 1U : 0U};
  const PastEras past{.recent = {weights({1}), weights({2})}, .kept = {weights({0})}};
  const Opened opened = open(now, known_with_drained(4, {0}), past);
  EXPECT_EQ(opened.past(7), (std::vector<std::uint32_t>{1, 0, 2}));
  EXPECT_EQ(opened.first(7), BackendId{1});
  EXPECT_EQ(opened.history.kept_slots, 0U) << "they are unsettled without it";
}

// Whoever is the first takes no place among the others, though older eras name it too.
TEST(SlotHistory, TheFirstPushesOutNobody) {
  Weights now(4, {address(0), 0});
  for (std::uint32_t n = 0; n < 4; n++) now[n] = {address(n), n == 3 ? 1U : 0U};
  const PastEras past{.recent = {weights({2})}, .older = {weights({2})}, .kept = {weights({0}), weights({1})}};
  const Opened opened = open(now, known_with_drained(4, {0, 1, 2}), past);
  EXPECT_EQ(opened.past(7), (std::vector<std::uint32_t>{2, 0, 1}));
  EXPECT_EQ(opened.history.crowded_slots, 0U);
}

TEST(SlotHistory, AKeptOwnerIsNamedOnce) {
  const Weights now{{address(0), 0}, {address(1), 1}};
  const PastEras past{.recent = {weights({0})}, .kept = {weights({0})}};
  const Opened opened = open(now, known_with_drained(2, {0}), past);
  EXPECT_EQ(opened.past(7), std::vector<std::uint32_t>{0});
  EXPECT_EQ(opened.first(7), BackendId{0});
}

TEST(SlotHistory, NamesTheNewestOfManyKeptOwners) {
  Weights now(5, {address(0), 0});
  for (std::uint32_t n = 0; n < 5; n++) now[n] = {address(n), n == 4 ? 1U : 0U};
  const PastEras past{.recent = {}, .kept = {weights({0}), weights({1}), weights({2}), weights({3})}};
  const Opened opened = open(now, known_with_drained(5, {0, 1, 2, 3}), past);
  EXPECT_EQ(opened.past(7), (std::vector<std::uint32_t>{1, 2, 3}));
  EXPECT_EQ(opened.history.crowded_slots, kSlots);
}

TEST(SlotHistory, NamesDrainedOwnersFirst) {
  Weights now(7, {address(0), 0});
  for (std::uint32_t n = 0; n < 7; n++) now[n] = {address(n), n == 6 ? 1U : 0U};
  const std::vector<Weights> past{weights({0}), weights({1}), weights({2}), weights({3}), weights({4}), weights({5})};
  const auto with_drained = [&](const std::set<std::uint32_t>& drained) {
    return open(now, known_with_drained(7, drained), {.recent = past}).past(7);
  };
  EXPECT_EQ(with_drained({1}), (std::vector<std::uint32_t>{0, 1, 4, 5}));
  EXPECT_EQ(with_drained({1, 2}), (std::vector<std::uint32_t>{0, 1, 2, 5}));
  EXPECT_EQ(with_drained({1, 2, 3}), (std::vector<std::uint32_t>{0, 1, 2, 3}));
  EXPECT_EQ(with_drained({1, 2, 3, 4}), (std::vector<std::uint32_t>{0, 2, 3, 4}));
}

TEST(SlotHistory, NamesTheOwnerOfNowOnlyWhereItIsTheOldest) {
  const Weights now{{address(0), 1}, {address(1), 0}, {address(2), 0}, {address(3), 0}};
  const std::vector<Weights> past{weights({1}), weights({0}), weights({2}), weights({3}), weights({0})};
  const Opened opened = open(now, known(4), {.recent = past});
  EXPECT_EQ(opened.past(7), (std::vector<std::uint32_t>{1, 2, 3}));
  EXPECT_EQ(opened.history.crowded_slots, 0U);
}

// All are drained for longer than the window: a flow that goes on can only be at one of them.
TEST(SlotHistory, AKeptOwnerIsTheFirstWhereThereIsNoOther) {
  const PastEras past{.recent = {}, .kept = {weights({0})}};
  const Opened opened = open({{address(0), 0}}, known_with_drained(1, {0}), past);
  EXPECT_EQ(opened.history.unsettled_slots, kSlots);
  EXPECT_EQ(opened.first(3), BackendId{0});
}

// One was drained long ago, the last one now. Flows that nobody knows are older than what ended now, so they are there.
TEST(SlotHistory, ARecentOwnerIsTheFirstOfAClosedPool) {
  const PastEras past{.recent = {weights({0})}, .kept = {weights({1})}};
  const Opened opened = open({{address(0), 0}, {address(1), 0}}, known_with_drained(2, {0, 1}), past);
  EXPECT_EQ(opened.past(3), (std::vector<std::uint32_t>{0, 1}));
}

TEST(SlotHistory, TheNewestOlderOwnerIsTheFirstOfAClosedPool) {
  const Weights now{{address(0), 0}, {address(1), 0}, {address(2), 0}};
  const std::vector<KnownBackend> backends = known_with_drained(3, {0, 1, 2});
  const std::vector<Weights> ones{weights({0}), weights({1})};
  EXPECT_EQ(open(now, backends, {.recent = {}, .kept = ones}).past(3), (std::vector<std::uint32_t>{1, 0}));
  EXPECT_EQ(open(now, backends, {.recent = {}, .older = {weights({2})}, .kept = ones}).past(3),
            (std::vector<std::uint32_t>{2, 0, 1}));
  const std::vector<KnownBackend> with_a_dead_one = known(3, {2});
  EXPECT_EQ(open(now, with_a_dead_one, {.recent = {weights({2})}, .older = ones}).past(3),
            (std::vector<std::uint32_t>{1, 0}));
}

// A pool as chance has it: weights of now, backends dead or drained, and eras.
class RandomPool {
 public:
  Weights now;
  std::vector<KnownBackend> backends;
  PastEras past;

  explicit RandomPool(std::uint32_t seed) : random_(seed) {
    backends = known(1 + random_() % 8);
    const bool is_closed = random_() % 4 == 0;
    now = some_weights();
    for (std::size_t n = 0; n < backends.size(); n++) {
      if (is_closed) now[n].weight = 0;
      backends[n].can_take = random_() % 4 != 0;
      backends[n].is_drained = backends[n].can_take && now[n].weight == 0;
    }
    for (std::vector<Weights>* eras : {&past.kept, &past.older, &past.recent}) {
      eras->resize(random_() % 4);
      for (Weights& era : *eras) {
        era = some_weights();
        std::erase_if(era, [](const WeightedBackend& backend) { return backend.weight == 0; });
      }
    }
  }

 private:
  Weights some_weights() {
    Weights weights;
    for (const KnownBackend& backend : backends)
      weights.push_back({backend.address, static_cast<std::uint32_t>(random_() % 4)});
    return weights;
  }
  std::mt19937 random_;
};

// What a plain walk over the eras says of a slot.
struct Walk {
  bool unsettled = false;
  std::optional<std::uint32_t> recent, newest;  // the oldest living owner of recent eras, the newest of the others
  std::vector<std::uint32_t> living;            // in the order of their last eras

  void over(const std::vector<Weights>& eras, const RandomPool& pool, std::uint32_t slot, SlotTables& tables) {
    for (const Weights& era : eras) {
      const std::vector<SlotEntry>& owners = tables.of(era, kSlots);
      if (owners.empty()) continue;
      std::uint32_t n = 0;
      while (!(address(n) == era[owners[slot]].address)) n++;
      const bool is_recent = &eras == &pool.past.recent;
      if (&eras == &pool.past.kept && !pool.backends[n].is_drained) continue;
      if (!is_recent && !pool.backends[n].can_take) continue;
      const std::vector<SlotEntry>& today = tables.of(pool.now, kSlots);
      unsettled |= today.empty() || today[slot] != n;
      if (!pool.backends[n].can_take) continue;
      if (!is_recent) newest = n;
      if (is_recent && !recent) recent = n;
      std::erase(living, n);
      living.push_back(n);
    }
  }

  // The first and the others that fit, drained ones rather than the last ones.
  std::vector<std::uint32_t> past(const RandomPool& pool, SlotEntry owner) const {
    const std::optional<std::uint32_t> first = recent || owner != kSlotOwnerMask ? recent : newest;
    std::vector<std::uint32_t> others = living;
    std::erase_if(others, [&](std::uint32_t n) { return n == owner || n == first; });
    while (others.size() + 1 > kPastOwnersMax) {
      const auto out = std::find_if(others.begin(), others.end(), [&](auto n) { return !pool.backends[n].is_drained; });
      others.erase(out == others.end() ? others.begin() : out);
    }
    if (first) others.insert(others.begin(), *first);
    return unsettled ? others : std::vector<std::uint32_t>{};
  }
};

TEST(SlotHistory, SaysWhatAPlainWalkOverTheErasSays) {
  for (std::uint32_t seed = 0; seed < 200; seed++) {
    const RandomPool pool(seed);
    const Opened opened = open(pool.now, pool.backends, pool.past);
    SlotTables tables;
    for (std::uint32_t s = 0; s < kSlots; s++) {
      Walk walk;
      for (const std::vector<Weights>* eras : {&pool.past.kept, &pool.past.older, &pool.past.recent})
        walk.over(*eras, pool, s, tables);
      ASSERT_EQ(opened.unsettled(s), walk.unsettled) << "seed " << seed << " slot " << s;
      ASSERT_EQ(opened.past(s), walk.past(pool, opened.slots[s] & kSlotOwnerMask)) << "seed " << seed << " slot " << s;
    }
  }
}

}  // namespace
}  // namespace guideway
