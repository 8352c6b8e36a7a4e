// Which number each backend has (stats_indices.h), kept in the state directory. What workers remember of flows names
// backends by number, and outlives both programs: when tables and whoever made them are gone together, the next control
// plane must give everybody the number of before, or flows go to strangers.
//
// Thread-safety: one thread.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "controlplane/desired_state.h"

namespace guideway::controlplane {

using BackendNumbers = std::map<BackendKey, std::uint32_t>;

class BackendNumbersFile {
 public:
  // Creates the directory. Throws std::system_error.
  explicit BackendNumbersFile(const std::string& state_dir);

  // None without a file, or with a `warning` if it cannot be understood. Throws std::system_error.
  BackendNumbers load(std::string& warning);

  // Before any of them is in the tables. Throws std::system_error; then the file has those of before.
  void store(const BackendNumbers& numbers);

  // Whether somebody took the file away.
  bool is_behind() const;

 private:
  std::string path_;
  BackendNumbers stored_;
};

}  // namespace guideway::controlplane
