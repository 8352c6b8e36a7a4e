// Files of the state directory that survive a kill at any moment, and a loss of power.
//
// All functions throw std::system_error with a sentence that names the file. Thread-safety: one thread per file.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "common/descriptor.h"

namespace guideway::controlplane {

// Makes `[control] state_dir` and what is above it, if need be.
void make_state_directory(const std::string& path);

// nullopt: there is no such file.
std::optional<std::string> read_whole(const std::string& path);

// The file has the old text or the new one, never anything else. Makes its directory, if need be.
void replace_durably(const std::string& path, std::string_view text);

// `to` is what was `from`, or what it was before.
void rename_durably(const std::string& from, const std::string& to);

// What is appended is there as a whole, or up to some byte of it.
class AppendedFile {
 public:
  explicit AppendedFile(const std::string& path);
  void append(std::string_view text);
  // Whether the file is still the one under its name: what is appended to another one is lost.
  bool is_in_place() const;

 private:
  std::string path_;
  Descriptor file_;
};

}  // namespace guideway::controlplane
