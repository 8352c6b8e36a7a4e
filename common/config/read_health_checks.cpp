#include <algorithm>

#include "common/config/kinds.h"
#include "common/config/sections.h"
#include "common/config/words.h"

namespace guideway::config {
namespace {

using namespace std::chrono_literals;

struct StatusRange {
  std::uint16_t min;
  std::uint16_t max;
};

// "200-299", "204" or 204.
std::optional<StatusRange> status_range(const Field& field) {
  if (std::holds_alternative<std::int64_t>(field.value.data)) {
    const auto status = integer_in(field, 100, 599);
    if (!status) return std::nullopt;
    return StatusRange{static_cast<std::uint16_t>(*status), static_cast<std::uint16_t>(*status)};
  }
  const auto* text = std::get_if<std::string>(&field.value.data);
  if (text == nullptr) return field.wants("a status like 200 or a range like \"200-299\"");
  StatusRange range{};
  const char* end = text->data() + text->size();
  auto parsed = std::from_chars(text->data(), end, range.min);
  range.max = range.min;
  if (parsed.ec == std::errc{} && parsed.ptr != end && *parsed.ptr == '-')
    parsed = std::from_chars(parsed.ptr + 1, end, range.max);
  if (parsed.ec != std::errc{} || parsed.ptr != end || range.min < 100 || range.max > 599 || range.min > range.max)
    return field.error("must be a status or a range within 100 to 599 like \"200-299\", not " + in_quotes(*text));
  return range;
}

std::optional<std::string> url_path(const Field& field) {
  auto path = text(field);
  if (path && path->front() != '/') return field.error("must begin with '/', not " + in_quotes(*path));
  return path;
}

void read_http(Section& section, HealthCheck& check) {
  StatusRange expect{check.expect_status_min, check.expect_status_max};
  section.optional("path", check.path, url_path);
  section.optional("host", check.host, text);
  section.optional("expect", expect, status_range);
  check.expect_status_min = expect.min;
  check.expect_status_max = expect.max;
  if (check.type == CheckType::http) return;
  for (const char* key : {"path", "host", "expect"})
    if (section.has(key))
      section.review().error(section.place_of(key), std::string(key) + " is for type = \"http\"; remove it");
}

void read_check(Section& section, HealthCheck& check) {
  section.optional("type", check.type,
                   choice<CheckType>({{"tcp", CheckType::tcp}, {"http", CheckType::http}, {"none", CheckType::none}}));
  section.optional("port", check.port, integer<std::uint16_t>(1, 65535));
  if (check.type != CheckType::none && !section.has("port")) section.missing("port");
  read_http(section, check);
  section.optional("interval", check.interval, duration(100ms, 1h));
  section.optional("timeout", check.timeout, duration(10ms, 1min));
  section.optional("rise", check.rise, integer(1U, 100U));
  section.optional("fall", check.fall, integer(1U, 100U));
  section.optional("jitter", check.jitter, number(0, 0.5));
  if (check.timeout > check.interval)
    section.review().error(section.place_of(section.has("timeout") ? "timeout" : "interval"),
                           "timeout is longer than interval; a check must end before the next one begins");
}

}  // namespace

void read_health_checks(Section& root, Names& names, std::vector<HealthCheck>& checks) {
  root.each_named("health_check", [&](const std::string& name, Section& section) {
    names.add(name, section);
    checks.emplace_back().name = name;
    read_check(section, checks.back());
  });
}

}  // namespace guideway::config
