#include "dataplane/log.h"

#include <fmt/chrono.h>
#include <unistd.h>

#include <chrono>
#include <string>

namespace guideway::log {

void write(Level level, std::string_view sentence) {
  using std::chrono::floor, std::chrono::milliseconds, std::chrono::seconds;
  static constexpr std::string_view kNames[] = {"info", "warning", "error"};
  const auto now = floor<milliseconds>(std::chrono::system_clock::now());
  const std::string line =
      fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z {} {}\n", fmt::gmtime(floor<seconds>(now)),
                  (now.time_since_epoch() % seconds(1)).count(), kNames[static_cast<int>(level)], sentence);
  // One write() per line: lines of several threads do not mix. Nobody reads stderr: nothing to be done.
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace guideway::log
