#include <algorithm>

#include "common/config/load.h"
#include "common/config/words.h"

namespace guideway::config {
namespace {

constexpr std::size_t kExcerptBytesMax = 160;

std::string_view line_of(std::string_view text, std::uint32_t line) {
  for (; line > 1 && !text.empty(); line--) text.remove_prefix(std::min(text.find('\n'), text.size() - 1) + 1);
  return text.substr(0, text.find_first_of("\r\n"));
}

// The line and a caret under the column, which counts characters: UTF-8's continuation bytes are none.
std::string excerpt(std::string_view line, std::uint32_t column) {
  std::string margin;
  for (const char c : line) {
    if (margin.size() + 1 >= column) break;
    if ((static_cast<unsigned char>(c) & 0xc0) != 0x80) margin += c == '\t' ? '\t' : ' ';
  }
  std::string shown;
  for (const char c : line) shown += c == '\t' ? "\t" : printable({&c, 1});
  return "    " + shown + "\n    " + margin + "^\n";
}

std::string count(std::size_t number, const std::string& noun) {
  return std::to_string(number) + " " + noun + (number == 1 ? "" : "s");
}

}  // namespace

std::string format(const Diagnostic& diagnostic, std::string_view text) {
  std::string out = printable(diagnostic.file);
  if (diagnostic.line > 0) out += ":" + std::to_string(diagnostic.line) + ":" + std::to_string(diagnostic.column);
  out += diagnostic.severity == Severity::error ? ": error: " : ": warning: ";
  out += printable(diagnostic.message) + "\n";
  const std::string_view line = diagnostic.line > 0 ? line_of(text, diagnostic.line) : "";
  if (!line.empty() && line.size() <= kExcerptBytesMax) out += excerpt(line, diagnostic.column);
  return out;
}

std::string brief(const Diagnostic& diagnostic) {
  const std::string line = diagnostic.line > 0 ? ":" + std::to_string(diagnostic.line) : "";
  return printable(diagnostic.file) + line + ": " + printable(diagnostic.message);
}

std::vector<std::string> LoadResult::warnings() const {
  std::vector<std::string> warnings;
  for (const Diagnostic& diagnostic : diagnostics)
    if (diagnostic.severity == Severity::warning) warnings.push_back(brief(diagnostic));
  return warnings;
}

std::string LoadResult::first_error() const {
  const auto first = std::ranges::find(diagnostics, Severity::error, &Diagnostic::severity);
  return first == diagnostics.end() ? "" : brief(*first);
}

std::string LoadResult::report() const {
  std::string out;
  std::size_t errors = 0;
  for (const Diagnostic& diagnostic : diagnostics) {
    out += format(diagnostic, text);
    errors += diagnostic.severity == Severity::error ? 1 : 0;
  }
  return out + count(errors, "error") + ", " + count(diagnostics.size() - errors, "warning") + "\n";
}

}  // namespace guideway::config
