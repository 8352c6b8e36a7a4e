#include "controlplane/eras.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "common/net/address_text.h"

namespace guideway::controlplane {
namespace {

using nlohmann::json;

constexpr std::size_t kChecksumDigits = 16;
constexpr std::size_t kLinesOfNoUseMax = 1024;

std::string checksum_of(std::string_view text) {
  return fmt::format("{:016x}", XXH3_64bits(text.data(), text.size()));
}

std::string to_line(const std::string& pool, const Era& era) {
  json weights = json::object();
  for (const WeightedBackend& backend : era.weights) weights[to_text(backend.address)] = backend.weight;
  const json document = {{"pool", pool},
                         {"began_ms", era.began.time_since_epoch().count()},
                         {"slots", era.slot_count},
                         {"weights", weights}};
  const std::string text = document.dump();
  return checksum_of(text) + " " + text + "\n";
}

// Sorted, and without those that own no slot: equal eras are equal.
Weights normalized(Weights weights) {
  std::erase_if(weights, [](const WeightedBackend& backend) { return backend.weight == 0; });
  std::ranges::sort(weights, {}, &WeightedBackend::address);
  return weights;
}

Era era_of(const json& document) {
  Era era;
  era.began = EraTime(std::chrono::milliseconds(document.at("began_ms").get<std::int64_t>()));
  era.slot_count = document.at("slots").get<std::uint32_t>();
  if (era.slot_count == 0 || era.slot_count > kSlotCountMax)
    throw std::runtime_error("a number of slots that cannot be");
  for (const auto& [address, weight] : document.at("weights").items()) {
    const auto parsed = parse_ip(address);
    const auto value = weight.get<std::uint32_t>();
    if (!parsed || value > 65535) throw std::runtime_error("an address or weight that cannot be");
    era.weights.push_back({*parsed, value});
  }
  era.weights = normalized(std::move(era.weights));
  if (era.weights.size() > kBackendsPerPoolMax) throw std::runtime_error("more backends than a pool has");
  return era;
}

// Throws std::exception when the line is not what to_line() writes.
std::pair<std::string, Era> parse_line(std::string_view line) {
  if (line.size() <= kChecksumDigits || line[kChecksumDigits] != ' ') throw std::runtime_error("no checksum");
  const std::string_view text = line.substr(kChecksumDigits + 1);
  if (checksum_of(text) != line.substr(0, kChecksumDigits)) throw std::runtime_error("another checksum");
  const json document = json::parse(text);
  return {document.at("pool").get<std::string>(), era_of(document)};
}

}  // namespace

Eras::Eras(const std::string& state_dir, std::string& warning) : path_(state_dir + "/eras.journal") {
  std::filesystem::create_directories(state_dir);
  if (const auto text = read_whole(path_)) load(*text, warning);
}

// All that is in the file, also what was over long ago: set_window() sorts it out. The last line may have been cut
// short by whoever was killed while writing it; nothing was in force by it.
void Eras::load(const std::string& text, std::string& warning) {
  std::size_t bad = 0;
  std::size_t begin = 0;
  for (std::size_t end; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1) {
    try {
      auto [pool, era] = parse_line(std::string_view(text).substr(begin, end - begin));
      std::deque<Era>& eras = pools_[pool];
      if (!eras.empty() && era.began < eras.back().began) era.began = eras.back().began;
      eras.push_back(std::move(era));
    } catch (const std::exception&) {
      bad++;
    }
  }
  if (bad > 0)
    warning = fmt::format("{}: {} cannot be understood and {} left out; connections that it would keep may break",
                          path_, bad == 1 ? "1 line" : fmt::format("{} lines", bad), bad == 1 ? "is" : "are");
}

// What of the journal was remembered by whoever wrote it: what it did not remember any more must not come back, because
// flows that began since then were not remembered either.
void Eras::set_window(std::chrono::milliseconds window) {
  window_ = window;
  for (auto& [pool, eras] : pools_) {
    std::deque<Era> bounded;
    for (Era& era : eras) {
      bounded.push_back(std::move(era));
      bound(bounded, bounded.back().began);
    }
    eras = std::move(bounded);
  }
}

// What cannot be written is remembered all the same, for as long as this control plane runs.
void Eras::note(const std::string& pool, std::uint32_t slot_count, const Weights& weights, EraTime now) {
  std::deque<Era>& eras = pools_[pool];
  if (begin(eras, {now, slot_count, normalized(weights)}, now)) append(pool, eras.back());
}

// Whether it is a new one.
bool Eras::begin(std::deque<Era>& eras, Era era, EraTime now) const {
  if (!eras.empty() && eras.back().slot_count == era.slot_count && eras.back().weights == era.weights) return false;
  if (!eras.empty()) era.began = std::max(era.began, eras.back().began);  // the clock may have been set back
  eras.push_back(std::move(era));
  bound(eras, now);
  return true;
}

void Eras::bound(std::deque<Era>& eras, EraTime now) const {
  while (eras.size() > 1 && eras[1].began + window_ <= now) eras.pop_front();
  while (eras.size() > kErasMax + 1) eras.erase(eras.begin() + 1);
}

std::vector<Weights> Eras::past(const std::string& pool, EraTime now) const {
  const auto found = pools_.find(pool);
  return found == pools_.end() ? std::vector<Weights>{} : past_of(found->second, now);
}

std::vector<Weights> Eras::past_if(const std::string& pool, std::uint32_t slot_count, const Weights& weights,
                                   EraTime now) const {
  const auto found = pools_.find(pool);
  std::deque<Era> eras = found == pools_.end() ? std::deque<Era>{} : found->second;
  begin(eras, {now, slot_count, normalized(weights)}, now);
  return past_of(eras, now);
}

std::vector<Weights> Eras::past_of(const std::deque<Era>& eras, EraTime now) const {
  std::vector<Weights> past;
  for (std::size_t i = 0; i + 1 < eras.size(); i++)
    if (eras[i + 1].began + window_ > now && eras[i].slot_count == eras.back().slot_count)
      past.push_back(eras[i].weights);
  return past;
}

std::optional<EraTime> Eras::next_change(EraTime now) const {
  std::optional<EraTime> next;
  for (const auto& [pool, eras] : pools_)
    for (std::size_t i = 1; i < eras.size(); i++)
      if (const EraTime end = eras[i].began + window_; end > now && (!next || end < *next)) next = end;
  return next;
}

void Eras::keep_only(const std::vector<std::string>& pools) {
  std::erase_if(pools_, [&](const auto& entry) { return std::ranges::find(pools, entry.first) == pools.end(); });
}

std::size_t Eras::eras_count() const {
  std::size_t count = 0;
  for (const auto& [pool, eras] : pools_) count += eras.size();
  return count;
}

// The first write of a control plane makes the file anew: what was cut short in it is gone.
void Eras::append(const std::string& pool, const Era& era) {
  if (!file_ || lines_ > eras_count() + kLinesOfNoUseMax) return rewrite();
  file_->append(to_line(pool, era));
  lines_++;
}

void Eras::rewrite() {
  std::string text;
  for (const auto& [pool, eras] : pools_)
    for (const Era& era : eras) text += to_line(pool, era);
  file_.reset();
  replace_durably(path_, text);
  file_.emplace(path_);
  lines_ = eras_count();
}

}  // namespace guideway::controlplane
