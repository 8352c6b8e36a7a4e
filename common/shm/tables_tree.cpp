#include "common/shm/tables_tree.h"

#include <cstring>
#include <span>

#include "guideway/tables_view.h"

namespace guideway::shm {

std::vector<std::byte> pools_object(const std::vector<PoolRecord>& pools) {
  const std::uint32_t elements_at = elements_offset_bytes(ObjectKind::pools);
  std::vector<std::byte> bytes(elements_at + pools.size() * sizeof(PoolRecord));
  ObjectHeader header{0, ObjectKind::pools, static_cast<std::uint32_t>(pools.size()),
                      static_cast<std::uint32_t>(bytes.size()), 0};
  std::memcpy(bytes.data(), &header, sizeof header);
  if (!pools.empty()) std::memcpy(bytes.data() + elements_at, pools.data(), pools.size() * sizeof(PoolRecord));
  header.checksum = object_checksum(bytes);
  std::memcpy(bytes.data(), &header.checksum, sizeof header.checksum);
  return bytes;
}

GenerationRoot root_object(Generation generation, const Tree& tree, const ObjectRef& pools,
                           std::uint64_t published_unix_ns) {
  GenerationRoot root{};
  root.header = {0, ObjectKind::root, 1, sizeof(GenerationRoot), 0};
  root.generation = generation;
  root.config_digest = tree.config_digest;
  root.published_unix_ns = published_unix_ns;
  root.hash_keys = tree.hash_keys;
  root.vips = tree.vips;
  root.index4 = tree.index4;
  root.index6 = tree.index6;
  root.pools = pools;
  root.directory = tree.directory;
  root.outers = tree.outers;
  root.header.checksum = object_checksum(std::as_bytes(std::span(&root, 1)));
  return root;
}

}  // namespace guideway::shm
