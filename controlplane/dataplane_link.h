// The control plane's end of the hand-over (common/shm/handover.h): finds the data plane, keeps its stats region
// mapped, notices its end, tries again, for ever and quietly.
//
// A data plane whose connection ended may still be reading tables; only its pidfd proves that it is dead. Until then
// its pins hold back what the writer may reuse.
//
// Thread-safety: one thread.
#pragma once

#include <chrono>
#include <functional>
#include <list>
#include <optional>
#include <string>

#include "common/shm/handover.h"
#include "controlplane/event_loop.h"
#include "guideway/stats.h"

namespace guideway::controlplane {

class DataplaneLink {
 public:
  // `on_connected` hears of a data plane with sound stats; it may offer() at once. `on_lost` hears of its end.
  DataplaneLink(EventLoop& loop, std::string socket_path, std::function<void()> on_connected,
                std::function<void()> on_lost);

  void start();  // one try at once, then more while there is none: at first 100 ms apart

  bool connected() const { return current_ != nullptr; }
  std::string why_not() const { return why_not_; }
  std::uint32_t pid() const { return current_ ? current_->greeting.pid : 0; }
  // REQUIRES: connected().
  const StatsHeader& stats() const { return current_->stats(); }
  const Descriptor& tables_in_custody() const { return current_->greeting.tables; }

  // Hands over tables; on an error `why` says what is wrong. REQUIRES: connected().
  bool offer(const Descriptor& tables_read_only, std::string& why);

  // Over all data planes that are not proven dead, connected or not. kPinNone when there is none.
  std::uint64_t oldest_pin() const;

 private:
  struct Dataplane {
    shm::Greeting greeting;
    shm::Mapping memory;
    std::optional<Watch> connection_watch;
    std::optional<Watch> process_watch;
    const StatsHeader& stats() const { return *reinterpret_cast<const StatsHeader*>(memory.bytes().data()); }
  };

  void attempt();
  bool take(shm::Greeting greeting, std::string& why);
  void connection_ended();
  void forget_dead(const Dataplane* dataplane);
  void retry(std::string why);

  EventLoop& loop_;
  std::string path_;
  std::function<void()> on_connected_;
  std::function<void()> on_lost_;
  std::string why_not_ = "not tried yet";
  std::list<Dataplane> dataplanes_;  // all that may still read
  Dataplane* current_ = nullptr;
  Timer retry_timer_;
  std::chrono::milliseconds retry_after_;
};

}  // namespace guideway::controlplane
