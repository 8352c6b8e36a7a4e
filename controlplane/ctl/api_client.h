// HTTP with JSON to the control plane, over its Unix socket (docs/api.md).
//
// Thread-safety: none needed, one request after the other; each blocks for at most kAnswerTimeout.
#pragma once

#include <chrono>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>

namespace guideway::ctl {

inline constexpr std::chrono::seconds kAnswerTimeout{10};

// Nobody answers; what() is one sentence with the fix.
struct Unreachable : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// The control plane answered that it will not; what() is its sentence.
struct Refused : std::runtime_error {
  using std::runtime_error::runtime_error;
};

class ApiClient {
 public:
  explicit ApiClient(std::string socket_path) : socket_path_(std::move(socket_path)) {}

  // Both throw Unreachable or Refused.
  nlohmann::json get(const std::string& path) const;
  nlohmann::json post(const std::string& path, const nlohmann::json& body) const;

 private:
  nlohmann::json request(bool is_post, const std::string& path, std::string body) const;

  std::string socket_path_;
};

}  // namespace guideway::ctl
