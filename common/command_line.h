// What all programs do with their command lines.
// Thread-safety: one thread.
#pragma once

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdio>
#include <optional>
#include <string>
#include <system_error>

namespace guideway {

constexpr int kExitWrongUsage = 2;

// The exit code if there is nothing more to do: after --help and --version, or wrong usage, which is on standard error
// by then.
inline std::optional<int> parse_command_line(CLI::App& app, int argc, char** argv) {
  try {
    app.parse(argc, argv);
    return std::nullopt;
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kExitWrongUsage;
  }
}

// Why not all that was printed got out of stdout; empty: it did. To be asked when nothing more is printed.
inline std::string output_trouble() {
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return "";
  return std::generic_category().message(errno);
}

}  // namespace guideway
