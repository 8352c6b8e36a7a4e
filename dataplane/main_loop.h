// What the main core does while the workers work: it validates tables, hands descriptors over, watches the workers
// and the ports, steers and announces VIPs, and obeys signals. Sleeps at most a millisecond at a time.
//
// Order within a turn: adopt a generation → workers follow → steer its VIPs → announce them.
//
// Thread-safety: main core.
#pragma once

#include "common/config/config.h"
#include "common/shm/handover.h"
#include "common/shm/tables_reader.h"
#include "dataplane/announce/announcer.h"
#include "dataplane/flows/flows_file.h"
#include "dataplane/port_set.h"
#include "dataplane/stats_segment.h"
#include "dataplane/steering.h"
#include "dataplane/tsc_clock.h"
#include "dataplane/worker_group.h"

namespace guideway {

// Signals arrive through a descriptor: those that end us, and SIGHUP, by which others reload, and which ends nothing.
// Made before any other thread exists, so that all inherit the mask.
class Signals {
 public:
  Signals();
  int fd() const { return fd_.get(); }
  // Whether one that ends us came since the last call.
  bool take_termination();

 private:
  Descriptor fd_;
};

class MainLoop {
 public:
  struct Parts {
    const config::Config& config;
    Signals& signals;
    StatsSegment& stats;
    shm::HandoverServer& handover;
    PortSet& ports;
    FlowsFile& flows;
    const TscClock& clock;  // the workers'
    shm::Gatekeeper& gatekeeper;
    WorkerGroup& workers;
    bool wait_for_tables;  // workers start when the first generation is in force
  };
  explicit MainLoop(const Parts& parts);

  // Returns when the workers are stopped after a termination signal.
  void run();

 private:
  void turn(SteadyTime now);
  void wait();
  void hand_over();
  void adopt();
  void announce(SteadyTime now, bool alive);
  void shut_down();

  Parts parts_;
  Steering steering_;
  Announcer announcer_;
  SteadyTime ports_watched_at_{};
  std::uint64_t rejected_ = 0;
  bool connected_ = false;
  SpeakerState speaker_ = SpeakerState::off;
  std::string speaker_error_;
};

}  // namespace guideway
