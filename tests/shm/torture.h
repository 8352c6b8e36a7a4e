// The cast of the torture: a data plane in a process of its own, that verifies every generation it uses, and the memory
// by which parent, writers and readers talk beside the protocol under test.
//
//   parent ── forks, kills with SIGKILL, reaps ──► writer process    TablesWriter, publishing as fast as it can
//                                             └──► reader process    Gatekeeper thread + kWorkers worker threads
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "common/shm/segment_memory.h"
#include "common/shm/tables_writer.h"
#include "guideway/stats.h"
#include "tests/shm/pattern.h"

namespace guideway::shm {

inline constexpr std::uint32_t kWorkers = 2;

// Lies in shared anonymous memory, inherited over fork().
struct Notes {
  std::atomic<std::uint32_t> publishing;  // 1 while the writer is inside publish()
  std::atomic<std::uint32_t> stop;
  std::atomic<std::uint32_t> reader_alive;  // its pins count; cleared by the parent once it has reaped the reader
  std::atomic<std::uint64_t> published;
  std::atomic<std::uint64_t> checks;
  std::atomic<std::uint64_t> reader_follows;  // the newest generation that a worker of the reader verified
  std::atomic<std::uint32_t> complaints;
  char complaint[256];  // the first one
};

class Torture {
 public:
  // Whose pins a writer respects: oldest_pin() is right, a mutant knows less.
  using Pins = std::function<std::uint64_t(const StatsHeader&)>;

  Torture(std::size_t segment_bytes, std::uint64_t seed);
  ~Torture();
  Torture(const Torture&) = delete;
  Torture& operator=(const Torture&) = delete;

  Notes& notes() { return *notes_; }
  const Descriptor& custody() const { return custody_; }
  std::vector<TableImage>& images() { return images_; }

  // Each returns the child's pid; it runs until it is killed or notes().stop.
  pid_t start_reader();
  pid_t start_writer(std::uint64_t seed, const Pins& pins = oldest_pin);
  pid_t start(const std::function<void()>& body);
  // Kills and reaps.
  void end(pid_t child);
  void end_reader(pid_t reader);
  // False if nobody complained and it did not happen within the time.
  bool wait_until(const std::function<bool()>& happened, int timeout_ms) const;
  // Waits until the writer is inside publish() (at most some milliseconds), and then `spins` turns of a loop.
  void wait_for_publish_and(std::uint32_t spins) const;
  // Nothing, or what a reader found wrong.
  std::string complaint() const;

  std::uint64_t reader_pin(const Pins& pins) const { return notes_->reader_alive != 0 ? pins(*stats_) : kPinNone; }

 private:
  void read_until_stopped();
  void complain(const std::string& what);

  Notes* notes_;
  StatsHeader* stats_;
  Descriptor custody_;
  std::vector<TableImage> images_;  // made before any fork, so that writers do nothing but publish
};

}  // namespace guideway::shm
