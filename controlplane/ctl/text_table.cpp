#include "controlplane/ctl/text_table.h"

#include <algorithm>

#include "common/config/words.h"

namespace guideway::ctl {

std::string Style::paint(const std::string& text, Colour wanted) const {
  std::string safe = config::printable(text);
  if (!colour || wanted == Colour::none) return safe;
  const char* code = wanted == Colour::good ? "32" : wanted == Colour::bad ? "31" : wanted == Colour::odd ? "33" : "2";
  return std::string("\033[") + code + "m" + safe + "\033[0m";
}

std::string TextTable::text(const Style& style, const std::string& indent) const {
  std::vector<std::size_t> widths(alignment_.size());
  for (const auto& row : rows_)
    for (std::size_t i = 0; i < row.size(); i++) widths[i] = std::max(widths[i], row[i].text.size());
  std::string out;
  for (const auto& row : rows_) {
    std::string line = indent;
    for (std::size_t i = 0; i < row.size(); i++) {
      const std::string padding(widths[i] - row[i].text.size(), ' ');
      const std::string painted = style.paint(row[i].text, row[i].colour);
      line += (i == 0 ? "" : "  ") + (alignment_[i] == 'r' ? padding + painted : painted + padding);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  }
  return out;
}

}  // namespace guideway::ctl
