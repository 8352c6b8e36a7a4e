// What guidewayctl can do. Each command prints its result on stdout and gives the exit code; what goes wrong is thrown
// (api_client.h, UsageError) and becomes one sentence on stderr in main().
#pragma once

#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <string>

#include "controlplane/ctl/api_client.h"
#include "controlplane/ctl/text_table.h"

namespace guideway::ctl {

enum class Exit : int { ok = 0, failed = 1, usage = 2, degraded = 3, unreachable = 4, cut = 5 };

// The operator asked for what does not exist.
struct UsageError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct Output {
  bool json = false;
  bool overwrites = false;  // stdout is a terminal, where the last line can be replaced
  Style style;
};

struct FlowArguments {
  std::string protocol;
  std::string source;
  std::uint16_t source_port = 0;
  std::string destination;
  std::uint16_t destination_port = 0;
};

// The pool and name of "POOL/NAME", or of a NAME that only one pool has. Throws UsageError.
struct BackendName {
  std::string pool;
  std::string name;
};
BackendName find_backend(const nlohmann::json& status, const std::string& argument);

Exit check(const std::string& file, const Output& output);
Exit plan(const ApiClient& api, const std::string& file, const Output& output);
Exit status(const ApiClient& api, bool exit_degraded, const Output& output);
Exit explain(const ApiClient& api, const FlowArguments& flow, const Output& output);
// With `wait`: returns when the backend has no flows any more, or at its deadline (`cut` if it may still have had any).
struct DrainArguments {
  std::string reason;
  std::optional<std::chrono::seconds> deadline;
  bool wait = false;
};
Exit drain(const ApiClient& api, const std::string& backend, const DrainArguments& arguments, const Output& output);
Exit undrain(const ApiClient& api, const std::string& backend, const Output& output);
// No weight: the file's again.
Exit weight(const ApiClient& api, const std::string& backend, std::optional<std::uint16_t> weight,
            const std::string& reason, const Output& output);
Exit version(const ApiClient& api, const Output& output);

}  // namespace guideway::ctl
