// A table of the file being read. Whoever reads a section names each key it understands, where the value goes and what
// kind of value it is; what nobody named when the Section ends is an unknown key.
//
//   root.in("control", [&](Section& section) {
//     section.optional("run_dir", control.run_dir, socket_directory());
//     section.optional("tables_memory", control.tables_mib, mebibytes(1, 1024));
//   });
//
// A wrong value is reported and leaves its default in place, so reading goes on and finds the next problem.
// Thread-safety: one thread.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/config/document.h"
#include "common/config/review.h"

namespace guideway::config {

// One value on its way through a kind (kinds.h).
struct Field {
  const Value& value;
  std::string_view name;  // of its key
  Review& review;

  std::nullopt_t error(const std::string& what) const;  // "NAME WHAT"
  std::nullopt_t wants(std::string_view what) const;    // "NAME wants WHAT, found …"
};

class Section {
 public:
  // `path` is for messages ("pool.web"), `schema` names the key whatever the operator called it ("pool.NAME").
  Section(const Table& table, Place place, std::string path, std::string schema, Review& review);
  ~Section();
  Section(const Section&) = delete;
  Section& operator=(const Section&) = delete;

  Place place() const { return place_; }
  Place place_of(std::string_view key) const;  // of its value; of the section when absent
  Review& review() { return review_; }
  bool has(std::string_view key) const { return find(key) != nullptr; }

  template <typename Out, typename Kind>
  void optional(std::string_view key, Out& out, const Kind& kind) {
    const Entry* entry = take(key);
    if (entry == nullptr) return;
    if (auto value = kind(Field{entry->value, key, review_})) out = *std::move(value);
  }

  template <typename Out, typename Kind>
  void required(std::string_view key, Out& out, const Kind& kind) {
    if (find(key) == nullptr) missing(key);
    optional(key, out, kind);
  }

  void missing(std::string_view key);

  // The table at `key`; an empty one when it is absent.
  template <typename Read>
  void in(std::string_view key, const Read& read) {
    static const Table kNothing;
    const Entry* entry = take(key);
    const Table* table = entry == nullptr ? &kNothing : table_of(entry->value, key);
    if (table == nullptr) return;
    Section section(*table, entry == nullptr ? place_ : entry->place, child(path_, key), child(schema_, key), review_);
    read(section);
  }

  // Each [key.NAME], with its name.
  template <typename Read>
  void each_named(std::string_view key, const Read& read) {
    const Entry* entry = take(key);
    const Table* tables = entry == nullptr ? nullptr : table_of(entry->value, key);
    if (tables == nullptr) return;
    for (const Entry& named : *tables) {
      const Table* table = table_of(named.value, child(key, named.key));
      if (table == nullptr) continue;
      Section section(*table, named.place, child(child(path_, key), named.key), child(child(schema_, key), "NAME"),
                      review_);
      read(named.key, section);
    }
  }

  // Each [[key]], or each element of key = [{…}, …].
  template <typename Read>
  void each(std::string_view key, const Read& read) {
    const Entry* entry = take(key);
    const List* list = entry == nullptr ? nullptr : list_of_tables(entry->value, key);
    if (list == nullptr) return;
    for (const Value& element : *list) {
      const Table* table = table_of(element, key);
      if (table == nullptr) continue;
      Section section(*table, element.place, child(path_, key), child(schema_, key), review_);
      read(section);
    }
  }

 private:
  static std::string child(std::string_view path, std::string_view key);
  const Entry* find(std::string_view key) const;
  const Entry* take(std::string_view key);
  const Table* table_of(const Value& value, std::string_view key);
  const List* list_of_tables(const Value& value, std::string_view key);

  const Table& table_;
  Place place_;
  std::string path_;
  std::string schema_;
  Review& review_;
  std::vector<std::string> taken_;
};

}  // namespace guideway::config
