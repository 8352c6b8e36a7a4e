#include <sys/un.h>

#include "common/config/kinds.h"
#include "common/config/sections.h"
#include "common/config/words.h"

namespace guideway::config {
namespace {

// A directory whose sockets' names fit a sockaddr_un.
constexpr std::size_t kRunDirBytesMax = sizeof(sockaddr_un::sun_path) - sizeof("/dataplane.sock");

std::optional<std::string> directory(const Field& field) {
  auto path = text(field);
  if (path && path->front() != '/') return field.error("must be an absolute path, not " + in_quotes(*path));
  return path;
}

std::optional<std::string> socket_directory(const Field& field) {
  auto path = directory(field);
  if (path && path->size() > kRunDirBytesMax)
    return field.error("is longer than " + std::to_string(kRunDirBytesMax) +
                       " bytes: its sockets' names would not fit");
  return path;
}

}  // namespace

Place read_control(Section& root, Control& control) {
  Place tables_memory;
  root.in("control", [&](Section& section) {
    section.optional("run_dir", control.run_dir, socket_directory);
    section.optional("state_dir", control.state_dir, directory);
    section.optional("socket_group", control.socket_group, text);
    section.optional("tables_memory", control.tables_mib, mebibytes(1, 1024));
    tables_memory = section.place_of("tables_memory");
  });
  return tables_memory;
}

}  // namespace guideway::config
