// The one thread's event loop: timers, readable descriptors, signals. Keeps Asio's headers out of everything that only
// waits; probes and the API use context() for their sockets.
//
// A Timer or Watch may be destroyed at any time, also from inside its own callback; it is never called afterwards.
// Thread-safety: one thread.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <vector>

namespace boost::asio {
class io_context;
}

namespace guideway::controlplane {

class EventLoop {
 public:
  EventLoop();
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  void run();   // until stop(); may be called again
  void stop();  // run() returns after the current callback, or at once if it comes next
  void on_signals(const std::vector<int>& signals, std::function<void(int signal)> on_signal);
  boost::asio::io_context& context();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Calls once, some time after start().
class Timer {
 public:
  Timer(EventLoop& loop, std::function<void()> on_expiry);
  ~Timer();
  Timer(Timer&&) noexcept;
  Timer& operator=(Timer&&) noexcept;
  void start(std::chrono::nanoseconds after);  // also moves an expiry that is pending
  void stop();
  bool pending() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

// Calls whenever a descriptor is readable (or at its end). The descriptor stays the caller's and must stay open.
class Watch {
 public:
  Watch(EventLoop& loop, int fd, std::function<void()> on_readable);
  ~Watch();
  Watch(Watch&&) noexcept;
  Watch& operator=(Watch&&) noexcept;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace guideway::controlplane
