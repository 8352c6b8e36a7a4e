#include "common/config/section.h"

#include <algorithm>

#include "common/config/words.h"

namespace guideway::config {

std::nullopt_t Field::error(const std::string& what) const {
  review.error(value.place, std::string(name) + " " + what);
  return std::nullopt;
}

std::nullopt_t Field::wants(std::string_view what) const {
  return error("wants " + std::string(what) + ", found " + description(value));
}

Section::Section(const Table& table, Place place, std::string path, std::string schema, Review& review)
    : table_(table), place_(place), path_(std::move(path)), schema_(std::move(schema)), review_(review) {}

Section::~Section() {
  const std::string where = path_.empty() ? " at the top level" : " in " + printable(path_);
  for (const Entry& entry : table_) {
    if (std::find(taken_.begin(), taken_.end(), entry.key) != taken_.end()) continue;
    std::string hint = review_.did_you_mean(entry.key, taken_);
    if (hint.empty()) hint = "; remove it";
    review_.error(entry.place, "unknown key " + in_quotes(entry.key) + where + hint);
  }
}

Place Section::place_of(std::string_view key) const {
  const Entry* entry = find(key);
  return entry == nullptr ? place_ : entry->value.place;
}

void Section::missing(std::string_view key) {
  const std::string where = path_.empty() ? "at the top level" : "in " + printable(path_);
  review_.error(place_, "missing key " + std::string(key) + " " + where);
}

std::string Section::child(std::string_view path, std::string_view key) {
  return path.empty() ? std::string(key) : std::string(path) + "." + std::string(key);
}

const Entry* Section::find(std::string_view key) const {
  const auto found = std::find_if(table_.begin(), table_.end(), [&](const Entry& entry) { return entry.key == key; });
  return found == table_.end() ? nullptr : &*found;
}

const Entry* Section::take(std::string_view key) {
  taken_.emplace_back(key);
  review_.knows(child(schema_, key));
  return find(key);
}

const Table* Section::table_of(const Value& value, std::string_view key) {
  const auto* table = std::get_if<Table>(&value.data);
  if (table == nullptr) Field{value, key, review_}.wants("a table");
  return table;
}

const List* Section::list_of_tables(const Value& value, std::string_view key) {
  const auto* list = std::get_if<List>(&value.data);
  if (list == nullptr) Field{value, key, review_}.wants("a list of tables");
  return list;
}

}  // namespace guideway::config
