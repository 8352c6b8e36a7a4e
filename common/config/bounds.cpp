// find_excess(): a scanner that knows just enough TOML (strings and comments) to count dots and brackets, and to find
// characters that nothing but those two may have (TOML 1.0, "Keys").

#include <string>

#include "common/config/document.h"

namespace guideway::config {
namespace {

constexpr std::size_t kTextBytesMax = 4 << 20;
constexpr std::uint32_t kLineBytesMax = 4096;
constexpr std::uint32_t kKeyDotsMax = 16;
constexpr std::uint32_t kNestingMax = 16;
constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text), at_(text.starts_with(kByteOrderMark) ? 3 : 0) {}

  std::optional<Refusal> run() {
    while (at_ < text_.size() && !refusal_) step();
    return refusal_;
  }

 private:
  void step() {
    const char c = text_[at_];
    if (c == '"' || c == '\'') return skip_string(c);
    if (c == '#') return skip_comment();
    // toml++ 3.3 runs into what it calls unreachable at some of them, and takes others for spaces.
    if (static_cast<unsigned char>(c) >= 0x80)
      return refuse(
          "a character that is not ASCII, outside of quotes and comments; put plain quotes around it, or remove it");
    count(c);
    advance();
  }

  void count(char c) {
    if (c == '.') {
      if (++dots_ > kKeyDotsMax) refuse("a key has more than 16 dots");
      return;
    }
    if (c == '[' || c == '{') {
      if (++nesting_ > kNestingMax) refuse("brackets are more than 16 deep");
    } else if ((c == ']' || c == '}') && nesting_ > 0) {
      nesting_--;
    }
    if (c == '=' || c == ',' || c == '[' || c == ']' || c == '{' || c == '}' || c == '\n') dots_ = 0;
  }

  void skip_comment() {
    while (at_ < text_.size() && text_[at_] != '\n' && !refusal_) advance();
  }

  // A string that is not closed on its line ends with the line: that is the parser's to refuse.
  void skip_string(char quote) {
    const std::string fence(3, quote);
    const bool many_lines = text_.substr(at_, 3) == fence;
    advance(many_lines ? 3 : 1);
    while (at_ < text_.size() && !refusal_) {
      if (many_lines && text_.substr(at_, 3) == fence) return close(quote);
      if (!many_lines && text_[at_] == quote) return advance();
      if (!many_lines && text_[at_] == '\n') return;
      if (quote == '"' && text_[at_] == '\\' && at_ + 1 < text_.size()) advance();
      if (many_lines || text_[at_] != '\n') advance();
    }
  }

  // Up to two quotes before the closing three belong to the string (TOML 1.0, "String").
  void close(char quote) {
    advance(3);
    for (int i = 0; i < 2 && at_ < text_.size() && text_[at_] == quote; i++) advance();
  }

  void advance(std::uint32_t bytes = 1) {
    for (; bytes > 0 && at_ < text_.size() && !refusal_; bytes--) {
      const char c = text_[at_++];
      if (c == '\0') refuse("a NUL byte; the file must be text");
      column_ = c == '\n' ? 1 : column_ + 1;
      line_ += c == '\n' ? 1 : 0;
      if (column_ > kLineBytesMax + 1) refuse("a line is longer than 4 KiB; break it up");
    }
  }

  void refuse(const char* why) {
    if (!refusal_) refusal_ = Refusal{{line_, column_}, why};
  }

  std::string_view text_;
  std::size_t at_;
  std::uint32_t line_ = 1;
  std::uint32_t column_ = 1;
  std::uint32_t dots_ = 0;
  std::uint32_t nesting_ = 0;
  std::optional<Refusal> refusal_;
};

}  // namespace

std::optional<Refusal> find_excess(std::string_view text) {
  if (text.size() > kTextBytesMax) return Refusal{{}, "the file is larger than 4 MiB"};
  return Scanner(text).run();
}

}  // namespace guideway::config
