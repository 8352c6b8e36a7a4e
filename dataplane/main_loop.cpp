#include "dataplane/main_loop.h"

#include <fmt/ranges.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <csignal>

#include "common/shm/stats_text.h"
#include "dataplane/log.h"

namespace guideway {
namespace {

using std::chrono::milliseconds;
constexpr int kSleepMax_ms = 1;
constexpr milliseconds kPortsInterval{100};

}  // namespace

Signals::Signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGHUP);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  fd_ = Descriptor(signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC));
}

bool Signals::take_termination() {
  signalfd_siginfo signal;
  while (read(fd_.get(), &signal, sizeof signal) == sizeof signal) {
    if (signal.ssi_signo != SIGHUP) return true;
    log::info(
        "SIGHUP: there is nothing to reload here; guideway-controlplane reloads the configuration, and ports, cores, "
        "memory and [bgp] take a restart of the data plane");
  }
  return false;
}

MainLoop::MainLoop(const Parts& parts)
    : parts_(parts), steering_(parts.ports.steered_interfaces()), announcer_(parts.config.bgp) {}

void MainLoop::run() {
  parts_.handover.open();
  while (!parts_.signals.take_termination()) {
    turn(std::chrono::steady_clock::now());
    wait();
  }
  shut_down();
}

void MainLoop::turn(SteadyTime now) {
  hand_over();
  adopt();
  if (!parts_.workers.started() && (!parts_.wait_for_tables || parts_.gatekeeper.active() != nullptr)) {
    parts_.workers.start(now);
    log::info("forwarding on worker cores {}", fmt::join(parts_.config.dataplane.worker_cores, ", "));
  }
  const std::uint32_t alive = parts_.workers.count_alive(now);
  if (now - ports_watched_at_ >= kPortsInterval) {
    parts_.ports.watch(parts_.stats, now);
    ports_watched_at_ = now;
  }
  announce(now, alive == parts_.workers.size() && parts_.ports.any_up());
  parts_.stats.header().workers_alive.store(alive, std::memory_order_relaxed);
  parts_.flows.set_clock(std::chrono::duration_cast<Seconds>(parts_.clock.now()));
  add(parts_.stats.header().main_heartbeat, 1);
}

void MainLoop::wait() {
  pollfd fds[] = {
      {parts_.signals.fd(), POLLIN, 0}, {parts_.handover.fd(), POLLIN, 0}, {announcer_.fd(), announcer_.events(), 0}};
  poll(fds, std::size(fds), kSleepMax_ms);
}

void MainLoop::hand_over() {
  parts_.handover.serve(parts_.gatekeeper.custody(), [&](Descriptor tables) {
    const AttachError error = parts_.gatekeeper.attach(std::move(tables));
    if (error == AttachError::none)
      log::info("the control plane handed over its tables");
    else
      log::error("the control plane's tables are refused: {}", guideway::to_text(error));
    return error;
  });
  if (parts_.handover.connected() == connected_) return;
  connected_ = !connected_;
  if (connected_)
    log::info("the control plane is connected");
  else
    log::warning("the control plane is gone; forwarding goes on with the tables in force");
}

void MainLoop::adopt() {
  const bool first = parts_.gatekeeper.active() == nullptr;
  if (parts_.gatekeeper.poll() && first)
    log::info("generation {} is the first in force", number(parts_.gatekeeper.active()->generation));
  StatsHeader& stats = parts_.stats.header();
  if (const std::uint64_t rejected = stats.rejected_generation.load(std::memory_order_relaxed); rejected != rejected_) {
    rejected_ = rejected;
    log::error("generation {} is refused, the one before stays in force: {}", rejected,
               shm::get_text(stats.rejected_reason));
  }
}

void MainLoop::announce(SteadyTime now, bool alive) {
  const TablesView* view = parts_.gatekeeper.active();
  const bool follow = parts_.workers.started() && parts_.gatekeeper.all_workers_follow();
  const bool served = view != nullptr && follow && steering_.update(*view, now);
  announcer_.update(view, served, alive && parts_.workers.started());
  announcer_.run(now);

  StatsHeader& stats = parts_.stats.header();
  stats.announced_generation.store(number(announcer_.announced()), std::memory_order_relaxed);
  if (announcer_.state() != speaker_) {
    const bool matters = announcer_.state() == SpeakerState::established || speaker_ == SpeakerState::established;
    speaker_ = announcer_.state();
    stats.speaker_state.store(speaker_, std::memory_order_relaxed);
    if (matters) log::info("BGP session with this host's daemon: {}", shm::to_text(speaker_));
  }
  if (announcer_.error() != speaker_error_) {
    speaker_error_ = announcer_.error();
    shm::set_text(stats.speaker_error, speaker_error_);
    if (!speaker_error_.empty()) log::warning("BGP: {}", speaker_error_);
  }
}

// Routers need a moment to learn that we are leaving; until then their packets are still served.
void MainLoop::shut_down() {
  announcer_.shutdown();
  if (parts_.config.bgp.enabled) {
    log::info("VIPs are withdrawn; forwarding for another {} ms", parts_.config.bgp.shutdown_linger.count());
    const SteadyTime end = std::chrono::steady_clock::now() + parts_.config.bgp.shutdown_linger;
    for (SteadyTime now = std::chrono::steady_clock::now(); now < end && !parts_.signals.take_termination();
         now = std::chrono::steady_clock::now()) {
      turn(now);
      wait();
    }
  }
  parts_.workers.stop();
  log::info("stopped");
}

}  // namespace guideway
