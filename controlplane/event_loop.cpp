#include "controlplane/event_loop.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>

namespace guideway::controlplane {

namespace asio = boost::asio;
using boost::system::error_code;

// ---- the loop ------------------------------------------------------------------------------------------------------

struct EventLoop::Impl {
  asio::io_context context{1};
  asio::signal_set signals{context};
  std::function<void(int)> on_signal;

  void await_signal() {
    signals.async_wait([this](const error_code& error, int signal) {
      if (error) return;
      on_signal(signal);
      await_signal();
    });
  }
};

EventLoop::EventLoop() : impl_(std::make_unique<Impl>()) {}
EventLoop::~EventLoop() = default;

void EventLoop::run() {
  const auto work = asio::make_work_guard(impl_->context);
  impl_->context.run();
  impl_->context.restart();
}
void EventLoop::stop() {
  impl_->context.stop();
}
void EventLoop::on_signals(const std::vector<int>& signals, std::function<void(int)> on_signal) {
  for (const int signal : signals) impl_->signals.add(signal);
  impl_->on_signal = std::move(on_signal);
  impl_->await_signal();
}
asio::io_context& EventLoop::context() {
  return impl_->context;
}

// ---- timers --------------------------------------------------------------------------------------------------------

struct Timer::Impl : std::enable_shared_from_this<Timer::Impl> {
  Impl(EventLoop& loop, std::function<void()> fn) : timer(loop.context()), on_expiry(std::move(fn)) {}

  void start(std::chrono::nanoseconds after) {
    const std::uint64_t this_start = ++starts;
    pending = true;
    timer.expires_after(after);
    // An expiry that was already queued when start() or stop() was called again must not call.
    timer.async_wait([weak = weak_from_this(), this_start](const error_code& error) {
      const auto self = weak.lock();
      if (error || !self || self->starts != this_start) return;
      self->pending = false;
      self->on_expiry();
    });
  }
  void stop() {
    starts++;
    pending = false;
    timer.cancel();
  }

  asio::steady_timer timer;
  std::function<void()> on_expiry;
  std::uint64_t starts = 0;
  bool pending = false;
};

Timer::Timer(EventLoop& loop, std::function<void()> on_expiry)
    : impl_(std::make_shared<Impl>(loop, std::move(on_expiry))) {}
// The end of Impl cancels a wait that is under way.
Timer::~Timer() = default;
Timer::Timer(Timer&&) noexcept = default;
Timer& Timer::operator=(Timer&&) noexcept = default;
void Timer::start(std::chrono::nanoseconds after) {
  impl_->start(after);
}
void Timer::stop() {
  impl_->stop();
}
bool Timer::pending() const {
  return impl_->pending;
}

// ---- descriptors ---------------------------------------------------------------------------------------------------

struct Watch::Impl : std::enable_shared_from_this<Watch::Impl> {
  Impl(EventLoop& loop, int fd, std::function<void()> fn)
      : descriptor(loop.context(), fd), on_readable(std::move(fn)) {}
  ~Impl() { release(); }

  void wait() {
    descriptor.async_wait(asio::posix::descriptor_base::wait_read, [weak = weak_from_this()](const error_code& error) {
      const auto self = weak.lock();
      if (error || !self || !self->descriptor.is_open()) return;
      self->on_readable();
      if (self->descriptor.is_open()) self->wait();
    });
  }
  void release() {
    if (descriptor.is_open()) descriptor.release();
  }

  asio::posix::stream_descriptor descriptor;
  std::function<void()> on_readable;
};

Watch::Watch(EventLoop& loop, int fd, std::function<void()> on_readable)
    : impl_(std::make_shared<Impl>(loop, fd, std::move(on_readable))) {
  impl_->wait();
}
Watch::~Watch() {
  if (impl_) impl_->release();
}
Watch::Watch(Watch&&) noexcept = default;
Watch& Watch::operator=(Watch&& other) noexcept {
  if (this != &other) {
    if (impl_) impl_->release();
    impl_ = std::move(other.impl_);
  }
  return *this;
}

}  // namespace guideway::controlplane
