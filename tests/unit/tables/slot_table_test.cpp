// Slot tables: golden ones, exact shares, independence of order, few moves.
#include "common/tables/slot_table.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <iomanip>
#include <numeric>
#include <random>
#include <sstream>

#include "common/net/address_text.h"

namespace guideway {
namespace {

using Backends = std::vector<WeightedBackend>;

IpAddress numbered(IpAddress first, std::uint32_t i) {
  std::uint32_t carry = i;
  for (std::size_t at = 16; at-- > 0 && carry != 0; carry >>= 8) {
    carry += first.bytes[at];
    first.bytes[at] = static_cast<std::uint8_t>(carry);
  }
  return first;
}

template <typename WeightOf>
Backends make_backends(std::uint32_t count, WeightOf weight_of, const char* first = "10.0.0.1") {
  Backends backends;
  for (std::uint32_t i = 0; i < count; i++)
    backends.push_back({numbered(*parse_ip(first), i), static_cast<std::uint32_t>(weight_of(i))});
  return backends;
}
constexpr auto kEqual = [](std::uint32_t) { return 1U; };

std::vector<std::uint32_t> count_slots(const std::vector<SlotEntry>& slots, std::size_t backends) {
  std::vector<std::uint32_t> counts(backends);
  for (const SlotEntry owner : slots) counts.at(owner)++;
  return counts;
}

// ---- golden tables -------------------------------------------------------------------------------------------------

std::string result_of(const std::vector<SlotEntry>& slots) {
  std::ostringstream result;
  if (slots.size() < 1000) {
    result << "slots";
    for (const SlotEntry owner : slots) result << ' ' << owner;
    return result.str();
  }
  std::uint64_t digest = 0xcbf29ce484222325;
  for (const SlotEntry owner : slots)
    for (const unsigned byte : {owner & 0xffU, static_cast<unsigned>(owner) >> 8})
      digest = (digest ^ byte) * 0x100000001b3;
  result << "digest " << std::hex << std::setw(16) << std::setfill('0') << digest;
  return result.str();
}

TEST(SlotTable, GoldenTablesStayAsTheyAre) {
  std::ifstream golden(GUIDEWAY_SOURCE_ROOT "/tests/unit/tables/golden_tables.txt");
  int tables = 0;
  for (std::string line; std::getline(golden, line);) {
    std::array<char, 64> name{}, first{};
    std::uint32_t slots = 0, count = 0, a = 0, b = 0, m = 0;
    if (std::sscanf(line.c_str(), "table %63s slots %u backends %u from %63s weights (%u + %u*i) mod %u", name.data(),
                    &slots, &count, first.data(), &a, &b, &m) != 7)
      continue;
    tables++;
    const Backends backends = make_backends(
        count, [&](std::uint32_t i) { return (a + std::uint64_t{b} * i) % m; }, first.data());
    EXPECT_EQ(result_of(build_slot_table(backends, slots)), line.substr(line.find(" : ") + 3)) << name.data();
  }
  EXPECT_EQ(tables, 13);
}

// ---- properties ----------------------------------------------------------------------------------------------------

// Owners' counts are the quotas, and the quotas are within ±1 of M·w/Σw.
void expect_exact(const Backends& backends, std::uint32_t slot_count) {
  std::uint64_t weight_sum = 0;
  for (const WeightedBackend& backend : backends) weight_sum += backend.weight;
  const auto quotas = slot_quotas(backends, slot_count);
  ASSERT_EQ(std::accumulate(quotas.begin(), quotas.end(), 0U), slot_count);
  for (std::size_t i = 0; i < backends.size(); i++) {
    const std::uint64_t floor = std::uint64_t{slot_count} * backends[i].weight / weight_sum;
    ASSERT_GE(quotas[i], floor) << "backend " << i;
    ASSERT_LE(quotas[i], floor + (backends[i].weight == 0 ? 0 : 1)) << "backend " << i;
  }
  const auto slots = build_slot_table(backends, slot_count);
  ASSERT_EQ(slots.size(), slot_count);
  ASSERT_EQ(count_slots(slots, backends.size()), quotas);
}

TEST(SlotTable, SharesAreExactForRandomWeights) {
  for (std::uint64_t seed = 1; seed <= 60; seed++) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random(seed);
    const auto count = static_cast<std::uint32_t>(1 + random() % 2000);
    const std::uint64_t weight_max = std::uint64_t{1} << random() % 17;
    const std::uint32_t slot_count = std::to_array({2U, 251U, 1009U, 16369U, 65521U})[random() % 5];
    Backends backends = make_backends(
        count, [&](std::uint32_t) { return std::min<std::uint64_t>(random() % (weight_max + 1), 65535); });
    backends[0].weight = 1;
    expect_exact(backends, slot_count);
  }
}

TEST(SlotTable, SharesAreExactAtTheLimits) {
  expect_exact(make_backends(kBackendsPerPoolMax, [](std::uint32_t) { return 65535; }), 1009);
  expect_exact(make_backends(kBackendsPerPoolMax, [](std::uint32_t i) { return i == 77 ? 65535 : 1; }), 65521);
  expect_exact(make_backends(3, [](std::uint32_t i) { return i == 0 ? 65535 : i; }), 1048573);  // largest prime < 2^20
}

TEST(SlotTable, OrderOfBackendsDoesNotMatter) {
  std::mt19937_64 random(20260103);
  for (int round = 0; round < 10; round++) {
    Backends backends = make_backends(200, [&](std::uint32_t) { return random() % 50; });
    const auto before = build_slot_table(backends, 16369);
    const Backends ordered = backends;
    std::shuffle(backends.begin(), backends.end(), random);
    const auto after = build_slot_table(backends, 16369);
    for (std::size_t s = 0; s < before.size(); s++)
      ASSERT_EQ(ordered[before[s]].address, backends[after[s]].address) << "round " << round << " slot " << s;
  }
}

TEST(SlotTable, OnlyRatiosOfWeightsMatter) {
  const auto once = make_backends(20, [](std::uint32_t i) { return 1 + i; });
  const auto thrice = make_backends(20, [](std::uint32_t i) { return 3 + 3 * i; });
  EXPECT_EQ(build_slot_table(once, 65521), build_slot_table(thrice, 65521));
}

TEST(SlotTable, WeightZeroIsAsGoodAsAbsent) {
  Backends backends = make_backends(10, kEqual);
  backends[9].weight = 0;
  const auto with = build_slot_table(backends, 65521);
  EXPECT_EQ(count_slots(with, 10)[9], 0U);
  backends.pop_back();
  EXPECT_EQ(with, build_slot_table(backends, 65521));
}

TEST(SlotTable, OneBackendOwnsAllAndNoneOwnsNothing) {
  const auto one = build_slot_table(make_backends(1, kEqual), 65521);
  EXPECT_EQ(std::count(one.begin(), one.end(), 0), 65521);
  EXPECT_TRUE(build_slot_table({}, 65521).empty());
  EXPECT_TRUE(build_slot_table(make_backends(3, [](std::uint32_t) { return 0; }), 65521).empty());
  EXPECT_EQ(slot_quotas(make_backends(2, [](std::uint32_t) { return 0; }), 251), (std::vector<std::uint32_t>{0, 0}));
}

// Needed are the slots of the backend that goes away, and those that exact shares take from others.
void expect_few_moves(const Backends& backends, std::size_t gone, std::uint32_t slot_count) {
  Backends rest = backends;
  rest[gone].weight = 0;
  const auto quotas_before = slot_quotas(backends, slot_count);
  const auto quotas_after = slot_quotas(rest, slot_count);
  const auto before = build_slot_table(backends, slot_count);
  const auto after = build_slot_table(rest, slot_count);
  std::uint32_t needed = 0;
  for (std::size_t i = 0; i < backends.size(); i++)
    needed += quotas_before[i] - std::min(quotas_before[i], quotas_after[i]);
  std::uint32_t moved = 0;
  for (std::size_t s = 0; s < before.size(); s++) moved += before[s] != after[s] ? 1U : 0U;
  EXPECT_LE(moved, needed + slot_count / 100) << "backend " << gone << " of " << backends.size() << " goes";
}

TEST(SlotTable, RemovingOneMovesFewSlots) {
  std::mt19937_64 random(20260104);
  for (const std::uint32_t count : {2U, 3U, 5U, 10U, 30U, 100U, 300U, 500U, 1000U}) {
    const Backends equal = make_backends(count, kEqual);
    const Backends mixed = make_backends(count, [&](std::uint32_t) { return 1 + random() % 100; });
    for (int i = 0; i < 6; i++) {
      expect_few_moves(equal, random() % count, kSlotCountDefault);
      expect_few_moves(mixed, random() % count, kSlotCountDefault);
    }
  }
}

}  // namespace
}  // namespace guideway
