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

[[noreturn]] void throw_errno(const std::string& sentence) {
  throw std::system_error(errno, std::generic_category(), sentence);
}

std::size_t round_up_to_page(std::size_t bytes) {
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  return (bytes + page - 1) / page * page;
}

constexpr std::size_t kLargePageBytes = std::size_t{2} << 20;

// The shared mapping of `fd`, where a large page can be; MAP_FAILED if it cannot be mapped.
void* map_aligned(const Descriptor& fd, std::size_t size_bytes, int protection) {
  constexpr int kFlags = MAP_SHARED | MAP_POPULATE;
  if (size_bytes < kLargePageBytes) return mmap(nullptr, size_bytes, protection, kFlags, fd.get(), 0);
  // More address space than is needed, of which what is beside the mapping is given back.
  const std::size_t room_bytes = round_up_to_page(size_bytes) + kLargePageBytes;
  void* room = mmap(nullptr, room_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (room == MAP_FAILED) return MAP_FAILED;
  auto* const begin = static_cast<std::byte*>(room);
  const std::size_t before = -reinterpret_cast<std::uintptr_t>(room) % kLargePageBytes;
  if (before > 0) munmap(begin, before);
  munmap(begin + before + round_up_to_page(size_bytes), kLargePageBytes - before);
  void* at = mmap(begin + before, size_bytes, protection, kFlags | MAP_FIXED, fd.get(), 0);
  if (at == MAP_FAILED) munmap(begin + before, round_up_to_page(size_bytes));
  return at;
}

// Tables of megabytes take few entries of the TLB then. Since Linux 6.1 large pages are given whatever the host's
// shmem_enabled says (madvise(2), MADV_COLLAPSE), unless that is `deny`; where there are none, nothing happens. Whoever
// made the memory asks first, so that no page moves below a worker.
void ask_for_large_pages(void* at, std::size_t size_bytes) {
#if !defined(MADV_COLLAPSE)
  constexpr int MADV_COLLAPSE = 25;  // Linux 6.1; the C library is older
#endif
  if (size_bytes < kLargePageBytes) return;
  if (madvise(at, size_bytes, MADV_HUGEPAGE) == 0) madvise(at, size_bytes, MADV_COLLAPSE);
}

}  // namespace

Mapping::Mapping(Mapping&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}

Mapping& Mapping::operator=(Mapping&& other) noexcept {
  if (this != &other) {
    if (valid()) munmap(bytes_.data(), bytes_.size());
    bytes_ = std::exchange(other.bytes_, {});
  }
  return *this;
}

Mapping::~Mapping() {
  if (valid()) munmap(bytes_.data(), bytes_.size());
}

Descriptor create_sealed_memory(const std::string& name, std::size_t size_bytes) {
  Descriptor fd(memfd_create(name.c_str(), MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd.valid()) throw_errno("cannot create shared memory '" + name + "'");
  const std::size_t size = round_up_to_page(size_bytes);
  if (const int error = reserve(fd, size); error != 0)
    throw std::system_error(error, std::generic_category(),
                            "cannot reserve " + std::to_string(size) + " bytes of shared memory for '" + name + "'");
  if (fchmod(fd.get(), S_IRUSR | S_IWUSR) != 0) throw_errno("cannot restrict shared memory '" + name + "' to its user");
  if (fcntl(fd.get(), F_ADD_SEALS, kSeals) != 0) throw_errno("cannot seal shared memory '" + name + "'");
  return fd;
}

int reserve(const Descriptor& fd, std::size_t size_bytes) {
  for (;;) {
    // The memory file system of Linux 6.1 gives up at any signal, and undoes what it has done.
    const int error = posix_fallocate(fd.get(), 0, static_cast<off_t>(size_bytes));
    if (error != EINTR) return error;
  }
}

Descriptor reopen(const Descriptor& fd, Access access) {
  const std::string path = "/proc/self/fd/" + std::to_string(fd.get());
  Descriptor again(open(path.c_str(), (access == Access::read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC));
  if (!again.valid()) throw_errno("cannot open shared memory again through " + path);
  return again;
}

Mapping map_whole(const Descriptor& fd, Access access) {
  const std::size_t size = memory_bytes(fd);
  if (size == 0) return {};
  const int protection = access == Access::read_only ? PROT_READ : PROT_READ | PROT_WRITE;
  void* at = map_aligned(fd, size, protection);
  if (at == MAP_FAILED) return {};
  ask_for_large_pages(at, size);
  mlock(at, size);  // where RLIMIT_MEMLOCK allows; without it the pages may be swapped out, nothing worse
  return Mapping({static_cast<std::byte*>(at), size});
}

std::size_t memory_bytes(const Descriptor& fd) {
  struct stat status {};
  return fstat(fd.get(), &status) == 0 && status.st_size > 0 ? static_cast<std::size_t>(status.st_size) : 0;
}

bool is_sealed(const Descriptor& fd) {
  const int seals = fcntl(fd.get(), F_GET_SEALS);
  return seals >= 0 && (seals & kSeals) == kSeals;
}

}  // namespace guideway::shm
