#include "common/shm/unit_allocator.h"

#include <iterator>

namespace guideway::shm {

std::optional<Extent> UnitAllocator::allocate(std::uint32_t units) {
  const auto fitting = by_size_.lower_bound({units, 0});
  if (fitting == by_size_.end()) return std::nullopt;
  const Extent part{fitting->second, units};
  take(part);
  return part;
}

std::optional<Extent> UnitAllocator::allocate_below(std::uint32_t units, std::uint32_t limit_units) {
  for (const auto& [offset, hole_units] : holes_) {
    if (offset + units > limit_units) break;
    if (hole_units < units) continue;
    const Extent part{offset, units};
    take(part);
    return part;
  }
  return std::nullopt;
}

bool UnitAllocator::take(Extent part) {
  auto after = holes_.upper_bound(part.offset_units);
  if (after == holes_.begin()) return false;
  const auto at = std::prev(after);
  const Extent hole{at->first, at->second};
  if (part.end() > hole.end()) return false;
  remove_hole(hole);
  if (part.offset_units > hole.offset_units) add_hole({hole.offset_units, part.offset_units - hole.offset_units});
  if (part.end() < hole.end()) add_hole({part.end(), hole.end() - part.end()});
  return true;
}

void UnitAllocator::release(Extent part) {
  const auto after = holes_.lower_bound(part.offset_units);
  if (after != holes_.end() && part.end() == after->first) {
    const Extent next{after->first, after->second};
    remove_hole(next);
    part.units += next.units;
  }
  const auto again = holes_.lower_bound(part.offset_units);
  if (again != holes_.begin()) {
    const Extent previous{std::prev(again)->first, std::prev(again)->second};
    if (previous.end() == part.offset_units) {
      remove_hole(previous);
      part = {previous.offset_units, previous.units + part.units};
    }
  }
  add_hole(part);
}

void UnitAllocator::add_hole(Extent hole) {
  if (hole.units == 0) return;
  holes_.emplace(hole.offset_units, hole.units);
  by_size_.emplace(hole.units, hole.offset_units);
  free_units_ += hole.units;
}

void UnitAllocator::remove_hole(Extent hole) {
  holes_.erase(hole.offset_units);
  by_size_.erase({hole.units, hole.offset_units});
  free_units_ -= hole.units;
}

}  // namespace guideway::shm
