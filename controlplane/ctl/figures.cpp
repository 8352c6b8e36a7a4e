#include "controlplane/ctl/figures.h"

#include <fmt/format.h>
#include <time.h>

#include <algorithm>

namespace guideway::ctl {

std::string rate(double per_second, const std::string& unit) {
  constexpr const char* kPrefixes[] = {"", "k", "M", "G", "T"};
  std::size_t prefix = 0;
  for (; per_second >= 999.5 && prefix + 1 < std::size(kPrefixes); prefix++) per_second /= 1000;
  const bool fine = per_second < 9.95 && per_second > 0;
  return fmt::format("{:.{}f} {}{}/s", per_second, fine ? 1 : 0, kPrefixes[prefix], unit);
}

std::string percent(double share) {
  return fmt::format("{:.1f} %", share * 100);
}

std::string age(std::int64_t seconds) {
  seconds = std::max<std::int64_t>(seconds, 0);
  const std::int64_t minutes = seconds / 60;
  const std::int64_t hours = minutes / 60;
  const std::int64_t days = hours / 24;
  if (days > 0) return fmt::format("{}d{}h", days, hours % 24);
  if (hours > 0) return fmt::format("{}h{}m", hours, minutes % 60);
  if (minutes > 0) return fmt::format("{}m{}s", minutes, seconds % 60);
  return fmt::format("{}s", seconds);
}

std::string age_since(const std::string& time_of_day, std::time_t now) {
  std::tm utc{};
  const char* end = ::strptime(time_of_day.c_str(), "%Y-%m-%dT%H:%M:%S", &utc);
  return end == nullptr ? "?" : age(now - ::timegm(&utc));
}

}  // namespace guideway::ctl
