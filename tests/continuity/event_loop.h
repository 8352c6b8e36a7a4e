// The parts of epoll that token_client and token_server share.
//
// Thread-safety: one thread.
#pragma once

#include <sys/epoll.h>
#include <sys/resource.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <span>
#include <system_error>

#include "common/descriptor.h"

namespace guideway::continuity {

// REQUIRES: `result` of a system call. Throws if it failed.
inline int must(int result, const char* what) {
  if (result < 0) throw std::system_error(errno, std::generic_category(), what);
  return result;
}

// As many open files as this process may have: a connection is one.
inline void allow_many_files() {
  rlimit limit{};
  must(getrlimit(RLIMIT_NOFILE, &limit), "getrlimit");
  limit.rlim_cur = limit.rlim_max;
  must(setrlimit(RLIMIT_NOFILE, &limit), "setrlimit");
}

class EventLoop {
 public:
  EventLoop() : epoll_(must(epoll_create1(EPOLL_CLOEXEC), "epoll_create1")) {}

  void add(int descriptor, std::uint32_t events, std::uint64_t tag) { control(EPOLL_CTL_ADD, descriptor, events, tag); }
  void change(int descriptor, std::uint32_t events, std::uint64_t tag) {
    control(EPOLL_CTL_MOD, descriptor, events, tag);
  }

  // What has happened; nothing when `timeout_ms` has passed. -1: waits for ever.
  std::span<const epoll_event> wait(int timeout_ms) {
    const int count = epoll_wait(epoll_.get(), events_.data(), static_cast<int>(events_.size()), timeout_ms);
    return {events_.data(), count < 0 ? 0 : static_cast<std::size_t>(count)};
  }

 private:
  void control(int operation, int descriptor, std::uint32_t events, std::uint64_t tag) {
    epoll_event event{};
    event.events = events;
    event.data.u64 = tag;
    must(epoll_ctl(epoll_.get(), operation, descriptor, &event), "epoll_ctl");
  }

  Descriptor epoll_;
  std::array<epoll_event, 512> events_{};
};

}  // namespace guideway::continuity
