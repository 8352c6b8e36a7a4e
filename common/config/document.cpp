#include "common/config/document.h"

#include <toml++/toml.h>

#include <algorithm>

#include "common/config/words.h"

namespace guideway::config {
namespace {

// An implicit table, like `pool` of [pool.web], has no place of its own in toml++.
Place place_of(const toml::source_region& region) {
  return {region.begin.line, region.begin.column};
}

Value convert(const toml::node& node);

Table convert_table(const toml::table& from) {
  Table table;
  for (const auto& [key, node] : from) table.push_back({std::string(key.str()), place_of(key.source()), convert(node)});
  std::stable_sort(table.begin(), table.end(), [](const Entry& a, const Entry& b) { return a.place < b.place; });
  return table;
}

// Recursion is bounded by find_excess().
Value convert(const toml::node& node) {
  Value value{Date{}, place_of(node.source())};
  if (const auto* boolean = node.as_boolean()) value.data = boolean->get();
  if (const auto* integer = node.as_integer()) value.data = integer->get();
  if (const auto* number = node.as_floating_point()) value.data = number->get();
  if (const auto* text = node.as_string()) value.data = text->get();
  if (const auto* table = node.as_table()) value.data = convert_table(*table);
  if (const auto* array = node.as_array()) {
    List list;
    for (const toml::node& element : *array) list.push_back(convert(element));
    value.data = std::move(list);
  }
  return value;
}

}  // namespace

Document parse_document(std::string_view text) {
  try {
    return convert_table(toml::parse(text));
  } catch (const toml::parse_error& error) {
    return Refusal{place_of(error.source()), std::string(error.description())};
  }
}

std::string description(const Value& value) {
  struct Describe {
    std::string operator()(bool v) const { return v ? "the boolean true" : "the boolean false"; }
    std::string operator()(std::int64_t v) const { return "the integer " + std::to_string(v); }
    std::string operator()(double) const { return "a number with a fraction"; }
    std::string operator()(const std::string& v) const { return "the string " + in_quotes(v); }
    std::string operator()(Date) const { return "a date or time"; }
    std::string operator()(const List&) const { return "a list"; }
    std::string operator()(const Table&) const { return "a table"; }
  };
  return std::visit(Describe{}, value.data);
}

}  // namespace guideway::config
