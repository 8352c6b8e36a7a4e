#include "controlplane/eras.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
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

std::string to_line(json document, std::chrono::milliseconds window) {
  document["window_ms"] = window.count();
  const std::string text = document.dump();
  return checksum_of(text) + " " + text + "\n";
}

std::int64_t in_ms(EraTime time) {
  return time.time_since_epoch().count();
}

json idle_json(const std::string& pool, const Era& era, EraTime since) {
  json idle = json::array();
  for (const IpAddress& address : era.idle) idle.push_back(to_text(address));
  return {{"pool", pool}, {"began_ms", in_ms(since)}, {"idle", idle}};
}

json era_json(const std::string& pool, const Era& era) {
  json document = idle_json(pool, era, era.began);
  json& weights = document["weights"] = json::object();
  for (const WeightedBackend& backend : era.weights) weights[to_text(backend.address)] = backend.weight;
  document["slots"] = era.slot_count;
  return document;
}

json kept_json(const std::string& pool, const Era& era) {
  json document = era_json(pool, era);
  document["ended_ms"] = era.ended.time_since_epoch().count();
  return document;
}

// Sorted, and those that own no slot apart: equal eras are equal.
Era make_era(EraTime began, std::uint32_t slot_count, const Weights& weights) {
  Era era{began, {}, slot_count, {}, {}};
  for (const WeightedBackend& backend : weights)
    if (backend.weight > 0)
      era.weights.push_back(backend);
    else
      era.idle.push_back(backend.address);
  std::ranges::sort(era.weights, {}, &WeightedBackend::address);
  std::ranges::sort(era.idle);
  return era;
}

IpAddress address_of(const std::string& text) {
  const auto parsed = parse_ip(text);
  if (!parsed) throw std::runtime_error("an address that cannot be");
  return *parsed;
}

std::vector<IpAddress> idle_of(const json& document) {
  std::vector<IpAddress> idle;
  for (const json& address : document.value("idle", json::array()))
    idle.push_back(address_of(address.get<std::string>()));
  return idle;
}

Era era_of(const json& document) {
  const auto slot_count = document.at("slots").get<std::uint32_t>();
  if (slot_count == 0 || slot_count > kSlotCountMax) throw std::runtime_error("a number of slots that cannot be");
  Weights weights;
  for (const auto& [address, weight] : document.at("weights").items()) {
    const auto value = weight.get<std::uint32_t>();
    if (value > 65535) throw std::runtime_error("a weight that cannot be");
    weights.push_back({address_of(address), value});
  }
  for (const IpAddress& idle : idle_of(document)) weights.push_back({idle, 0});
  if (weights.size() > kBackendsPerPoolMax) throw std::runtime_error("more backends than a pool has");
  return make_era({}, slot_count, weights);
}

EraTime time_of(const json& document, const char* key) {
  return EraTime(std::chrono::milliseconds(document.at(key).get<std::int64_t>()));
}

// Throws std::exception when the line is not what to_line() writes.
json parse_line(std::string_view line) {
  if (line.size() <= kChecksumDigits || line[kChecksumDigits] != ' ') throw std::runtime_error("no checksum");
  const std::string_view text = line.substr(kChecksumDigits + 1);
  if (checksum_of(text) != line.substr(0, kChecksumDigits)) throw std::runtime_error("another checksum");
  return json::parse(text);
}

std::uint32_t weight_in(const Era& era, const IpAddress& address) {
  const auto found = std::ranges::lower_bound(era.weights, address, {}, &WeightedBackend::address);
  return found == era.weights.end() || found->address != address ? 0 : found->weight;
}

void keep(std::vector<Era>& kept, Era era, EraTime ended) {
  era.ended = ended;
  kept.insert(std::ranges::upper_bound(kept, era.began, {}, &Era::began), std::move(era));
}

// Kept eras in which a backend that is idle now had more weight than in any since.
std::set<const Era*> eras_of_idle(const std::vector<Era>& kept, const std::deque<Era>& eras) {
  std::vector<const Era*> by_age;
  by_age.reserve(kept.size() + eras.size());
  for (const Era& era : kept) by_age.push_back(&era);
  for (const Era& era : eras) by_age.push_back(&era);
  std::ranges::stable_sort(by_age, {}, &Era::began);
  std::map<IpAddress, std::uint32_t> most_since;
  std::set<const Era*> of_idle;
  for (auto at = by_age.rbegin(); at != by_age.rend(); ++at)
    for (const IpAddress& idle : eras.back().idle) {
      std::uint32_t& most = most_since[idle];
      const std::uint32_t weight = weight_in(**at, idle);
      if (weight > most) of_idle.insert(*at);
      most = std::max(most, weight);
    }
  return of_idle;
}

}  // namespace

Eras::Eras(const std::string& state_dir, std::chrono::milliseconds window, std::string& warning)
    : path_(state_dir + "/eras.journal"), window_(window) {
  make_state_directory(state_dir);
  if (const auto text = read_whole(path_)) load(*text, warning);
}

// The last line may have been cut short by whoever was killed while writing it; nothing was in force by it.
void Eras::load(const std::string& text, std::string& warning) {
  std::size_t bad = 0;
  std::size_t begin = 0;
  for (std::size_t end; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1) {
    try {
      replay(std::string_view(text).substr(begin, end - begin));
    } catch (const std::exception&) {
      bad++;
    }
  }
  if (bad > 0)
    warning = fmt::format("{}: {} cannot be understood and {} left out; connections that it would keep may break",
                          path_, bad == 1 ? "1 line" : fmt::format("{} lines", bad), bad == 1 ? "is" : "are");
}

// What whoever wrote the journal did not remember any more must not come back, because flows that began since then were
// not remembered either. So each line does what it did when it was written.
void Eras::replay(std::string_view line) {
  const json document = parse_line(line);
  const auto pool = document.at("pool").get<std::string>();
  const EraTime began = time_of(document, "began_ms");
  if (document.contains("window_ms"))  // older journals lack it
    window_ = std::chrono::milliseconds(document["window_ms"].get<std::int64_t>());
  latest_ = not_before_latest(document.contains("ended_ms") ? time_of(document, "ended_ms") : began);
  if (!document.contains("weights")) {
    if (pools_[pool].eras.empty()) throw std::runtime_error("nothing that it changes");
    return set_idle(pools_[pool], idle_of(document), began);
  }
  Era era = era_of(document);
  era.began = began;
  if (document.contains("ended_ms"))
    keep(pools_[pool].kept, std::move(era), time_of(document, "ended_ms"));
  else
    begin(pools_[pool], std::move(era));
}

// What is over by the window of before is over: a longer one must not bring it back.
void Eras::set_window(std::chrono::milliseconds window, EraTime now) {
  if (window == window_) return;
  latest_ = not_before_latest(now);
  for (auto& [pool, history] : pools_) end(history, latest_);
  window_ = window;
  for (auto& [pool, history] : pools_) {
    History bounded;
    for (Era& era : history.eras) begin(bounded, std::move(era));
    for (const Era& era : history.kept) keep(bounded.kept, era, era.ended);
    history = std::move(bounded);
  }
  rewrite();
}

// What cannot be written is remembered all the same, for as long as this control plane runs, and the next call,
// whatever it notes, writes it.
void Eras::note(const std::string& pool, std::uint32_t slot_count, const Weights& weights, EraTime now) {
  now = latest_ = not_before_latest(now);
  History& history = pools_[pool];
  const Change change = follow(history, make_era(now, slot_count, weights));
  if (change == Change::none) return catch_up();
  if (change == Change::era) append(to_line(era_json(pool, history.eras.back()), window_));
  if (change == Change::idle) append(to_line(idle_json(pool, history.eras.back(), now), window_));
}

void Eras::catch_up() {
  if (is_behind()) rewrite();
}

Eras::Change Eras::follow(History& history, Era era) const {
  const bool is_same = !history.eras.empty() && history.eras.back().slot_count == era.slot_count &&
                       history.eras.back().weights == era.weights;
  if (!is_same) {
    begin(history, std::move(era));
    return Change::era;
  }
  if (history.eras.back().idle == era.idle) return Change::none;
  set_idle(history, std::move(era.idle), era.began);
  return Change::idle;
}

void Eras::begin(History& history, Era era) const {
  std::deque<Era>& eras = history.eras;
  if (!eras.empty()) {
    era.began = std::max(era.began, eras.back().began);
    end(history, era.began);
  }
  eras.push_back(std::move(era));
  while (eras.size() > kErasMax + 1) {
    keep(history.kept, std::move(eras[1]), eras[2].began);
    eras.erase(eras.begin() + 1);
  }
  drop_useless(history, eras.back().began);
}

void Eras::set_idle(History& history, std::vector<IpAddress> idle, EraTime now) const {
  now = std::max(now, history.eras.back().began);
  end(history, now);
  history.eras.back().idle = std::move(idle);
  drop_useless(history, now);
}

// What has been over for the window.
void Eras::end(History& history, EraTime now) const {
  std::deque<Era>& eras = history.eras;
  for (; eras.size() > 1 && eras[1].began + window_ <= now; eras.pop_front())
    keep(history.kept, std::move(eras.front()), eras[1].began);
  drop_useless(history, now);
}

// As many are kept as can be remembered.
void Eras::drop_useless(History& history, EraTime now) const {
  if (history.kept.empty() || history.eras.empty()) return;
  const std::set<const Era*> of_idle = eras_of_idle(history.kept, history.eras);
  std::vector<Era> kept;
  for (Era& era : history.kept)
    if (is_older(era, now) || of_idle.contains(&era)) kept.push_back(std::move(era));
  while (kept.size() > kErasMax) kept.erase(kept.begin() + 1);
  history.kept = std::move(kept);
}

PastEras Eras::past(const std::string& pool, EraTime now) const {
  const auto found = pools_.find(pool);
  return found == pools_.end() ? PastEras{} : past_of(found->second, not_before_latest(now));
}

PastEras Eras::past_if(const std::string& pool, std::uint32_t slot_count, const Weights& weights, EraTime now) const {
  const auto found = pools_.find(pool);
  History history = found == pools_.end() ? History{} : found->second;
  now = not_before_latest(now);
  follow(history, make_era(now, slot_count, weights));
  return past_of(std::move(history), now);
}

PastEras Eras::past_of(History history, EraTime now) const {
  PastEras past;
  if (history.eras.empty()) return past;
  end(history, now);
  const std::uint32_t slot_count = history.eras.back().slot_count;
  for (Era& era : history.kept)
    if (era.slot_count == slot_count) (is_older(era, now) ? past.older : past.kept).push_back(std::move(era.weights));
  for (std::size_t i = 0; i + 1 < history.eras.size(); i++)
    if (history.eras[i].slot_count == slot_count) past.recent.push_back(std::move(history.eras[i].weights));
  return past;
}

std::string Eras::lack_of(const std::map<std::string, std::uint32_t>& unsettled_slots) const {
  const auto is_known = [this](const std::string& pool) {
    const auto found = pools_.find(pool);
    return found != pools_.end() && !found->second.eras.empty();
  };
  std::string lack;
  for (const auto& [pool, unsettled] : unsettled_slots)
    if (unsettled > 0 && !is_known(pool))
      lack += fmt::format("{} {} (unsettled slots: {})", lack.empty() ? "" : ",", pool, unsettled);
  if (lack.empty()) return {};
  return fmt::format(
      "{} is missing, or says nothing of pools whose slots have moved:{}; they settle now, and connections that began "
      "before they moved may break",
      path_, lack);
}

std::optional<EraTime> Eras::next_change(EraTime now) const {
  now = not_before_latest(now);
  std::optional<EraTime> next;
  const auto consider = [&](EraTime change) {
    if (change > now && (!next || change < *next)) next = change;
  };
  for (const auto& [pool, history] : pools_) {
    for (std::size_t i = 1; i < history.eras.size(); i++)
      for (const int windows : {1, kOlderWindows}) consider(history.eras[i].began + windows * window_);
    for (const Era& era : history.kept) consider(era.ended + kOlderWindows * window_);
  }
  return next;
}

// Their lines go as well: a pool that comes back under the same name must not have a past that nobody remembered.
void Eras::keep_only(const std::vector<std::string>& pools) {
  const auto is_gone = [&](const auto& entry) { return std::ranges::find(pools, entry.first) == pools.end(); };
  if (std::erase_if(pools_, is_gone) > 0) rewrite();
}

std::size_t Eras::eras_count() const {
  std::size_t count = 0;
  for (const auto& [pool, history] : pools_) count += history.eras.size() + history.kept.size();
  return count;
}

// The first write of a control plane makes the file anew, as does the first one after a write that failed: what was cut
// short in it is gone.
void Eras::append(const std::string& line) {
  if (!file_ || is_behind() || lines_ > eras_count() + kLinesOfNoUseMax) return rewrite();
  is_behind_ = true;
  file_->append(line);
  is_behind_ = false;
  lines_++;
}

void Eras::rewrite() {
  is_behind_ = true;
  std::string text;
  for (const auto& [pool, history] : pools_) {
    for (const Era& era : history.eras) text += to_line(era_json(pool, era), window_);
    for (const Era& era : history.kept) text += to_line(kept_json(pool, era), window_);
  }
  file_.reset();
  replace_durably(path_, text);
  file_.emplace(path_);
  lines_ = eras_count();
  is_behind_ = false;
}

}  // namespace guideway::controlplane
