// Sealed memfd segments: creating and mapping.
//
// A segment's memfd is sealed against shrinking, growing and further sealing, mode 0600. The creator hands others a
// read-only descriptor; a restarted writer (same user) re-opens it for writing. Mappings are pre-faulted and locked,
// because seals do not stop hole punching and a worker must never take a page fault.
//
// Ownership: a Mapping owns its pages and unmaps them on destruction. Thread-safety: none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "common/descriptor.h"
#include "guideway/segment.h"

namespace guideway::shm {

enum class Access { read_only, read_write };

class Mapping {
 public:
  Mapping() = default;
  Mapping(Mapping&& other) noexcept;
  Mapping& operator=(Mapping&& other) noexcept;
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  ~Mapping();

  std::span<std::byte> bytes() const { return bytes_; }
  bool valid() const { return !bytes_.empty(); }

 private:
  friend Mapping map_whole(const Descriptor&, Access);
  explicit Mapping(std::span<std::byte> bytes) : bytes_(bytes) {}
  std::span<std::byte> bytes_;
};

// Creates a sealed, zeroed segment of `size_bytes` (rounded up to pages) named `name` in /proc/PID/maps.
// Throws std::system_error.
Descriptor create_sealed_memory(const std::string& name, std::size_t size_bytes);

// Makes a file on a memory file system so large, with all of its pages: a machine that is short of memory says so here,
// not by a fault in a worker. Returns 0 or an errno.
int reserve(const Descriptor& fd, std::size_t size_bytes);

// A second descriptor of the same memory with other access (through /proc/self/fd). Throws std::system_error, for
// example EACCES when the memory belongs to another user.
Descriptor reopen(const Descriptor& fd, Access access);

// Maps all of it, pre-faulted, locked where the limit allows. An invalid Mapping when it cannot be mapped.
Mapping map_whole(const Descriptor& fd, Access access);

// 0 when it cannot be told.
std::size_t memory_bytes(const Descriptor& fd);

// Whether the memory can no longer shrink or grow.
bool is_sealed(const Descriptor& fd);

}  // namespace guideway::shm
