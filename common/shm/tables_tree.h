// What one generation says, with references instead of objects, and the two objects that say so in shared memory: the
// array of its pools, and its root. Private to the writer. Thread-safety: none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "guideway/tables.h"

namespace guideway::shm {

struct Tree {
  FlowHashKeys hash_keys{};
  std::uint64_t config_digest = 0;
  ObjectRef vips{}, index4{}, index6{}, directory{}, outers{};
  std::vector<PoolRecord> pools;

  template <typename Visitor>
  void for_each_ref(Visitor visit) {
    visit(vips);
    visit(index4);
    visit(index6);
    visit(directory);
    visit(outers);
    for (PoolRecord& pool : pools) {
      visit(pool.slots);
      visit(pool.backends);
      visit(pool.quic);
      visit(pool.history);
    }
  }
};

std::vector<std::byte> pools_object(const std::vector<PoolRecord>& pools);
GenerationRoot root_object(Generation generation, const Tree& tree, const ObjectRef& pools,
                           std::uint64_t published_unix_ns);

}  // namespace guideway::shm
