// Columns of text, with or without colour.
//
// Thread-safety: plain values.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <vector>

namespace guideway::ctl {

enum class Colour : std::uint8_t { none, good, bad, odd, faint };

struct Style {
  bool colour = false;  // of a terminal that wants it (https://no-color.org)
  std::string paint(const std::string& text, Colour colour) const;
};

struct Cell {
  Cell(std::string t, Colour c = Colour::none) : text(std::move(t)), colour(c) {}
  Cell(const char* t) : text(t) {}
  std::string text;
  Colour colour = Colour::none;
};

class TextTable {
 public:
  // One letter per column: 'l'eft or 'r'ight. A left column at the end is not padded.
  explicit TextTable(std::string alignment) : alignment_(std::move(alignment)) {}

  void add(std::vector<Cell> row) { rows_.push_back(std::move(row)); }  // REQUIRES: as many cells as columns
  std::string text(const Style& style, const std::string& indent) const;

 private:
  std::string alignment_;
  std::vector<std::vector<Cell>> rows_;
};

}  // namespace guideway::ctl
