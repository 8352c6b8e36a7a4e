// The kind of a key that names a file with 16 secret bytes: 32 hex digits, readable by root only. A relative path
// starts at `directory`.
//
// Thread-safety: thread-safe.
#pragma once

#include <optional>
#include <string>

#include "common/config/section.h"
#include "guideway/aes.h"

namespace guideway::config {

std::optional<Block16> read_key_file(const Field& field, const std::string& directory);

inline auto key_file(const std::string& directory) {
  return [directory](const Field& field) { return read_key_file(field, directory); };
}

}  // namespace guideway::config
