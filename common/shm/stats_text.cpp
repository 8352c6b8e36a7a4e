#include "common/shm/stats_text.h"

namespace guideway::shm {

void set_text(StatsText& target, std::string_view text) {
  const std::uint32_t version = target.version.load(std::memory_order_relaxed);
  target.version.store(version + 1, std::memory_order_relaxed);
  for (std::size_t i = 0; i < target.text.size(); i++)
    target.text[i].store(i < text.size() ? text[i] : '\0', std::memory_order_release);
  target.version.store(version + 2, std::memory_order_release);
}

std::string get_text(const StatsText& source) {
  for (int attempt = 0; attempt < 16; attempt++) {
    const std::uint32_t version = source.version.load(std::memory_order_acquire);
    std::string text;
    for (const auto& letter : source.text) text += letter.load(std::memory_order_acquire);
    if (version % 2 == 0 && source.version.load(std::memory_order_relaxed) == version)
      return text.substr(0, text.find('\0'));
  }
  return {};
}

}  // namespace guideway::shm
