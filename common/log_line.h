// An event as one line on standard error, as all daemons write it: "2026-11-23T12:00:00.123Z info SENTENCE".
// Thread-safety: any thread; lines do not mix.
#pragma once

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <string>
#include <string_view>

namespace guideway {

inline void write_log_line(std::string_view level, std::string_view sentence) {
  using std::chrono::floor, std::chrono::milliseconds, std::chrono::seconds;
  const auto now = floor<milliseconds>(std::chrono::system_clock::now());
  const std::string line = fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z {} {}\n", fmt::gmtime(floor<seconds>(now)),
                                       (now.time_since_epoch() % seconds(1)).count(), level, sentence);
  // One write() per line. That nobody reads it any more must end nothing.
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace guideway
