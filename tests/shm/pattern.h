// Images that say of themselves what they must look like, so that a reader can tell a torn or mixed generation apart
// from a whole one even where its checksums fit.
//
// Each pool is made from a seed, which its first backend carries; every other byte of the pool follows from it. The
// generation's config_digest follows from the seeds of all its pools.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "common/tables/image.h"
#include "guideway/tables_view.h"

namespace guideway::shm {

using PoolSeed = std::uint32_t;

// Sebastiano Vigna's splitmix64: one step, as a hash and as a generator.
constexpr std::uint64_t mix(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() { return mix(state_++); }
  std::uint32_t below(std::uint32_t bound) { return static_cast<std::uint32_t>(next() % bound); }

 private:
  std::uint64_t state_;
};

// Makes images from seeds; pools whose seed appeared lately are shared, as ImageBuilder does.
class PatternBuilder {
 public:
  // slot_count 0: each pool's seed says how many slots it has.
  explicit PatternBuilder(std::uint32_t slot_count = 0) : slot_count_(slot_count) {}
  TableImage build(const std::vector<PoolSeed>& seeds);

 private:
  std::uint32_t slot_count_;
  std::map<PoolSeed, TableImage::Pool> lately_;
};

// What is wrong with the generation; empty if it is what its pattern says. Reads every object.
std::string check_pattern(const TablesView& view);

}  // namespace guideway::shm
