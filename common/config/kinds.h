// Kinds of values: each takes a Field and gives the typed value, or reports what is wrong with it and gives nothing.
//
// Thread-safety: pure functions, but for what they report.
#pragma once

#include <array>
#include <charconv>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/config/config.h"
#include "common/config/section.h"

namespace guideway::config {

// Of IP packets that fit a way or port.
inline constexpr std::uint16_t kMtuMin = 576;  // RFC 791, section 3.1: what every IPv4 host accepts
inline constexpr std::uint16_t kMtuMax = 9702;

// A value that remembers where it stood, for checks that come later.
template <typename T>
struct Located {
  T value;
  Place place;
};

std::optional<bool> boolean(const Field& field);
std::optional<std::string> text(const Field& field);  // not empty, at most 255 bytes, printable ASCII without spaces
std::optional<std::string> name(const Field& field);  // [a-z0-9_-]{1,63}
std::optional<IpAddress> unicast_address(const Field& field);  // one that a host on a network can have
std::optional<IpAddress> host_address(const Field& field);     // also a loopback or link-local one
std::optional<IpPrefix> unicast_prefix(const Field& field);    // of such addresses, or one of them
std::optional<MacAddress> unicast_mac(const Field& field);
std::optional<std::uint32_t> slot_count(const Field& field);  // a prime

bool is_name(std::string_view text);

std::optional<std::int64_t> integer_in(const Field& field, std::int64_t min, std::int64_t max);
std::optional<double> number_in(const Field& field, double min, double max);
std::optional<Milliseconds> duration_in(const Field& field, Milliseconds min, Milliseconds max);
std::optional<std::uint32_t> mebibytes_in(const Field& field, std::uint32_t min, std::uint32_t max);
std::optional<std::size_t> choice_of(const Field& field, const std::vector<std::string>& words);

template <typename T>
auto integer(T min, T max) {
  return [=](const Field& field) -> std::optional<T> {
    const auto value = integer_in(field, static_cast<std::int64_t>(min), static_cast<std::int64_t>(max));
    return value ? std::optional(static_cast<T>(*value)) : std::nullopt;
  };
}

inline auto number(double min, double max) {
  return [=](const Field& field) { return number_in(field, min, max); };
}

// A string with a unit: "250ms", "3s", "1m", "1h".
inline auto duration(Milliseconds min, Milliseconds max) {
  return [=](const Field& field) { return duration_in(field, min, max); };
}

// A string with a unit: "64MiB", "1GiB".
inline auto mebibytes(std::uint32_t min, std::uint32_t max) {
  return [=](const Field& field) { return mebibytes_in(field, min, max); };
}

// One of a few words, each with its meaning.
template <typename T>
auto choice(std::vector<std::pair<std::string, T>> meanings) {
  return [meanings = std::move(meanings)](const Field& field) -> std::optional<T> {
    std::vector<std::string> words;
    for (const auto& [word, meaning] : meanings) words.push_back(word);
    const auto chosen = choice_of(field, words);
    return chosen ? std::optional(meanings[*chosen].second) : std::nullopt;
  };
}

template <typename Kind>
auto located(Kind kind) {
  return [kind](const Field& field) {
    auto value = kind(field);
    using T = typename decltype(value)::value_type;
    return value ? std::optional(Located<T>{*std::move(value), field.value.place}) : std::nullopt;
  };
}

// A list; elements that are wrong are reported and left out.
template <typename Kind>
auto list_of(Kind kind, std::size_t elements_max) {
  return [=](const Field& field) {
    using T = typename decltype(kind(field))::value_type;
    std::optional<std::vector<T>> values;
    const auto* list = std::get_if<List>(&field.value.data);
    if (list == nullptr) {
      field.wants("a list");
    } else if (list->empty()) {
      field.error("is an empty list; name at least one");
    } else if (list->size() > elements_max) {
      field.error("has " + std::to_string(list->size()) + " elements; at most " + std::to_string(elements_max) +
                  " are possible");
    } else {
      values.emplace();
      for (const Value& element : *list)
        if (auto value = kind(Field{element, field.name, field.review})) values->push_back(*std::move(value));
    }
    return values;
  };
}

// A list, or its only element without brackets.
template <typename Kind>
auto one_or_list_of(Kind kind, std::size_t elements_max) {
  return [=](const Field& field) {
    if (std::holds_alternative<List>(field.value.data)) return list_of(kind, elements_max)(field);
    using T = typename decltype(kind(field))::value_type;
    auto value = kind(field);
    return value ? std::optional(std::vector<T>{*std::move(value)}) : std::nullopt;
  };
}

}  // namespace guideway::config
