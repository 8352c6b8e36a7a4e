#include "dataplane/log.h"

#include "common/log_line.h"

namespace guideway::log {

void write(Level level, std::string_view sentence) {
  static constexpr std::string_view kNames[] = {"info", "warning", "error"};
  write_log_line(kNames[static_cast<int>(level)], sentence);
}

}  // namespace guideway::log
