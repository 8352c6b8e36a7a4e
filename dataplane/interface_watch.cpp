#include "dataplane/interface_watch.h"

#include <net/if.h>

#include <array>
#include <cerrno>
#include <exception>

#include "dataplane/log.h"
#include "dataplane/network_interface.h"

namespace guideway {
namespace {

constexpr std::chrono::seconds kProgramInterval{1};

}  // namespace

InterfaceWatch::InterfaceWatch(std::string where, std::string interface, unsigned index, bool has_program)
    : where_(std::move(where)), interface_(std::move(interface)), index_(index) {
  if (has_program) program_ = bpf::AttachedProgram::find(interface_);
}

PortState InterfaceWatch::look(std::chrono::steady_clock::time_point now) {
  const PortState state = look_at_interface();
  if (state != PortState::up || !program_) return state;
  if (now - program_looked_at_ >= kProgramInterval) {
    program_state_ = look_at_program();
    program_looked_at_ = now;
  }
  return program_state_;
}

PortState InterfaceWatch::look_at_interface() {
  std::array<char, IF_NAMESIZE> name{};
  if (lost_ || (if_indextoname(index_, name.data()) == nullptr && errno == ENXIO)) {
    lost_ = true;
    const bool replaced = if_nametoindex(interface_.c_str()) != 0;
    why_ = fmt::format(
        "interface {} {} guideway-dataplane, which opens interfaces only when it starts", interface_,
        replaced ? "was replaced by another one of that name; restart" : "is gone; make it again and restart");
    return replaced ? PortState::replaced : PortState::gone;
  }
  const InterfaceFlags flags = interface_flags(name.data());
  if (flags.running) return PortState::up;
  why_ = flags.up ? fmt::format("interface {} has no carrier; look at its cable and at the other end", interface_)
                  : fmt::format("interface {0} is down; bring it up with `ip link set {0} up`", interface_);
  return PortState::down;
}

PortState InterfaceWatch::look_at_program() {
  try {
    if (program_->restore())
      log::warning("{}: the XDP program \"{}\" had been taken off interface {}; it is attached again", where_,
                   program_->name(), interface_);
    return PortState::up;
  } catch (const std::exception& e) {
    why_ = e.what();
    return PortState::not_steered;
  }
}

}  // namespace guideway
