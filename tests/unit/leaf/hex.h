// Bytes as hex digits, for tables of test vectors.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "guideway/aes.h"

namespace guideway {

inline std::vector<std::uint8_t> bytes_of(const std::string& hex) {
  std::vector<std::uint8_t> bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
    bytes.push_back(static_cast<std::uint8_t>(std::stoul(hex.substr(i, 2), nullptr, 16)));
  return bytes;
}

// REQUIRES: 32 digits.
inline Block16 block_of(const std::string& hex) {
  Block16 block{};
  const std::vector<std::uint8_t> bytes = bytes_of(hex);
  for (std::size_t i = 0; i < block.size(); i++) block[i] = bytes.at(i);
  return block;
}

inline std::string hex_of(const std::uint8_t* bytes, std::size_t count) {
  std::string text;
  for (std::size_t i = 0; i < count; i++) {
    text += "0123456789abcdef"[bytes[i] >> 4];
    text += "0123456789abcdef"[bytes[i] & 0xf];
  }
  return text;
}

}  // namespace guideway
