#include "controlplane/backend_numbers.h"

#include <filesystem>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "common/net/address_text.h"
#include "controlplane/durable_file.h"

namespace guideway::controlplane {
namespace {

using nlohmann::json;

constexpr int kFormatVersion = 1;

std::string to_json_text(const BackendNumbers& numbers) {
  json pools = json::object();
  for (const auto& [backend, number] : numbers) pools[backend.pool][to_text(backend.address)] = number;
  return json{{"version", kFormatVersion}, {"pools", pools}}.dump() + "\n";
}

// Throws json::exception or std::runtime_error when the text is not what to_json_text() writes.
BackendNumbers parse(const std::string& text) {
  const json document = json::parse(text);
  if (document.at("version").get<int>() != kFormatVersion) throw std::runtime_error("it has another format version");
  BackendNumbers numbers;
  for (const auto& [pool, backends] : document.at("pools").items())
    for (const auto& [text_of_address, number] : backends.items()) {
      const auto address = parse_ip(text_of_address);
      if (!address) throw std::runtime_error("an address that cannot be");
      numbers[{pool, *address}] = number.get<std::uint32_t>();
    }
  return numbers;
}

}  // namespace

BackendNumbersFile::BackendNumbersFile(const std::string& state_dir) : path_(state_dir + "/backend_numbers.json") {
  make_state_directory(state_dir);
}

BackendNumbers BackendNumbersFile::load(std::string& warning) {
  const std::optional<std::string> text = read_whole(path_);
  if (!text) return {};
  try {
    return stored_ = parse(*text);
  } catch (const std::exception& error) {
    warning = path_ + " cannot be understood (" + error.what() +
              ") and is made anew; if the data plane was restarted, too, flows that it remembers may break";
    return {};
  }
}

void BackendNumbersFile::store(const BackendNumbers& numbers) {
  if (numbers == stored_ && !is_behind()) return;
  replace_durably(path_, to_json_text(numbers));
  stored_ = numbers;
}

bool BackendNumbersFile::is_behind() const {
  return !std::filesystem::exists(path_);
}

}  // namespace guideway::controlplane
