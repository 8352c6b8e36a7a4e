#include "bpf/steer_program.h"

#include <sys/mman.h>
#include <xsk_steer.skel.h>

#include <cerrno>
#include <stdexcept>
#include <system_error>

#include "bpf/attached_program.h"
#include "bpf/steer_map.h"

namespace guideway::bpf {

SteerProgram::SteerProgram() : memory_(memfd_create("guideway_xsk_steer", MFD_CLOEXEC)) {
  if (!memory_.valid()) throw std::system_error(errno, std::generic_category(), "memfd for the steering program");
  std::size_t size_bytes = 0;
  const auto* bytes = static_cast<const char*>(xsk_steer_bpf::elf_bytes(&size_bytes));
  while (size_bytes > 0) {
    const ssize_t written = write(memory_.get(), bytes, size_bytes);
    if (written < 0) throw std::system_error(errno, std::generic_category(), "writing the steering program");
    bytes += written;
    size_bytes -= static_cast<std::size_t>(written);
  }
}

std::string SteerProgram::path() const {
  return "/proc/self/fd/" + std::to_string(memory_.get());
}

bool remove_left_over_steering(const std::string& interface) {
  const auto program = AttachedProgram::find(interface);
  if (!program) return false;
  if (program->name() != kSteerProgramName)
    throw std::runtime_error(interface + " has the XDP program \"" + program->name() +
                             "\", and an interface takes only one; remove it with `ip link set dev " + interface +
                             " xdp off`, or give the data plane another interface");
  program->detach();
  return true;
}

}  // namespace guideway::bpf
