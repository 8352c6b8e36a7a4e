// The flow hash: which flow goes to which slot. docs/flow_hash.md defines it in prose with test vectors.
//
// It is keyed with a secret that is the same on every LB of a fleet: all of them agree, and nobody outside can build
// flows that collide (CRC and Toeplitz are linear, so there one can, against any seed). The construction is a CBC-MAC
// whose block cipher is four rounds of AES; four rounds mix every input bit into every output bit twice over. It is a
// hash for spreading load against an adversary who does not see its output, not a signature.
//
//   IPv4: one block  = src(4) dst(4) sport(2) dport(2) proto(1) 4(1) 0(2)
//   IPv6: three blocks = src(16) | dst(16) | sport(2) dport(2) proto(1) 6(1) 0(10)
//   x = 0;  for each block: x = R4(R3(R2(R1(x ^ block ^ K0))))  with R_i(s) = AESENC(s, K_i)
//   hash = the first 8 bytes of x as a little-endian number
//
// K0…K4 are the first five round keys of AES-128 key expansion (FIPS 197, section 5.2) of the 16-byte secret.
// All fields as they lie on the wire. Measured (docs/flow_hash.md says how): see perf/.
//
// Two implementations, equal bit by bit and tested against each other: AES-NI and portable.
// Thread-safety: pure functions.
#pragma once

#include <array>
#include <cstdint>

#include "guideway/address.h"
#include "guideway/aes.h"
#include "guideway/byte_order.h"
#include "guideway/units.h"
#include "guideway/wire.h"

namespace guideway {

using FlowHashSecret = Block16;

inline constexpr int kFlowHashRounds = 4;

struct FlowHashKeys {
  alignas(16) std::array<Block16, kFlowHashRounds + 1> round;
};
static_assert(sizeof(FlowHashKeys) == 80 && alignof(FlowHashKeys) == 16);

// What names a flow, as its packets carry it from the client.
struct FlowKey4 {
  Be32 source;
  Be32 destination;
  Ports ports;
  IpProto protocol{};
  std::uint8_t family = 4;
  std::array<std::uint8_t, 2> zero{};
};
static_assert(sizeof(FlowKey4) == 16 && alignof(FlowKey4) == 1);

struct FlowKey6 {
  Block16 source{};
  Block16 destination{};
  Ports ports;
  IpProto protocol{};
  std::uint8_t family = 6;
  std::array<std::uint8_t, 10> zero{};
};
static_assert(sizeof(FlowKey6) == 48 && alignof(FlowKey6) == 1);

constexpr FlowHashKeys expand_flow_hash_keys(const FlowHashSecret& secret) {
  return {aes::expand_key<kFlowHashRounds + 1>(secret)};
}

template <std::size_t N>
constexpr std::uint64_t flow_hash_portable(const FlowHashKeys& keys, const std::array<Block16, N>& blocks) {
  Block16 x{};
  for (const Block16& block : blocks) {
    for (unsigned i = 0; i < 16; i++) x[i] = static_cast<std::uint8_t>(x[i] ^ block[i] ^ keys.round[0][i]);
    for (unsigned r = 1; r < keys.round.size(); r++) x = aes::round_portable(x, keys.round[r]);
  }
  std::uint64_t hash = 0;
  for (unsigned i = 8; i-- > 0;) hash = hash << 8 | x[i];
  return hash;
}

#if defined(__AES__)
template <std::size_t N>
inline std::uint64_t flow_hash_aesni(const FlowHashKeys& keys, const std::array<Block16, N>& blocks) {
  const auto key = [&](std::size_t r) {
    return _mm_load_si128(reinterpret_cast<const __m128i*>(keys.round[r].data()));
  };
  __m128i x = _mm_setzero_si128();
#pragma GCC unroll 3
  for (const Block16& block : blocks) {
    x = _mm_xor_si128(x, _mm_xor_si128(aes::to_register(aes::to_number(block)), key(0)));
    for (std::size_t r = 1; r < keys.round.size(); r++) x = _mm_aesenc_si128(x, key(r));
  }
  return static_cast<std::uint64_t>(_mm_cvtsi128_si64(x));
}
#endif

template <std::size_t N>
inline std::uint64_t flow_hash_blocks(const FlowHashKeys& keys, const std::array<Block16, N>& blocks) {
#if defined(__AES__)
  return flow_hash_aesni(keys, blocks);
#else
  return flow_hash_portable(keys, blocks);
#endif
}

inline std::uint64_t flow_hash(const FlowHashKeys& keys, const FlowKey4& flow) {
  return flow_hash_blocks(keys, std::bit_cast<std::array<Block16, 1>>(flow));
}
inline std::uint64_t flow_hash(const FlowHashKeys& keys, const FlowKey6& flow) {
  const std::uint64_t last = std::bit_cast<std::uint32_t>(flow.ports) |
                             static_cast<std::uint64_t>(flow.protocol) << 32 | std::uint64_t{flow.family} << 40;
  const std::array<std::uint64_t, 2> last_block{last, 0};
  return flow_hash_blocks(keys,
                          std::array<Block16, 3>{flow.source, flow.destination, std::bit_cast<Block16>(last_block)});
}

// Maps the upper half of the hash evenly onto 0 … slot_count-1 without a division (Lemire 2019, "Fast random integer
// generation in an interval"). REQUIRES: slot_count > 0.
constexpr Slot slot_of(std::uint64_t hash, std::uint32_t slot_count) {
  return static_cast<Slot>(((hash >> 32) * slot_count) >> 32);
}

// The lower half of the hash is for spreading on the way (outer source ports, flow labels), so that it is independent
// of the choice of the slot.
constexpr std::uint32_t entropy_of(std::uint64_t hash) {
  return static_cast<std::uint32_t>(hash);
}

}  // namespace guideway
