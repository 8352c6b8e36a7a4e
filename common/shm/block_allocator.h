// Free space of a segment, in units of 64 bytes. Lives in the writer's own heap: the segment itself keeps no allocator
// state, so there is none to repair after a crash.
//
// First fit by address with coalescing: what is used gathers at the low end, and one large block stays free above it.
// Thread-safety: one thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <map>
#include <optional>

namespace guideway::shm {

struct Block {
  std::uint32_t offset_units = 0;
  std::uint32_t size_units = 0;
};

class BlockAllocator {
 public:
  // Nothing is free until it is released.
  std::optional<Block> allocate(std::uint32_t size_units) {
    for (auto it = free_.begin(); it != free_.end(); ++it) {
      const auto [offset_units, found_units] = *it;
      if (found_units < size_units) continue;
      free_.erase(it);
      if (found_units > size_units) free_.emplace(offset_units + size_units, found_units - size_units);
      free_units_ -= size_units;
      return Block{offset_units, size_units};
    }
    return std::nullopt;
  }

  // REQUIRES: no unit of it is free.
  void release(Block block) {
    if (block.size_units == 0) return;
    free_units_ += block.size_units;
    auto after = free_.lower_bound(block.offset_units);
    if (after != free_.end() && block.offset_units + block.size_units == after->first) {
      block.size_units += after->second;
      after = free_.erase(after);
    }
    if (after != free_.begin()) {
      const auto before = std::prev(after);
      if (before->first + before->second == block.offset_units) {
        before->second += block.size_units;
        return;
      }
    }
    free_.emplace(block.offset_units, block.size_units);
  }

  std::uint64_t free_units() const { return free_units_; }
  std::uint32_t largest_units() const {
    std::uint32_t largest = 0;
    for (const auto& [offset_units, size_units] : free_) largest = std::max(largest, size_units);
    return largest;
  }

 private:
  std::map<std::uint32_t, std::uint32_t> free_;  // offset → size
  std::uint64_t free_units_ = 0;
};

}  // namespace guideway::shm
