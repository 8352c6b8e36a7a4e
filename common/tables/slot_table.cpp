#include "common/tables/slot_table.h"

#include <algorithm>
#include <numeric>

namespace guideway {
namespace {

constexpr SlotEntry kFree = 0xffff;

// The finalizer of SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014).
constexpr std::uint64_t mix(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}
constexpr std::uint64_t kGolden = 0x9e3779b97f4a7c15;

enum class Purpose : std::uint64_t { tie = 1, draw = 2, offset = 3, skip = 4 };

std::uint64_t identity_hash(const IpAddress& address, Purpose purpose) {
  const auto words = std::bit_cast<std::array<std::uint64_t, 2>>(address.bytes);
  return mix(mix(words[0] + kGolden * static_cast<std::uint64_t>(purpose)) + words[1]);
}

// A backend while its table is built.
struct Claim {
  std::uint64_t draw_state = 0;
  std::uint32_t position = 0;  // in the caller's span
  std::uint32_t weight = 0;
  std::uint32_t missing = 0;  // slots it is still due
  std::uint32_t walk_at = 0;  // Maglev's permutation: offset, offset + skip, …
  std::uint32_t walk_skip = 0;
};

// In which order claims take their turns, turns[i] turns for claim i: the k-th turn of a claim comes in round
// ceil(k · weight_max / weight), so turns are proportional to weight at any time; within a round in the claims' order.
std::vector<SlotEntry> turn_order(std::span<const Claim> claims, std::uint64_t weight_max,
                                  std::span<const std::uint32_t> turns) {
  // Rounds without a division each: `whole` and `rest` of weight_max / weight are added up as Bresenham does.
  const auto for_each_turn = [&](auto&& visit) {
    for (std::size_t i = 0; i < claims.size(); i++) {
      const std::uint64_t weight = claims[i].weight;
      const std::uint64_t whole = weight_max / weight;
      const std::uint64_t rest = weight_max % weight;
      std::uint64_t round = 0;
      std::uint64_t remainder = 0;
      for (std::uint32_t left = turns[i]; left > 0; left--) {
        round += whole;
        remainder += rest;
        if (remainder >= weight) {
          remainder -= weight;
          round++;
        }
        visit(i, round + (remainder != 0 ? 1 : 0));
      }
    }
  };
  std::uint64_t rounds = 0;
  for (std::size_t i = 0; i < claims.size(); i++)
    rounds = std::max(rounds, (turns[i] * weight_max + claims[i].weight - 1) / claims[i].weight);
  std::vector<std::uint32_t> first_of_round(rounds + 2);
  for_each_turn([&](std::size_t, std::uint64_t round) { first_of_round[round + 1]++; });
  std::partial_sum(first_of_round.begin(), first_of_round.end(), first_of_round.begin());
  std::vector<SlotEntry> order(first_of_round.back());
  for_each_turn(
      [&](std::size_t i, std::uint64_t round) { order[first_of_round[round]++] = static_cast<SlotEntry>(i); });
  return order;
}

// Phase 1: in its turn a claim draws a slot, and has it if it is free. Goes on until the draws of all have covered 99.5
// % of the table, had nobody reached its quota.
void draw_slots(std::vector<Claim>& claims, std::uint64_t weight_sum, std::uint64_t weight_max,
                std::vector<SlotEntry>& slots) {
  constexpr std::uint64_t kLn200Milli = 5298;  // 1000 · ln(1 / (1 - 0.995))
  const std::uint64_t rounds = kLn200Milli * slots.size() * weight_max / (1000 * weight_sum);
  std::vector<std::uint32_t> turns;
  turns.reserve(claims.size());
  for (const Claim& claim : claims) turns.push_back(static_cast<std::uint32_t>(rounds * claim.weight / weight_max));
  for (const SlotEntry i : turn_order(claims, weight_max, turns)) {
    Claim& claim = claims[i];
    claim.draw_state += kGolden;
    SlotEntry& slot = slots[(mix(claim.draw_state) >> 32) * slots.size() >> 32];
    // Without a branch, which nobody could predict: what is free is all ones, so that a winner's position is and-ed in.
    const std::uint32_t wins = std::uint32_t{slot == kFree} & std::uint32_t{claim.missing != 0};
    slot = static_cast<SlotEntry>(slot & (claim.position | (wins - 1)));
    claim.missing -= wins;
  }
}

// Phase 2: what is left, by Maglev's walk: in its turn a claim takes the next free slot of its permutation.
void walk_slots(std::vector<Claim>& claims, std::uint64_t weight_max, std::vector<SlotEntry>& slots) {
  const auto slot_count = static_cast<std::uint32_t>(slots.size());
  std::vector<std::uint32_t> turns;
  turns.reserve(claims.size());
  for (const Claim& claim : claims) turns.push_back(claim.missing);
  for (const SlotEntry i : turn_order(claims, weight_max, turns)) {
    Claim& claim = claims[i];
    while (slots[claim.walk_at] != kFree) {
      claim.walk_at += claim.walk_skip;
      if (claim.walk_at >= slot_count) claim.walk_at -= slot_count;
    }
    slots[claim.walk_at] = static_cast<SlotEntry>(claim.position);
  }
}

}  // namespace

std::vector<std::uint32_t> slot_quotas(std::span<const WeightedBackend> backends, std::uint32_t slot_count) {
  std::vector<std::uint32_t> quotas(backends.size());
  std::uint64_t weight_sum = 0;
  for (const WeightedBackend& backend : backends) weight_sum += backend.weight;
  if (weight_sum == 0) return quotas;

  struct Remainder {
    std::uint64_t size, tie;
    IpAddress address;
    std::size_t position;
  };
  std::vector<Remainder> remainders;
  std::uint32_t left = slot_count;
  for (std::size_t i = 0; i < backends.size(); i++) {
    const std::uint64_t share = std::uint64_t{slot_count} * backends[i].weight;
    quotas[i] = static_cast<std::uint32_t>(share / weight_sum);
    left -= quotas[i];
    const IpAddress& address = backends[i].address;
    remainders.push_back({share % weight_sum, identity_hash(address, Purpose::tie), address, i});
  }
  // Fewer slots are left than there are remainders above zero, so a backend of weight 0 never gets one.
  std::sort(remainders.begin(), remainders.end(), [](const Remainder& a, const Remainder& b) {
    if (a.size != b.size) return a.size > b.size;
    return a.tie != b.tie ? a.tie < b.tie : a.address < b.address;
  });
  for (std::uint32_t i = 0; i < left; i++) quotas[remainders[i].position]++;
  return quotas;
}

std::vector<SlotEntry> build_slot_table(std::span<const WeightedBackend> backends, std::uint32_t slot_count) {
  const std::vector<std::uint32_t> quotas = slot_quotas(backends, slot_count);
  std::vector<Claim> claims;
  std::uint64_t weight_sum = 0;
  std::uint64_t weight_max = 0;
  for (std::size_t i = 0; i < backends.size(); i++) {
    const auto& [address, weight] = backends[i];
    if (weight == 0) continue;
    const auto walk_at = static_cast<std::uint32_t>(identity_hash(address, Purpose::offset) % slot_count);
    const auto walk_skip =
        static_cast<std::uint32_t>(slot_count > 2 ? identity_hash(address, Purpose::skip) % (slot_count - 1) + 1 : 1);
    claims.push_back(
        {identity_hash(address, Purpose::draw), static_cast<std::uint32_t>(i), weight, quotas[i], walk_at, walk_skip});
    weight_sum += weight;
    weight_max = std::max<std::uint64_t>(weight_max, weight);
  }
  if (claims.empty()) return {};
  std::sort(claims.begin(), claims.end(), [&](const Claim& a, const Claim& b) {
    return backends[a.position].address < backends[b.position].address;
  });
  std::vector<SlotEntry> slots(slot_count, kFree);
  draw_slots(claims, weight_sum, weight_max, slots);
  walk_slots(claims, weight_max, slots);
  return slots;
}

}  // namespace guideway
