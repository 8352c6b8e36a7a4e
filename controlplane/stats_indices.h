// Which element of the stats region counts for whom. A number once given stays with its VIP or backend over
// generations, reloads and restarts of the control plane (those of backends also of both programs: backend_numbers.h);
// a number that became free is given again as late as possible, because the counts under it go on.
//
// Thread-safety: plain value.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <vector>

namespace guideway::controlplane {

inline constexpr std::uint32_t kNotCounted = 0xffffffff;  // the region is full: its traffic is not counted

template <typename Key>
class StatsIndices {
 public:
  // Takes over what an earlier control plane gave; the first holder of a number keeps it.
  void recover(const Key& key, std::uint32_t index) {
    if (taken_.insert(index).second && !by_key_.emplace(key, index).second) taken_.erase(index);
    next_ = index >= next_ ? index + 1 : next_;
  }

  // Gives numbers below `capacity` to those in `keys` that have none, and takes back those of all others.
  void assign(const std::vector<Key>& keys, std::uint32_t capacity) {
    const std::set<Key> wanted(keys.begin(), keys.end());
    for (auto it = by_key_.begin(); it != by_key_.end();) {
      const bool keep = wanted.contains(it->first) && it->second < capacity;
      if (!keep) taken_.erase(it->second);
      it = keep ? std::next(it) : by_key_.erase(it);
    }
    for (const Key& key : keys)
      if (!by_key_.contains(key) && taken_.size() < capacity) by_key_.emplace(key, take(capacity));
  }

  std::uint32_t at(const Key& key) const {
    const auto found = by_key_.find(key);
    return found == by_key_.end() ? kNotCounted : found->second;
  }
  const std::map<Key, std::uint32_t>& all() const { return by_key_; }

 private:
  // REQUIRES: a number below `capacity` is free.
  std::uint32_t take(std::uint32_t capacity) {
    for (;; next_++) {
      if (next_ >= capacity) next_ = 0;
      if (taken_.insert(next_).second) return next_++;
    }
  }

  std::map<Key, std::uint32_t> by_key_;
  std::set<std::uint32_t> taken_;
  std::uint32_t next_ = 0;
};

}  // namespace guideway::controlplane
