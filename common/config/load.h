// TOML text → Config, or every problem at once.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/config/config.h"

namespace guideway::config {

enum class Severity { error, warning };

struct Diagnostic {
  Severity severity = Severity::error;
  std::string file;
  std::uint32_t line = 0;  // 1-based; 0: the file as a whole
  std::uint32_t column = 0;
  std::string message;  // what is wrong and how to fix it
};

// Like a compiler: "FILE:LINE:COLUMN: error: MESSAGE", then the line and a caret under the place. `text` is the
// file's content (for the excerpt).
std::string format(const Diagnostic& diagnostic, std::string_view text);

// In one line: "FILE:LINE: MESSAGE", or "FILE: MESSAGE".
std::string brief(const Diagnostic& diagnostic);

struct LoadResult {
  std::optional<Config> config;               // empty if there is any error
  std::vector<Diagnostic> diagnostics;        // in the order of the file; warnings too
  std::string text;                           // what was read
  std::string report() const;                 // all diagnostics, formatted, and a last line that counts them
  std::vector<std::string> warnings() const;  // brief
  std::string first_error() const;            // brief; empty: there is none
};

// Input is bounded before the TOML parser sees it (4 MiB, lines of 4 KiB, 16 dots in a key, nesting of 16):
// Debian's toml++ 3.3.0 overflows its stack on hostile files.
LoadResult load_config(const std::string& path);
LoadResult load_config_text(std::string text, const std::string& name);

}  // namespace guideway::config
