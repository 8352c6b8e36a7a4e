#include "tests/unit/config/loaded.h"

#include <sys/stat.h>

#include <algorithm>
#include <fstream>

namespace guideway::config {
namespace {

LoadResult load_beside_a_key(std::string text) {
  const Directory directory;
  directory.write("key", "000102030405060708090a0b0c0d0e0f\n");
  return load_config_text(std::move(text), directory.path("guideway.toml"));
}

}  // namespace

std::string Directory::path(std::string_view name) const {
  return (temporary_.path() / name).string();
}

std::string Directory::write(std::string_view name, std::string_view text, unsigned mode) const {
  std::ofstream(path(name), std::ios::binary) << text;
  ::chmod(path(name).c_str(), mode);
  return path(name);
}

LoadResult load_with_base(std::string_view text) {
  return load_beside_a_key(std::string(kBase) + std::string(text));
}

std::string summary(const LoadResult& result) {
  std::string out;
  for (const Diagnostic& diagnostic : result.diagnostics)
    out += std::to_string(diagnostic.line) + ":" + std::to_string(diagnostic.column) +
           (diagnostic.severity == Severity::error ? " error: " : " warning: ") + diagnostic.message + "\n";
  return out;
}

std::string problems_of(std::string_view text) {
  LoadResult result = load_with_base(text);
  const auto base_lines = static_cast<std::uint32_t>(std::count(kBase.begin(), kBase.end(), '\n'));
  for (Diagnostic& diagnostic : result.diagnostics)
    if (diagnostic.line > base_lines) diagnostic.line -= base_lines;
  return summary(result);
}

}  // namespace guideway::config
