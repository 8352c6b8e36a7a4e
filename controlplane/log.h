// One line per event, to standard error: "2026-11-23T12:00:00.123Z info backend web/b2 down: connection refused".
// Thread-safety: lines do not mix.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <utility>

namespace guideway::controlplane {

enum class Level { info, warning, error };

void log_line(Level level, std::string_view text);

template <typename... Args>
void log(Level level, fmt::format_string<Args...> format, Args&&... args) {
  log_line(level, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace guideway::controlplane
