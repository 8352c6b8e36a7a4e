// Network byte order as a type.
//
// A BigEndian<T> holds the bytes as they lie on the wire. It never converts by itself: a number comes out with
// host(), goes in with from_host(). It is a byte array inside, so its alignment is 1 and wire structs made of it are
// packed without attributes.
//
// Thread-safety: plain values.
#pragma once

#include <array>
#include <bit>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace guideway {

__extension__ using Uint128 = unsigned __int128;

static_assert(std::endian::native == std::endian::little, "Guideway is written for little-endian hosts (x86-64)");

constexpr std::uint8_t byte_swap(std::uint8_t v) {
  return v;
}
constexpr std::uint16_t byte_swap(std::uint16_t v) {
  return __builtin_bswap16(v);
}
constexpr std::uint32_t byte_swap(std::uint32_t v) {
  return __builtin_bswap32(v);
}
constexpr std::uint64_t byte_swap(std::uint64_t v) {
  return __builtin_bswap64(v);
}

template <std::unsigned_integral T>
class BigEndian {
 public:
  constexpr BigEndian() = default;
  static constexpr BigEndian from_host(T value) { return std::bit_cast<BigEndian>(byte_swap(value)); }
  constexpr T host() const { return byte_swap(std::bit_cast<T>(bytes_)); }
  // The value as a native integer that lies in memory like the wire bytes: for hashing and ones' complement sums.
  constexpr T raw() const { return std::bit_cast<T>(bytes_); }
  static constexpr BigEndian from_raw(T raw) { return std::bit_cast<BigEndian>(raw); }
  // As a number: compared byte by byte, g++ 12 calls memcmp().
  friend constexpr bool operator==(const BigEndian& a, const BigEndian& b) { return a.raw() == b.raw(); }

 private:
  std::array<std::uint8_t, sizeof(T)> bytes_{};
};

using Be16 = BigEndian<std::uint16_t>;
using Be32 = BigEndian<std::uint32_t>;
using Be64 = BigEndian<std::uint64_t>;
static_assert(sizeof(Be16) == 2 && alignof(Be16) == 1);
static_assert(sizeof(Be32) == 4 && alignof(Be32) == 1);
static_assert(sizeof(Be64) == 8 && alignof(Be64) == 1);

// Reads or writes a trivially copyable T at any alignment. REQUIRES: sizeof(T) bytes at `bytes`.
template <typename T>
requires std::is_trivially_copyable_v<T>
inline T load(const std::uint8_t* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof value);
  return value;
}
template <typename T>
requires std::is_trivially_copyable_v<T>
inline void store(std::uint8_t* bytes, const T& value) {
  std::memcpy(bytes, &value, sizeof value);
}

}  // namespace guideway
