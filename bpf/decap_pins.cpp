#include "bpf/decap_pins.h"

#include <bpf/bpf.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <cerrno>
#include <stdexcept>
#include <system_error>

namespace guideway::bpf {
namespace {

constexpr const char* kBpfFileSystem = "/sys/fs/bpf";

void pin(int fd, const std::filesystem::path& path) {
  if (bpf_obj_pin(fd, path.c_str()) != 0)
    throw std::runtime_error("cannot pin " + path.string() + ": " + std::generic_category().message(errno));
}

}  // namespace

void require_bpf_file_system() {
  struct statfs info {};
  if (statfs(kBpfFileSystem, &info) != 0 || info.f_type != BPF_FS_MAGIC)
    throw std::runtime_error(std::string("no BPF file system at ") + kBpfFileSystem +
                             ", so nothing can be pinned; mount it with `mount -t bpf bpf " + kBpfFileSystem +
                             "`, or leave out --pin, which decapsulation does not need");
}

std::filesystem::path decap_pin_directory(const std::string& interface) {
  struct stat space {};
  if (stat("/proc/self/ns/net", &space) != 0)
    throw std::runtime_error(std::string("cannot look at /proc/self/ns/net: ") +
                             std::generic_category().message(errno));
  return std::filesystem::path(kBpfFileSystem) / "guideway" / std::to_string(space.st_ino) / interface;
}

void pin_decap(const AttachedProgram& program, const std::string& interface) {
  const auto directory = decap_pin_directory(interface);
  std::filesystem::remove_all(directory);
  std::filesystem::create_directories(directory);
  pin(program.fd(), directory / "program");
  for (const char* map : {"sources", "locals", "config", "counters"}) pin(program.map(map).get(), directory / map);
}

bool unpin_decap(const std::string& interface) {
  const auto directory = decap_pin_directory(interface);
  const bool were_there = std::filesystem::remove_all(directory) > 0;
  // The directories above go when the last interface does.
  std::error_code not_empty;
  std::filesystem::remove(directory.parent_path(), not_empty);
  std::filesystem::remove(directory.parent_path().parent_path(), not_empty);
  return were_there;
}

}  // namespace guideway::bpf
