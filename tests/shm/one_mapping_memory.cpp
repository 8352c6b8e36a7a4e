// segment_memory.h for ThreadSanitizer: all mappings of one segment are one mapping, because ThreadSanitizer tells
// accesses apart by their virtual address, and would see none of the hand-over between two mappings of the same memory.

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <map>
#include <mutex>

#include "common/shm/segment_memory.h"

namespace guideway::shm {
namespace {

std::mutex mutex;
std::map<ino_t, std::span<std::byte>> mappings;

}  // namespace

Mapping::Mapping(Mapping&& other) noexcept : bytes_(other.bytes_) {}
Mapping& Mapping::operator=(Mapping&& other) noexcept {
  bytes_ = other.bytes_;
  return *this;
}
Mapping::~Mapping() {}

Descriptor create_sealed_memory(const std::string& name, std::size_t size_bytes) {
  Descriptor fd(memfd_create(name.c_str(), MFD_CLOEXEC));
  if (ftruncate(fd.get(), static_cast<off_t>(size_bytes)) != 0) return {};
  return fd;
}
Descriptor reopen(const Descriptor& fd, Access) {
  return Descriptor(open(("/proc/self/fd/" + std::to_string(fd.get())).c_str(), O_RDWR | O_CLOEXEC));
}
Mapping map_whole(const Descriptor& fd, Access) {
  struct stat status {};
  if (fstat(fd.get(), &status) != 0) return {};
  const std::lock_guard lock(mutex);
  std::span<std::byte>& bytes = mappings[status.st_ino];
  if (bytes.empty()) {
    const auto size = static_cast<std::size_t>(status.st_size);
    void* at = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
    bytes = {static_cast<std::byte*>(at), size};
  }
  return Mapping(bytes);
}
std::size_t memory_bytes(const Descriptor& fd) {
  struct stat status {};
  return fstat(fd.get(), &status) == 0 ? static_cast<std::size_t>(status.st_size) : 0;
}
bool is_sealed(const Descriptor&) {
  return true;
}

}  // namespace guideway::shm
