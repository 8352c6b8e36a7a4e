#include "controlplane/intents.h"

#include <filesystem>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <system_error>

#include "controlplane/durable_file.h"

namespace guideway::controlplane {
namespace {

using nlohmann::json;

constexpr int kFormatVersion = 1;

std::string to_json_text(const Intents& intents) {
  json list = json::array();
  for (const auto& [backend, intent] : intents) {
    json entry = {{"pool", backend.pool}, {"backend", backend.name}, {"reason", intent.reason}};
    if (intent.drained) entry["drained"] = true;
    if (intent.deadline) entry["deadline_ms"] = intent.deadline->time_since_epoch().count();
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
    if (entry.contains("deadline_ms"))
      intent.deadline = Deadline(std::chrono::milliseconds(entry.at("deadline_ms").get<std::int64_t>()));
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

}  // namespace

IntentsFile::IntentsFile(const std::string& state_dir) : path_(state_dir + "/intents.json"), aside_(path_ + ".bad") {
  make_state_directory(state_dir);
}

Intents IntentsFile::load(std::string& warning) {
  const std::optional<std::string> text = read_whole(path_);
  if (!text) return {};
  try {
    Intents intents = parse(*text);
    is_there_ = true;
    return intents;
  } catch (const std::exception& error) {
    is_bad_ = true;
    warning = "operator intents in " + path_ + " cannot be understood (" + error.what() + "); " + kept_where() +
              ", no backend is drained or reweighted";
    return {};
  }
}

// On a disk that cannot be written the file stays where it is: nothing of it is lost, and traffic needs us to start.
std::string IntentsFile::kept_where() {
  try {
    put_aside();
    return "the file is kept as " + aside_;
  } catch (const std::system_error& error) {
    return "the file stays there until it can be kept aside (" + std::string(error.what()) + ")";
  }
}

void IntentsFile::put_aside() {
  rename_durably(path_, aside_);
  is_bad_ = false;
}

void IntentsFile::store(const Intents& intents) {
  if (is_bad_) put_aside();
  replace_durably(path_, to_json_text(intents));
  is_there_ = true;
}

bool IntentsFile::is_behind() const {
  return is_there_ && !std::filesystem::exists(path_);
}

}  // namespace guideway::controlplane
