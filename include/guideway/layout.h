// A hash over the layout of shared structs, computed at compile time from every field's name, offset and size. Two
// programs whose structs differ anywhere refuse to attach to each other; a test pins the value, so that a change
// without a new layout version fails.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace guideway {

class LayoutHash {
 public:
  constexpr LayoutHash& type(std::string_view name, std::size_t size) { return mix(name).mix(size); }
  constexpr LayoutHash& field(std::string_view name, std::size_t offset, std::size_t size) {
    return mix(name).mix(offset).mix(size);
  }
  constexpr LayoutHash& constant(std::string_view name, std::uint64_t value) { return mix(name).mix(value); }
  constexpr std::uint64_t value() const { return state_; }

 private:
  // FNV-1a, 64 bits.
  constexpr LayoutHash& mix_byte(std::uint8_t byte) {
    state_ = (state_ ^ byte) * 0x100000001b3;
    return *this;
  }
  constexpr LayoutHash& mix(std::string_view text) {
    for (const char c : text) mix_byte(static_cast<std::uint8_t>(c));
    return mix_byte(0);
  }
  constexpr LayoutHash& mix(std::uint64_t number) {
    for (int shift = 0; shift < 64; shift += 8) mix_byte(static_cast<std::uint8_t>(number >> shift));
    return *this;
  }
  std::uint64_t state_ = 0xcbf29ce484222325;
};

#define GUIDEWAY_TYPE(T) type(#T, sizeof(T))
#define GUIDEWAY_FIELD(T, f) field(#T "." #f, offsetof(T, f), sizeof(T::f))

}  // namespace guideway
