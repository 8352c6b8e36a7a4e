#include "controlplane/intents.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <system_error>

#include "common/descriptor.h"

namespace guideway::controlplane {
namespace {

using nlohmann::json;

constexpr int kFormatVersion = 1;

[[noreturn]] void fail(const std::string& what) {
  throw std::system_error(errno, std::generic_category(), what);
}

std::string to_json_text(const Intents& intents) {
  json list = json::array();
  for (const auto& [backend, intent] : intents) {
    json entry = {{"pool", backend.pool}, {"backend", backend.name}, {"reason", intent.reason}};
    if (intent.drained) entry["drained"] = true;
    if (intent.weight) entry["weight"] = *intent.weight;
    list.push_back(std::move(entry));
  }
  return json{{"version", kFormatVersion}, {"intents", list}}.dump(2, ' ', false, json::error_handler_t::replace) +
         "\n";
}

// Throws json::exception or std::runtime_error when the text is not what to_json_text() writes.
Intents parse(const std::string& text) {
  const json document = json::parse(text);
  if (document.at("version").get<int>() != kFormatVersion) throw std::runtime_error("it has another format version");
  Intents intents;
  for (const json& entry : document.at("intents")) {
    Intent intent;
    intent.drained = entry.value("drained", false);
    if (entry.contains("weight")) {
      const auto weight = entry.at("weight").get<std::int64_t>();
      if (weight < 0 || weight > 65535) throw std::runtime_error("a weight is not within 0…65535");
      intent.weight = static_cast<std::uint16_t>(weight);
    }
    intent.reason = entry.value("reason", "");
    intents[{entry.at("pool").get<std::string>(), entry.at("backend").get<std::string>()}] = intent;
  }
  return intents;
}

std::string read_all(int fd, const std::string& path) {
  std::string text;
  char part[4096];
  for (;;) {
    const ssize_t n = read(fd, part, sizeof part);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail("cannot read " + path);
    if (n == 0) return text;
    text.append(part, static_cast<std::size_t>(n));
  }
}

void write_all(int fd, std::string_view text, const std::string& path) {
  while (!text.empty()) {
    const ssize_t n = write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail("cannot write " + path);
    text.remove_prefix(static_cast<std::size_t>(n));
  }
}

}  // namespace

IntentsFile::IntentsFile(const std::string& state_dir) : directory_(state_dir), path_(state_dir + "/intents.json") {
  std::filesystem::create_directories(state_dir);
}

Intents IntentsFile::load(std::string& warning) const {
  const Descriptor file(open(path_.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) {
    if (errno == ENOENT) return {};
    fail("cannot open " + path_);
  }
  const std::string text = read_all(file.get(), path_);
  try {
    return parse(text);
  } catch (const std::exception& error) {
    const std::string aside = path_ + ".bad";
    std::filesystem::rename(path_, aside);
    warning = "operator intents in " + path_ + " cannot be understood (" + error.what() + "); the file is kept as " +
              aside + ", no backend is drained or reweighted";
    return {};
  }
}

void IntentsFile::store(const Intents& intents) const {
  const std::string aside = path_ + ".new";
  {
    const Descriptor file(open(aside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (!file.valid()) fail("cannot create " + aside);
    write_all(file.get(), to_json_text(intents), aside);
    if (fsync(file.get()) != 0) fail("cannot sync " + aside);
  }
  if (rename(aside.c_str(), path_.c_str()) != 0) fail("cannot rename " + aside + " to " + path_);
  const Descriptor directory(open(directory_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory.valid() || fsync(directory.get()) != 0) fail("cannot sync " + directory_);
}

}  // namespace guideway::controlplane
