// Why the data plane cannot start: one sentence for the operator that says what is wrong, where, and how to fix it.
#pragma once

#include <fmt/format.h>

#include <stdexcept>

namespace guideway {

class StartError : public std::runtime_error {
 public:
  template <typename... Args>
  explicit StartError(fmt::format_string<Args...> format, Args&&... args)
      : std::runtime_error(fmt::format(format, std::forward<Args>(args)...)) {}
};

}  // namespace guideway
