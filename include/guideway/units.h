// Numbers that must not be mixed up.
//
// Inside a function the unit stands last in a name (`timeout_ms`); at a function's border it is a type.
// Thread-safety: plain values.
#pragma once

#include <compare>
#include <cstdint>

namespace guideway {

// The number of a published state of the tables; 0 is "none yet". It only grows.
enum class Generation : std::uint64_t { none = 0 };
constexpr std::uint64_t number(Generation g) {
  return static_cast<std::uint64_t>(g);
}
constexpr Generation next(Generation g) {
  return static_cast<Generation>(number(g) + 1);
}

// Positions in the arrays of one generation; meaningless in another one.
enum class VipId : std::uint32_t { none = 0xffffffff };
enum class PoolId : std::uint16_t {
  none = 0xffff,
  own = 0xfffe,  // in an index: not a VIP's address but one of our own (tables.h)
};
enum class BackendId : std::uint16_t { none = 0x7fff };  // position in its pool's list of backends
constexpr std::uint32_t index(VipId v) {
  return static_cast<std::uint32_t>(v);
}
constexpr std::uint32_t index(PoolId p) {
  return static_cast<std::uint32_t>(p);
}
constexpr std::uint32_t index(BackendId b) {
  return static_cast<std::uint32_t>(b);
}

// A position in the hash space of a pool's table, 0 … slot_count-1.
enum class Slot : std::uint32_t {};
constexpr std::uint32_t index(Slot s) {
  return static_cast<std::uint32_t>(s);
}

enum class WorkerId : std::uint32_t {};
inline constexpr std::uint32_t kWorkersMax = 64;
constexpr std::uint32_t index(WorkerId w) {
  return static_cast<std::uint32_t>(w);
}

inline constexpr std::uint32_t kCacheLineBytes = 64;

}  // namespace guideway
