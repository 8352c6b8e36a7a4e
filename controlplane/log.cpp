#include "controlplane/log.h"

#include "common/log_line.h"

namespace guideway::controlplane {
namespace {

const char* name(Level level) {
  switch (level) {
    case Level::info:
      return "info";
    case Level::warning:
      return "warning";
    case Level::error:
      return "error";
  }
  return "?";
}

}  // namespace

void log_line(Level level, std::string_view text) {
  write_log_line(name(level), text);
}

}  // namespace guideway::controlplane
