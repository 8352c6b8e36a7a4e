// The XDP program on an interface, found through the kernel: interface → program → its maps by name.
//
// Whoever wants to talk to a program that another process attached needs no path and no pin for it.
// Thread-safety: one thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/descriptor.h"

namespace guideway::bpf {

enum class XdpMode { native, generic };
const char* to_text(XdpMode mode);

// The index of a network interface of this network namespace. Throws std::runtime_error when there is none.
unsigned interface_index(const std::string& interface);

class AttachedProgram {
 public:
  // The XDP program on `interface`, whoever attached it; nullopt when there is none. Throws std::runtime_error when
  // there is no such interface or the kernel does not let us look.
  static std::optional<AttachedProgram> find(const std::string& interface);

  const std::string& name() const { return name_; }  // the kernel keeps 15 characters of it
  std::uint32_t id() const { return id_; }
  XdpMode mode() const { return mode_; }
  int fd() const { return program_.get(); }

  // The program's map of this name. Throws std::runtime_error when it has none.
  Descriptor map(const std::string& map_name) const;

  // Attaches the program again if it was taken off, and says whether it was. Throws std::runtime_error when another one
  // is in its place, or the kernel does not take it.
  bool restore() const;

  // Takes the program off the interface, unless another one has taken its place meanwhile. Throws std::runtime_error.
  void detach() const;

 private:
  std::string interface_;
  int index_ = 0;
  std::string name_;
  std::uint32_t id_ = 0;
  XdpMode mode_ = XdpMode::native;
  Descriptor program_;
  std::vector<std::uint32_t> map_ids_;
};

// The sum over all CPUs of each element of a per-CPU array of 64-bit counters. Throws std::runtime_error.
std::vector<std::uint64_t> read_counters(int map, std::uint32_t count);

}  // namespace guideway::bpf
