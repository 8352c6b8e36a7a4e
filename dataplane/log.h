// Events of the data plane, one line each on stderr: time, level, sentence. Never per packet.
// Thread-safety: any thread; the main core writes nearly all of them.
#pragma once

#include <fmt/format.h>

#include <string_view>

namespace guideway::log {

enum class Level { info, warning, error };

void write(Level level, std::string_view sentence);

template <typename... Args>
void info(fmt::format_string<Args...> format, Args&&... args) {
  write(Level::info, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void warning(fmt::format_string<Args...> format, Args&&... args) {
  write(Level::warning, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void error(fmt::format_string<Args...> format, Args&&... args) {
  write(Level::error, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace guideway::log
