#include "controlplane/steady_wall_clock.h"

#include <fmt/format.h>
#include <time.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <sstream>

#include "controlplane/durable_file.h"

namespace guideway::controlplane {
namespace {

using std::chrono::milliseconds;
using Time = SteadyWallClock::Time;

// nullopt: nobody of this boot has written it, or somebody wrote something else.
std::optional<Time> boot_in(const std::string& text, const std::string& boot_id) {
  std::istringstream words(text);
  std::string id;
  milliseconds::rep boot_ms = 0;
  if (!(words >> id >> boot_ms) || id != boot_id) return std::nullopt;
  return Time(milliseconds(boot_ms));
}

}  // namespace

SteadyWallClock::SteadyWallClock(const std::string& run_dir, Time not_before, const Readings& readings) {
  std::filesystem::create_directories(run_dir);
  const std::string path = run_dir + "/clock";
  const std::optional<Time> known = boot_in(read_whole(path).value_or(""), readings.boot_id);
  boot_ = std::max(known.value_or(readings.wall - readings.since_boot), not_before - readings.since_boot);
  if (boot_ != known) replace_durably(path, fmt::format("{} {}\n", readings.boot_id, boot_.time_since_epoch().count()));
}

SteadyWallClock::Readings SteadyWallClock::read_clocks() {
  std::string boot_id = read_whole("/proc/sys/kernel/random/boot_id").value_or("unknown\n");
  boot_id.pop_back();  // its newline
  return {boot_id, std::chrono::floor<milliseconds>(std::chrono::system_clock::now()), since_boot()};
}

milliseconds SteadyWallClock::since_boot() {
  timespec time{};
  clock_gettime(CLOCK_BOOTTIME, &time);
  return std::chrono::floor<milliseconds>(std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec));
}

}  // namespace guideway::controlplane
