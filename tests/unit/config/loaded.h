// A file in a directory of its own, loaded: for the tests of common/config.
#pragma once

#include <string>
#include <string_view>

#include "common/config/load.h"
#include "tests/lib/temporary_directory.h"

namespace guideway::config {

// A temporary directory with files.
class Directory {
 public:
  std::string path(std::string_view name) const;
  std::string write(std::string_view name, std::string_view text, unsigned mode = 0600) const;  // gives its path

 private:
  TemporaryDirectory temporary_;
};

// All that a valid file needs; what a test adds begins in [dataplane].
inline constexpr std::string_view kBase = R"(schema = 1
flow_hash.key_file = "key"
[[dataplane.port]]
name = "uplink"
device = "net_null0"
[dataplane]
worker_cores = [1]
)";

// Loads kBase with `text` behind it.
LoadResult load_with_base(std::string_view text);

// One line per diagnostic: "LINE:COLUMN error: MESSAGE".
std::string summary(const LoadResult& result);

// The summary of load_with_base(text), with lines counted from the first of `text`.
std::string problems_of(std::string_view text);

}  // namespace guideway::config
