#include "common/shm/segment_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

namespace guideway::shm {
namespace {

constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

[[noreturn]] void fail(const std::string& what) {
  throw std::system_error(errno, std::generic_category(), what);
}

}  // namespace

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
  if (this != &other) {
    if (fd_ >= 0) close(fd_);
    fd_ = other.release();
  }
  return *this;
}

Descriptor::~Descriptor() {
  if (fd_ >= 0) close(fd_);
}

Descriptor Descriptor::duplicate() const {
  return Descriptor(fd_ < 0 ? -1 : fcntl(fd_, F_DUPFD_CLOEXEC, 3));
}

Mapping::Mapping(Mapping&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}

Mapping& Mapping::operator=(Mapping&& other) noexcept {
  std::swap(bytes_, other.bytes_);
  return *this;
}

Mapping::~Mapping() {
  if (!bytes_.empty()) munmap(bytes_.data(), bytes_.size());
}

Descriptor create_sealed_memory(const std::string& name, std::size_t size_bytes) {
  const auto page_bytes = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  const std::size_t rounded_bytes = (size_bytes + page_bytes - 1) / page_bytes * page_bytes;
  Descriptor fd(memfd_create(name.c_str(), MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd.valid()) fail("cannot create shared memory " + name);
  if (fchmod(fd.get(), 0600) != 0) fail("cannot protect shared memory " + name);
  if (ftruncate(fd.get(), static_cast<off_t>(rounded_bytes)) != 0) fail("cannot size shared memory " + name);
  if (fcntl(fd.get(), F_ADD_SEALS, kSeals) != 0) fail("cannot seal shared memory " + name);
  return fd;
}

Descriptor reopen(const Descriptor& fd, Access access) {
  const std::string path = "/proc/self/fd/" + std::to_string(fd.get());
  Descriptor opened(open(path.c_str(), (access == Access::read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC));
  if (!opened.valid()) fail("cannot re-open shared memory");
  return opened;
}

Mapping map_whole(const Descriptor& fd, Access access) {
  struct stat status {};
  if (fstat(fd.get(), &status) != 0 || status.st_size <= 0) return {};
  const auto size_bytes = static_cast<std::size_t>(status.st_size);
  const int protection = access == Access::read_only ? PROT_READ : PROT_READ | PROT_WRITE;
  void* memory = mmap(nullptr, size_bytes, protection, MAP_SHARED | MAP_POPULATE, fd.get(), 0);
  if (memory == MAP_FAILED) return {};
  // Best effort: without the right to lock so much, the pages stay in memory as long as there is enough of it.
  (void)mlock(memory, size_bytes);
  return Mapping({static_cast<std::byte*>(memory), size_bytes});
}

bool is_sealed(const Descriptor& fd) {
  const int seals = fcntl(fd.get(), F_GET_SEALS);
  return seals >= 0 && (seals & kSeals) == kSeals;
}

}  // namespace guideway::shm
