// TOML text → a tree of values that know their place in the text. The only user of toml++.
//
// Thread-safety: plain values, pure functions.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace guideway::config {

struct Place {  // 1-based; 0: the file as a whole
  std::uint32_t line = 0;
  std::uint32_t column = 0;  // in characters
  friend auto operator<=>(const Place&, const Place&) = default;
};

struct Value;
struct Entry;
struct Date {};  // no key wants one
using List = std::vector<Value>;
using Table = std::vector<Entry>;  // in the order of the file

struct Value {
  std::variant<bool, std::int64_t, double, std::string, Date, List, Table> data;
  Place place;
};

struct Entry {
  std::string key;
  Place place;  // of the key
  Value value;
};

// "the integer 5", "a list": for messages.
std::string description(const Value& value);

struct Refusal {
  Place place;
  std::string why;
};
using Document = std::variant<Table, Refusal>;

// REQUIRES: find_excess(text) found nothing.
Document parse_document(std::string_view text);

// Input bounds, which keep a hostile file from exhausting the parser's stack: 4 MiB, lines of 4 KiB, 16 dots in a key,
// brackets 16 deep. Also refuses NUL bytes, and characters outside ASCII where TOML has none.
std::optional<Refusal> find_excess(std::string_view text);

}  // namespace guideway::config
