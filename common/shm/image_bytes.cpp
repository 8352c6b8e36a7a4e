#include "common/shm/image_bytes.h"

#include "common/shm/tables_tree.h"

namespace guideway::shm {

std::uint64_t segment_bytes_for(const TableImage& image) {
  const std::vector<PoolRecord> pools(image.pools.size());
  const std::uint64_t root_and_pools = std::uint64_t{units_of(sizeof(GenerationRoot))} +
                                       units_of(static_cast<std::uint32_t>(pools_object(pools).size()));
  const std::uint64_t objects = units_of_objects(image, [](const ImageObjectPtr&) { return true; });
  return sizeof(TablesHeader) + (objects + 2 * root_and_pools) * kObjectUnitBytes;
}

}  // namespace guideway::shm
