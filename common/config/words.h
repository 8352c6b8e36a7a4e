// Words of the operator: quoted safely, and guessed when misspelt.
//
// Thread-safety: pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace guideway::config {

// With every byte that could move a terminal's cursor as '?'.
std::string printable(std::string_view text);

// In double quotes, printable, and cut when long.
std::string in_quotes(std::string_view text);

// How many insertions, deletions, replacements and swaps of neighbours lead from one word to the other.
std::size_t edit_distance(std::string_view a, std::string_view b);

// Pairs of hex digits as bytes; nothing if there is anything else.
std::optional<std::vector<std::uint8_t>> parse_hex(std::string_view text);

// The candidate that was probably meant: at most one mistake per three letters. nullptr if there is none.
const std::string* nearest(std::string_view word, std::span<const std::string> candidates);

}  // namespace guideway::config
