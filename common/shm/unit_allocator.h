// Which parts of a segment are free, in units of kObjectUnitBytes. Private to the writer: nothing of it lies in shared
// memory, so a killed writer leaves nothing to repair.
//
// Best fit: an object takes the smallest hole it fits, and neighbouring holes become one.
// Thread-safety: none.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <utility>

namespace guideway::shm {

struct Extent {
  std::uint32_t offset_units = 0;
  std::uint32_t units = 0;
  std::uint32_t end() const { return offset_units + units; }
};

class UnitAllocator {
 public:
  // All of `whole` is free.
  explicit UnitAllocator(Extent whole) { release(whole); }

  std::optional<Extent> allocate(std::uint32_t units);
  // The lowest place that lies completely below `limit_units`.
  std::optional<Extent> allocate_below(std::uint32_t units, std::uint32_t limit_units);
  // Takes exactly this part; false if some of it is not free.
  bool take(Extent part);
  // REQUIRES: `part` is not free.
  void release(Extent part);

  const std::map<std::uint32_t, std::uint32_t>& holes() const { return holes_; }
  std::uint64_t free_units() const { return free_units_; }
  std::uint32_t largest_units() const { return by_size_.empty() ? 0 : by_size_.rbegin()->first; }

 private:
  void add_hole(Extent hole);
  void remove_hole(Extent hole);

  std::map<std::uint32_t, std::uint32_t> holes_;               // offset → units
  std::set<std::pair<std::uint32_t, std::uint32_t>> by_size_;  // (units, offset)
  std::uint64_t free_units_ = 0;
};

}  // namespace guideway::shm
