// What happens to backends while a capture is replayed: a text file, with a line for each change in the order of time.
//
//   12.5 web/web2 down      # seconds since the first packet, POOL/BACKEND, what it is from then on
//
// Thread-safety: one thread.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "common/config/config.h"
#include "dataplane/batch.h"

namespace guideway::replay {

// As `guidewayctl status` has them.
enum class BackendState { up, drained, down, unreachable };

struct Change {
  Ns at{};                  // since the first packet
  std::size_t pool = 0;     // position in Config::pools
  std::size_t backend = 0;  // position in Pool::backends
  BackendState to{};
};

// Throws std::runtime_error, a sentence with file and line.
std::vector<Change> read_changes(const std::string& path, const config::Config& config);

}  // namespace guideway::replay
