// What the weights of pools were lately: the slot history is made of it (common/tables/slot_history.h).
//
// An era of a pool begins when its weights in force change, and ends when they change again. It is remembered until it
// has been over for the window. For second chance it is then kept until it has been over for kOlderWindows, and longer
// if a backend that is idle now, that is, in the pool without weight, had more weight in it than since: its last era,
// and those before it when it was drained step by step. Such an era is dropped when its backend has weight again or
// leaves the pool. What eras may say is not decided here (common/tables/slot_history.h).
//
// Eras are in a journal, `eras.journal` in the state directory, so that a control plane that comes back, even on a host
// that was off, knows the history before it serves anything. Written ahead: an era is in the journal before it is in
// force. What is remembered follows from the lines alone, so who reads them knows what their writer knew.
//
//   XXH3-64 of the rest, 16 hex digits │ space │ JSON │ newline
//
//   an era         {"pool", "began_ms", "slots", "weights": {address: weight}, "idle": [address]}
//   a kept one     the same, and "ended_ms"; in a file that was written anew
//   other idle     {"pool", "began_ms", "idle": [address]}; the weights stay
//   each of them   "window_ms" as well: the window when it was written
//
// A line that was cut short or changed does not count, and takes nothing else with it. The journal is bounded: at most
// kErasMax eras of a pool are remembered, as many are kept, and the file is written anew when most of its lines are of
// no use any more.
//
// Time never goes back here: of an earlier one than the latest, the latest is taken.
//
// Thread-safety: one thread.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/tables/slot_history.h"
#include "controlplane/durable_file.h"

namespace guideway::controlplane {

// By SteadyWallClock, which goes on while the host is off.
using EraTime = std::chrono::sys_time<std::chrono::milliseconds>;

struct Era {
  EraTime began{};
  EraTime ended{};  // of kept ones
  std::uint32_t slot_count = 0;
  Weights weights;              // in the order of the addresses, without those of weight 0
  std::vector<IpAddress> idle;  // the others of the pool, in order
  friend bool operator==(const Era&, const Era&) = default;
};

class Eras {
 public:
  // Of a pool. One era more would take the place of the second one: the oldest one has the flows that nobody knows, and
  // of kept ones it says nearly as much.
  static constexpr std::size_t kErasMax = 16;
  // Which hops cost, in packets that carry them, and what they save: perf/results/continuity.md.
  static constexpr int kOlderWindows = 4;

  // `window`: for how long an era is remembered after it has ended. If the journal says another one, that holds until
  // set_window(). `warning`: what of the journal could not be understood. Throws std::system_error.
  Eras(const std::string& state_dir, std::chrono::milliseconds window, std::string& warning);

  // From `now` on. Throws std::system_error: the journal does not know.
  void set_window(std::chrono::milliseconds window, EraTime now);

  // The weights that are to be in force from `now` on, with a 0 for each backend of the pool that is idle. Nothing
  // happens if they are in force already. Throws std::system_error: what is remembered is not all in the journal.
  void note(const std::string& pool, std::uint32_t slot_count, const Weights& weights, EraTime now);

  // The eras of a pool before the one in force, at `now`.
  PastEras past(const std::string& pool, EraTime now) const;

  // What past() would be if note() were called with these weights now.
  PastEras past_if(const std::string& pool, std::uint32_t slot_count, const Weights& weights, EraTime now) const;

  // When time will change what past() says; none: it will not.
  std::optional<EraTime> next_change(EraTime now) const;

  // What is not known of pools that have so many unsettled slots in force, as a warning; empty: nothing.
  std::string lack_of(const std::map<std::string, std::uint32_t>& unsettled_slots) const;

  // Whether the journal lacks something: a write failed, or somebody took the file away.
  bool is_behind() const { return is_behind_ || (file_ && !file_->is_in_place()); }
  // Writes what it lacks. Throws std::system_error: it still does.
  void catch_up();

  // The latest time at which something was noted; the epoch: nothing was.
  EraTime latest() const { return latest_; }

  // Drops what no pool of these needs. Throws std::system_error: it is still in the journal.
  void keep_only(const std::vector<std::string>& pools);

 private:
  // Of a pool.
  struct History {
    std::deque<Era> eras;   // the last one is in force
    std::vector<Era> kept;  // that are over for the window, in the order in which they began
  };
  enum class Change { none, idle, era };
  void load(const std::string& text, std::string& warning);
  void replay(std::string_view line);
  void append(const std::string& line);
  void rewrite();
  Change follow(History& history, Era era) const;
  void begin(History& history, Era era) const;
  void set_idle(History& history, std::vector<IpAddress> idle, EraTime now) const;
  void end(History& history, EraTime now) const;
  void drop_useless(History& history, EraTime now) const;
  bool is_older(const Era& kept, EraTime now) const { return kept.ended + kOlderWindows * window_ > now; }
  EraTime not_before_latest(EraTime now) const { return std::max(now, latest_); }
  PastEras past_of(History history, EraTime now) const;
  std::size_t eras_count() const;

  std::string path_;
  std::chrono::milliseconds window_;
  std::map<std::string, History> pools_;
  EraTime latest_{};
  std::optional<AppendedFile> file_;
  std::size_t lines_ = 0;   // of the file
  bool is_behind_ = false;  // a write failed: the file lacks what is remembered, or its last line is cut short
};

}  // namespace guideway::controlplane
