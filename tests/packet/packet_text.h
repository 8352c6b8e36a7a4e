// Packets as text: a line per header, from the outside in. tests/packet/README.md lists headers and fields.
//
//   eth src=02:00:00:00:00:0c dst=02:00:00:00:00:01
//   ipv4 src=198.51.100.7 dst=203.0.113.10 ttl=63
//   tcp sport=40000 dport=80 flags=S
//   payload 16
//
// What a line does not say is filled in as a sound sender would: lengths, checksums, the number of the next header. A
// field that is given is taken as it is, so that malformed packets can be written, too.
#pragma once

#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace guideway::packet_text {

using Bytes = std::vector<std::uint8_t>;

// One line: a word, then words or key=value.
struct Line {
  int number = 0;
  std::string name;
  std::vector<std::pair<std::string, std::string>> fields;  // without '=': the word and an empty value
};

struct TextError : std::runtime_error {
  TextError(int line, const std::string& what) : std::runtime_error(std::to_string(line) + ": " + what) {}
};

// The fields of a line, each to be taken once; finish() throws if one was not, so that a misspelt field is an error.
class Fields {
 public:
  explicit Fields(const Line& line) : line_(line), taken_(line.fields.size()) {}

  bool flag(std::string_view name);
  bool has(std::string_view name) const;
  std::string word();  // the next one without '='
  std::string text(std::string_view name, std::string_view otherwise);
  std::uint32_t number(std::string_view name, std::uint32_t otherwise);
  void finish() const;
  [[noreturn]] void fail(const std::string& what) const { throw TextError(line_.number, what); }

 private:
  const std::string* take(std::string_view name);
  const Line& line_;
  std::vector<bool> taken_;
};

std::uint32_t parse_number(const std::string& text, int line);  // decimal or 0x…

// `inner` stands for the line "inner". Throws TextError.
Bytes build_packet(std::span<const Line> lines, const Bytes& inner = {});

}  // namespace guideway::packet_text
