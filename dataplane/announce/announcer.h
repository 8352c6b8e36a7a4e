// Says to the BGP daemon of this host which VIPs this host serves. It is the forwarding process that speaks, so its
// death closes the connection and takes the routes with it, also when the control plane is dead; the death of the
// control plane alone changes nothing, because what to announce lies in the tables (kVipAnnounce).
//
//   tables in force ─┐
//   workers follow ──┼─► prefixes_to_announce() ─► bgp::Session ─► loopback TCP ─► BIRD ─► routers
//   workers alive ───┘
//
// One non-blocking socket: connects to config.peer from config.source, and after an error again with a back-off of
// 0.2 … 2 s. Nothing here blocks, except shutdown() for at most 200 ms.
//
// Thread-safety: one thread, the data plane's main core; never a worker. It allocates.
#pragma once

#include <poll.h>

#include <chrono>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/config/config.h"
#include "dataplane/announce/bgp_session.h"
#include "guideway/units.h"

namespace guideway {

struct TablesView;

// The policy. Of what is announced now, all stays that is flagged in the view in force; all flagged prefixes are
// announced once every worker follows that view; nothing is announced when the data plane is not alive or has no view.
// Several VIPs of one prefix count once. `announced` and the result are sorted.
std::vector<IpPrefix> prefixes_to_announce(std::span<const IpPrefix> announced, const TablesView* view,
                                           bool workers_follow, bool alive);

class Announcer {
 public:
  explicit Announcer(const config::Bgp& config);
  ~Announcer();
  Announcer(const Announcer&) = delete;
  Announcer& operator=(const Announcer&) = delete;

  // What the main core sees: the view in force, whether every worker follows it and gets its packets, whether every
  // worker's heartbeat is fresh and a port is up. Costs a few comparisons if nothing changed. What has to be said is
  // said by the next run().
  void update(const TablesView* view, bool workers_follow, bool alive);

  // Socket and timers; called every millisecond, or when fd() has one of events() and at least every 100 ms.
  void run(std::chrono::steady_clock::time_point now);
  int fd() const { return fd_; }  // -1 while there is no connection; another one after each reconnect
  short events() const;

  SpeakerState state() const;
  // One sentence about what keeps VIPs from being announced; empty if nothing does.
  std::string_view error() const { return error_; }
  // The last generation whose VIPs the daemon's connection has taken, but for a family that error() names; none while
  // there is no session.
  Generation announced() const { return announced_; }

  // Withdraws everything and closes. For good: afterwards the state is off and the calls above do nothing.
  void shutdown();

 private:
  void connect();
  void finish_connect();
  void receive();
  void send();
  void disconnect(const std::string& why);
  void explain_untold();

  config::Bgp config_;
  std::string peer_;  // as text
  bgp::Session session_;
  bool off_;
  int fd_ = -1;
  bool connecting_ = false;
  std::chrono::steady_clock::time_point now_{};
  std::chrono::steady_clock::time_point deadline_{};  // connecting: give up; no connection: try again
  std::chrono::milliseconds backoff_;
  std::string error_;

  // The last update().
  const TablesView* view_ = nullptr;
  Generation generation_ = Generation::none;
  bool workers_follow_ = false;
  bool alive_ = false;
  std::vector<IpPrefix> prefixes_;          // what should be announced
  Generation followed_ = Generation::none;  // by all workers, when `prefixes_` last grew
  Generation announced_ = Generation::none;
};

}  // namespace guideway
