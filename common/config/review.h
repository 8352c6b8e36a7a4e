// What the loader notes while it reads a file: problems, and the keys it understands.
//
// Thread-safety: one thread.
#pragma once

#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/config/document.h"
#include "common/config/load.h"

namespace guideway::config {

inline constexpr std::size_t kDiagnosticsMax = 200;  // enough for a human; what follows is only counted

class Review {
 public:
  explicit Review(std::string file) : file_(std::move(file)) {}

  void error(Place place, std::string message) { add(Severity::error, place, std::move(message)); }
  void warning(Place place, std::string message) { add(Severity::warning, place, std::move(message)); }
  bool has_error() const { return has_error_; }

  // `; did you mean "x"?`, or nothing if no candidate is near.
  std::string did_you_mean(std::string_view word, std::span<const std::string> candidates) const;

  // Every key that was asked for, present or not: "pool.NAME.slots".
  void knows(std::string key) { known_keys_.insert(std::move(key)); }
  const std::set<std::string>& known_keys() const { return known_keys_; }

  std::vector<Diagnostic> in_order_of_the_file() &&;

 private:
  void add(Severity severity, Place place, std::string message);

  std::string file_;
  std::vector<Diagnostic> diagnostics_;
  std::size_t not_kept_ = 0;
  bool has_error_ = false;
  std::set<std::string> known_keys_;
};

}  // namespace guideway::config
