// The time that eras and the deadlines of drains go by: the time of day when it was asked for first since the host's
// boot, and from then on what has passed since (CLOCK_BOOTTIME). So a clock that is set, by hand or by NTP's first
// answer, neither ends an era nor reaches a deadline before its time.
//
// How far the time of day was from the boot is in the file `clock` in the run directory, for the next control plane of
// this boot:   boot id │ space │ milliseconds │ newline
//
// Thread-safety: any number of threads may call now().
#pragma once

#include <chrono>
#include <string>

namespace guideway::controlplane {

class SteadyWallClock {
 public:
  using Time = std::chrono::sys_time<std::chrono::milliseconds>;

  // What the kernel says.
  struct Readings {
    std::string boot_id;  // of random/boot_id
    Time wall;
    std::chrono::milliseconds since_boot;
  };

  // `not_before`: the latest time that is known to have been, as of the journal of eras; the clock does not begin
  // before it. Throws std::system_error when the file cannot be read or written.
  SteadyWallClock(const std::string& run_dir, Time not_before) : SteadyWallClock(run_dir, not_before, read_clocks()) {}
  SteadyWallClock(const std::string& run_dir, Time not_before, const Readings& readings);

  Time now() const { return at(since_boot()); }
  Time at(std::chrono::milliseconds since_boot) const { return boot_ + since_boot; }
  // What the time of day was or will be then, by the host's clock as it is now. In whole seconds from `time`, so that
  // two readings give the same.
  std::chrono::system_clock::time_point wall_of(Time time) const {
    return time + std::chrono::round<std::chrono::seconds>(std::chrono::system_clock::now() - now());
  }

 private:
  static Readings read_clocks();
  static std::chrono::milliseconds since_boot();

  Time boot_;  // when the host was booted, by this clock
};

}  // namespace guideway::controlplane
