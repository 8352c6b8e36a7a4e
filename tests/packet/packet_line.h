// Cases are text of lines: a word, then words or key=value; "#" begins a comment.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "guideway/address.h"

namespace guideway::packet_text {

struct Line {
  int number = 0;
  std::string name;
  std::vector<std::pair<std::string, std::string>> fields;  // without '=': the word and an empty value
};

struct TextError : std::runtime_error {
  TextError(int line, const std::string& what) : std::runtime_error(std::to_string(line) + ": " + what) {}
};

std::vector<Line> split_lines(std::string_view text);

// The line as the i-th repetition has it: what is written A+Bi (A: a number or an address) becomes A + B × i.
Line repetition(const Line& line, std::uint32_t i);

std::uint32_t parse_number(const std::string& text, int line);           // decimal or 0x…
std::vector<std::uint8_t> parse_hex(const std::string& text, int line);  // pairs of lower-case digits

// The fields of a line, each to be taken once; finish() throws if one was not, so that a misspelt field is an error.
class Fields {
 public:
  explicit Fields(const Line& line) : line_(line), taken_(line.fields.size()) {}

  bool flag(std::string_view name);
  bool has(std::string_view name) const;
  bool has_more(std::string_view name) const;  // that was not taken yet
  bool has_word() const;
  std::string word();  // the next one without '='
  std::string text(std::string_view name, std::string_view otherwise);
  std::uint32_t number(std::string_view name, std::uint32_t otherwise);
  IpAddress address(std::string_view name);
  void finish() const;
  int line() const { return line_.number; }
  [[noreturn]] void fail(const std::string& what) const { throw TextError(line_.number, what); }

 private:
  const std::string* take(std::string_view name);
  const Line& line_;
  std::vector<bool> taken_;
};

}  // namespace guideway::packet_text
