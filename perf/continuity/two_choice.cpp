#include "perf/continuity/two_choice.h"

#include <utility>

namespace guideway::perf {
namespace {

constexpr std::size_t kSlots =
    4096;  // of 65,536 there: fewer are quicker to fill, and as good for what is counted here

// SplitMix64, Steele et al., "Fast splittable pseudorandom number generators", OOPSLA 2014.
std::uint64_t score(std::uint64_t slot, std::uint64_t member) {
  std::uint64_t mixed = slot << 32 ^ (member + 1) * 0x9e3779b97f4a7c15;
  mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9;
  mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111eb;
  return mixed ^ mixed >> 31;
}

TwoChoice::Slot best_two(std::uint64_t slot, const std::vector<Member>& members) {
  TwoChoice::Slot best;
  std::uint64_t first_score = 0;
  std::uint64_t second_score = 0;
  for (std::uint16_t m = 0; m < members.size(); m++) {
    if (!members[m].present) continue;
    const std::uint64_t of_member = score(slot, m);
    if (of_member > first_score) {
      best = {m, best.first};
      second_score = first_score;
      first_score = of_member;
    } else if (of_member > second_score) {
      best.second = m;
      second_score = of_member;
    }
  }
  if (!members[best.first].takes_new() && members[best.second].takes_new()) std::swap(best.first, best.second);
  return best;
}

}  // namespace

void TwoChoice::update(const std::vector<Member>& members) {
  slots_.resize(kSlots);
  for (std::size_t slot = 0; slot < kSlots; slot++) slots_[slot] = best_two(slot, members);
}

}  // namespace guideway::perf
