// A small file into memory, with its mode, or the reason why not.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <string>

namespace guideway::config {

struct FileText {
  std::string text;
  std::string error;  // empty: it was read
  mode_t mode = 0;
};

// Only regular files, and none larger than bytes_max. Thread-safe.
FileText read_file(const std::string& path, std::size_t bytes_max);

}  // namespace guideway::config
