// What all programs do with their command lines.
// Thread-safety: pure functions, apart from what they print.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>

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

}  // namespace guideway
