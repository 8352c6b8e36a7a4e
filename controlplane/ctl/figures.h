// Numbers as people read them.
//
// Thread-safety: pure functions.
#pragma once

#include <cstdint>
#include <ctime>
#include <string>

namespace guideway::ctl {

std::string rate(double per_second, const std::string& unit);  // "0 pkt/s", "2.5 kbit/s", "18 Mpkt/s"
std::string percent(double share);                             // 0.25: "25.0 %"
std::string age(std::int64_t seconds);                         // "12s", "3m20s", "4h5m", "12d4h"

// From an RFC 3339 time of day in UTC until `now`, as age() says it; "?" if it is none.
std::string age_since(const std::string& time_of_day, std::time_t now);

}  // namespace guideway::ctl
