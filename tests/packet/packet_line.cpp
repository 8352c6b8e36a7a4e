#include "tests/packet/packet_line.h"

#include <algorithm>
#include <sstream>

#include "common/net/address_text.h"

namespace guideway::packet_text {
namespace {

// Within the last 32 bits of the address.
IpAddress plus(IpAddress address, std::uint32_t count) {
  std::uint8_t* last = address.bytes.data() + 12;
  store(last, Be32::from_host(load<Be32>(last).host() + count));
  return address;
}

std::string repeated(const std::string& text, std::uint32_t i, int line) {
  const std::size_t plus_sign = text.find('+');
  if (plus_sign == std::string::npos || !text.ends_with('i')) return text;
  const std::string first = text.substr(0, plus_sign);
  const std::string step = text.substr(plus_sign + 1, text.size() - plus_sign - 2);
  const std::uint32_t count = parse_number(step, line) * i;
  if (const auto address = parse_ip(first)) return to_text(plus(*address, count));
  return std::to_string(parse_number(first, line) + count);
}

}  // namespace

std::vector<Line> split_lines(std::string_view text) {
  std::vector<Line> lines;
  std::istringstream stream{std::string(text)};
  int number = 0;
  for (std::string row; std::getline(stream, row);) {
    number++;
    std::istringstream words(row.substr(0, row.find('#')));
    Line line;
    line.number = number;
    if (!(words >> line.name)) continue;
    for (std::string word; words >> word;) {
      const std::size_t equals = word.find('=');
      line.fields.emplace_back(word.substr(0, equals), equals == std::string::npos ? "" : word.substr(equals + 1));
    }
    lines.push_back(line);
  }
  return lines;
}

Line repetition(const Line& line, std::uint32_t i) {
  Line copy = line;
  for (auto& [name, value] : copy.fields)
    (value.empty() ? name : value) = repeated(value.empty() ? name : value, i, line.number);
  return copy;
}

std::uint32_t parse_number(const std::string& text, int line) {
  std::size_t used = 0;
  unsigned long value = 0;
  try {
    value = std::stoul(text, &used, 0);
  } catch (const std::exception&) {
  }
  if (used == 0 || used != text.size() || value > 0xffffffff) throw TextError(line, "\"" + text + "\" is no number");
  return static_cast<std::uint32_t>(value);
}

std::vector<std::uint8_t> parse_hex(const std::string& text, int line) {
  if (text.find_first_not_of("0123456789abcdef") != std::string::npos || text.size() % 2 != 0)
    throw TextError(line, "\"" + text + "\" is no hex string");
  std::vector<std::uint8_t> bytes;
  for (std::size_t i = 0; i < text.size(); i += 2)
    bytes.push_back(static_cast<std::uint8_t>(std::stoul(text.substr(i, 2), nullptr, 16)));
  return bytes;
}

const std::string* Fields::take(std::string_view name) {
  for (std::size_t i = 0; i < line_.fields.size(); i++) {
    if (taken_[i] || line_.fields[i].first != name) continue;
    taken_[i] = true;
    return &line_.fields[i].second;
  }
  return nullptr;
}
bool Fields::has(std::string_view name) const {
  return std::any_of(line_.fields.begin(), line_.fields.end(), [&](const auto& field) { return field.first == name; });
}
bool Fields::has_more(std::string_view name) const {
  for (std::size_t i = 0; i < line_.fields.size(); i++)
    if (!taken_[i] && line_.fields[i].first == name) return true;
  return false;
}
bool Fields::has_word() const {
  for (std::size_t i = 0; i < line_.fields.size(); i++)
    if (!taken_[i] && line_.fields[i].second.empty()) return true;
  return false;
}
bool Fields::flag(std::string_view name) {
  const std::string* value = take(name);
  if (value != nullptr && !value->empty()) fail("\"" + std::string(name) + "\" takes no value");
  return value != nullptr;
}
std::string Fields::word() {
  for (std::size_t i = 0; i < line_.fields.size(); i++) {
    if (taken_[i] || !line_.fields[i].second.empty()) continue;
    taken_[i] = true;
    return line_.fields[i].first;
  }
  fail("\"" + line_.name + "\" lacks a word");
}
std::string Fields::text(std::string_view name, std::string_view otherwise) {
  const std::string* value = take(name);
  return value != nullptr ? *value : std::string(otherwise);
}
std::uint32_t Fields::number(std::string_view name, std::uint32_t otherwise) {
  const std::string* value = take(name);
  return value != nullptr ? parse_number(*value, line_.number) : otherwise;
}
IpAddress Fields::address(std::string_view name) {
  const std::string given = text(name, "");
  const auto ip = parse_ip(given);
  if (!ip) fail("\"" + given + "\" is no address");
  return *ip;
}
void Fields::finish() const {
  for (std::size_t i = 0; i < taken_.size(); i++)
    if (!taken_[i]) fail("\"" + line_.name + "\" has no field \"" + line_.fields[i].first + "\"");
}

}  // namespace guideway::packet_text
