#include "common/config/review.h"

#include <algorithm>
#include <tuple>

#include "common/config/words.h"

namespace guideway::config {

void Review::add(Severity severity, Place place, std::string message) {
  has_error_ |= severity == Severity::error;
  if (diagnostics_.size() >= kDiagnosticsMax) {
    not_kept_++;
    return;
  }
  diagnostics_.push_back({severity, file_, place.line, place.column, std::move(message)});
}

std::string Review::did_you_mean(std::string_view word, std::span<const std::string> candidates) const {
  if (diagnostics_.size() >= kDiagnosticsMax) return "";
  const std::string* found = nearest(word, candidates);
  return found == nullptr ? "" : "; did you mean " + in_quotes(*found) + "?";
}

std::vector<Diagnostic> Review::in_order_of_the_file() && {
  std::stable_sort(diagnostics_.begin(), diagnostics_.end(), [](const Diagnostic& a, const Diagnostic& b) {
    return std::tie(a.line, a.column) < std::tie(b.line, b.column);
  });
  if (not_kept_ > 0)
    diagnostics_.push_back({has_error_ ? Severity::error : Severity::warning, file_, 0, 0,
                            std::to_string(not_kept_) + " more problems are not shown; fix these first"});
  return std::move(diagnostics_);
}

}  // namespace guideway::config
