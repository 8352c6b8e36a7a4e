// What the weights of pools were lately: the slot history is made of it (common/tables/slot_history.h).
//
// An era of a pool begins when its weights in force change, and ends when they change again. Eras are kept in a
// journal, `eras.journal` in the state directory, so that a control plane that comes back, even on a host that was off,
// knows the history before it serves anything. Written ahead: an era is in the journal before it is in force.
//
//   one line per era:  XXH3-64 of the rest, 16 hex digits │ space │ JSON │ newline
//
// A line that was cut short or changed does not count, and takes nothing else with it. The journal is bounded: at most
// kErasMax eras of a pool are remembered, and the file is written anew when most of its lines are of no use any more.
//
// Thread-safety: one thread.
#pragma once

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

// Of wall time, which goes on while the host is off.
using EraTime = std::chrono::sys_time<std::chrono::milliseconds>;

struct Era {
  EraTime began{};
  std::uint32_t slot_count = 0;
  Weights weights;  // in the order of the addresses, without those of weight 0
  friend bool operator==(const Era&, const Era&) = default;
};

class Eras {
 public:
  // Of a pool. One era more would take the place of one in the middle: the oldest one has the flows that nobody knows.
  static constexpr std::size_t kErasMax = 16;

  // `window`: for how long an era is remembered after it has ended. `warning`: what of the journal could not be
  // understood. Throws std::system_error.
  Eras(const std::string& state_dir, std::string& warning);

  // First of all, and again when the window changes.
  void set_window(std::chrono::milliseconds window);

  // The weights that are to be in force from `now` on. Nothing happens if they are in force already.
  // Throws std::system_error: they are not in the journal.
  void note(const std::string& pool, std::uint32_t slot_count, const Weights& weights, EraTime now);

  // The eras of a pool before the one in force that are remembered at `now`, the oldest first.
  std::vector<Weights> past(const std::string& pool, EraTime now) const;

  // What past() would be if note() were called with these weights now.
  std::vector<Weights> past_if(const std::string& pool, std::uint32_t slot_count, const Weights& weights,
                               EraTime now) const;

  // When the next era will be forgotten; none: nothing is remembered but what is in force.
  std::optional<EraTime> next_change(EraTime now) const;

  // Drops what no pool of these needs.
  void keep_only(const std::vector<std::string>& pools);

 private:
  void load(const std::string& text, std::string& warning);
  void append(const std::string& pool, const Era& era);
  void rewrite();
  bool begin(std::deque<Era>& eras, Era era, EraTime now) const;
  void bound(std::deque<Era>& eras, EraTime now) const;
  std::vector<Weights> past_of(const std::deque<Era>& eras, EraTime now) const;
  std::size_t eras_count() const;

  std::string path_;
  std::chrono::milliseconds window_{0};
  std::map<std::string, std::deque<Era>> pools_;  // the last one is in force
  std::optional<AppendedFile> file_;
  std::size_t lines_ = 0;  // of the file
};

}  // namespace guideway::controlplane
