#include "dataplane/replay/changes.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include "common/config/words.h"

namespace guideway::replay {
namespace {

constexpr double kSecondsMax = 1e9;  // nanoseconds of it fit a number of 64 bits
constexpr std::array<std::pair<const char*, BackendState>, 4> kStates{{{"up", BackendState::up},
                                                                       {"drained", BackendState::drained},
                                                                       {"down", BackendState::down},
                                                                       {"unreachable", BackendState::unreachable}}};

// One line, which is not empty. Throws std::runtime_error, what is wrong with it.
class Line {
 public:
  Line(const std::string& text, const config::Config& config) : words_(text), config_(config) {}

  Change change() {
    Change change;
    change.at = time();
    find_backend(change);
    change.to = state();
    if (std::string more; words_ >> more)
      throw std::runtime_error(fmt::format("{} is too much; a line says SECONDS POOL/BACKEND STATE", quoted(more)));
    return change;
  }

 private:
  static std::string quoted(const std::string& word) { return config::in_quotes(word); }
  std::string next() {
    std::string word;
    words_ >> word;
    return word;
  }

  Ns time() {
    const std::string word = next();
    double seconds = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), seconds);
    if (error != std::errc{} || end != word.data() + word.size() || !(seconds >= 0 && seconds <= kSecondsMax))
      throw std::runtime_error(fmt::format("{} is no time; write seconds since the first packet", quoted(word)));
    return Ns{std::llround(seconds * 1e9)};
  }

  void find_backend(Change& change) {
    const std::string word = next();
    const std::size_t slash = std::min(word.find('/'), word.size());
    const auto pool = std::ranges::find(config_.pools, word.substr(0, slash), &config::Pool::name);
    if (pool == config_.pools.end())
      throw std::runtime_error(fmt::format("{} is of no pool; write POOL/BACKEND", quoted(word)));
    const auto backend =
        std::ranges::find(pool->backends, word.substr(std::min(slash + 1, word.size())), &config::Backend::name);
    if (backend == pool->backends.end())
      throw std::runtime_error(
          fmt::format("{} is no backend of pool {}; write POOL/BACKEND", quoted(word), pool->name));
    change.pool = static_cast<std::size_t>(pool - config_.pools.begin());
    change.backend = static_cast<std::size_t>(backend - pool->backends.begin());
  }

  BackendState state() {
    const std::string word = next();
    for (const auto& [name, state] : kStates)
      if (word == name) return state;
    throw std::runtime_error(fmt::format("{} is no state; write up, drained, down or unreachable", quoted(word)));
  }

  std::istringstream words_;
  const config::Config& config_;
};

}  // namespace

std::vector<Change> read_changes(const std::string& path, const config::Config& config) {
  std::ifstream file(path);
  if (!file) throw std::runtime_error("cannot read " + path);
  std::vector<Change> changes;
  std::string text;
  for (int number = 1; std::getline(file, text); number++) {
    text.resize(std::min(text.find('#'), text.size()));
    if (text.find_first_not_of(" \t\r") == std::string::npos) continue;
    try {
      changes.push_back(Line(text, config).change());
      if (changes.size() > 1 && changes.back().at < changes[changes.size() - 2].at)
        throw std::runtime_error("it is of an earlier time than the line before; put them in order");
    } catch (const std::runtime_error& error) {
      throw std::runtime_error(fmt::format("{}:{}: {}", path, number, error.what()));
    }
  }
  return changes;
}

}  // namespace guideway::replay
