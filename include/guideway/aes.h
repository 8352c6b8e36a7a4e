// AES-128 (FIPS 197): the rounds, the key schedules, and the block cipher in both directions.
//
// Each cipher exists twice, equal bit by bit and tested against each other: AES instructions, and a portable twin that
// is also the oracle. encrypt() and decrypt() take what the build has, and blocks as numbers.
// Thread-safety: pure functions.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "guideway/byte_order.h"

#if defined(__AES__)
#include <immintrin.h>
#endif

namespace guideway {

using Block16 = std::array<std::uint8_t, 16>;

namespace aes {

inline constexpr std::size_t kRounds = 10;

// A block as a number, whose lowest byte comes first: what is put together byte by byte in memory cannot be read as a
// whole at once.
constexpr Uint128 to_number(const Block16& block) {
  return std::bit_cast<Uint128>(block);
}
constexpr Block16 to_block(Uint128 number) {
  return std::bit_cast<Block16>(number);
}

// Round keys in the order in which a cipher uses them: encryption_keys() for encrypt(), decryption_keys() for
// decrypt().
struct RoundKeys {
  alignas(16) std::array<Block16, kRounds + 1> round;
};
static_assert(sizeof(RoundKeys) == 176 && alignof(RoundKeys) == 16);

constexpr std::uint8_t gf_multiply(std::uint8_t a, std::uint8_t b) {
  std::uint8_t product = 0;
  for (; b != 0; b = static_cast<std::uint8_t>(b >> 1)) {
    if ((b & 1) != 0) product = static_cast<std::uint8_t>(product ^ a);
    const bool carry = (a & 0x80) != 0;
    a = static_cast<std::uint8_t>(a << 1);
    if (carry) a = static_cast<std::uint8_t>(a ^ 0x1b);
  }
  return product;
}

// The S-box (section 5.1.1), computed from its definition: inverse in GF(2^8), then the affine map.
constexpr std::array<std::uint8_t, 256> make_sbox() {
  std::array<std::uint8_t, 256> sbox{};
  std::array<std::uint8_t, 256> inverse{};
  // 3 generates the multiplicative group: walk it forwards with 3 and backwards with 3^-1 = 0xf6.
  std::uint8_t p = 1;
  std::uint8_t q = 1;
  do {
    inverse[p] = q;
    p = gf_multiply(p, 3);
    q = gf_multiply(q, 0xf6);
  } while (p != 1);
  for (unsigned i = 0; i < 256; i++) {
    const std::uint8_t b = inverse[i];
    sbox[i] =
        static_cast<std::uint8_t>(b ^ std::rotl(b, 1) ^ std::rotl(b, 2) ^ std::rotl(b, 3) ^ std::rotl(b, 4) ^ 0x63);
  }
  return sbox;
}
inline constexpr std::array<std::uint8_t, 256> kSbox = make_sbox();

constexpr std::array<std::uint8_t, 256> make_inverse_sbox() {
  std::array<std::uint8_t, 256> inverse{};
  for (unsigned i = 0; i < 256; i++) inverse[kSbox[i]] = static_cast<std::uint8_t>(i);
  return inverse;
}
inline constexpr std::array<std::uint8_t, 256> kInverseSbox = make_inverse_sbox();

constexpr Block16 exclusive_or(const Block16& a, const Block16& b) {
  Block16 out{};
  for (unsigned i = 0; i < 16; i++) out[i] = static_cast<std::uint8_t>(a[i] ^ b[i]);
  return out;
}

// MixColumns (section 5.1.3) or its inverse (5.3.3), as the first row of its matrix says; the other rows are rotations.
inline constexpr std::array<std::uint8_t, 4> kMix{2, 3, 1, 1};
inline constexpr std::array<std::uint8_t, 4> kInverseMix{14, 11, 13, 9};
constexpr Block16 mix_columns(const Block16& s, const std::array<std::uint8_t, 4>& factors) {
  Block16 out{};
  for (unsigned at = 0; at < 16; at++)
    for (unsigned i = 0; i < 4; i++)
      out[at] = static_cast<std::uint8_t>(out[at] ^ gf_multiply(s[at / 4 * 4 + (at + i) % 4], factors[i]));
  return out;
}

// SubBytes and ShiftRows (sections 5.1.1 and 5.1.2), and their inverses.
constexpr Block16 substitute_and_shift(const Block16& s) {
  Block16 out{};
  for (unsigned at = 0; at < 16; at++) out[at] = kSbox[s[(at + at % 4 * 4) % 16]];
  return out;
}
constexpr Block16 inverse_substitute_and_shift(const Block16& s) {
  Block16 out{};
  for (unsigned at = 0; at < 16; at++) out[at] = kInverseSbox[s[(at + at % 4 * 12) % 16]];
  return out;
}

// The same as the AESENC instruction: SubBytes, ShiftRows, MixColumns, AddRoundKey.
constexpr Block16 round_portable(const Block16& s, const Block16& key) {
  return exclusive_or(mix_columns(substitute_and_shift(s), kMix), key);
}
// The same as AESDEC: a round of the equivalent inverse cipher (section 5.3.5).
constexpr Block16 inverse_round_portable(const Block16& s, const Block16& key) {
  return exclusive_or(mix_columns(inverse_substitute_and_shift(s), kInverseMix), key);
}

// Key expansion (section 5.2): the first N round keys.
template <std::size_t N>
constexpr std::array<Block16, N> expand_key(const Block16& secret) {
  std::array<Block16, N> round{};
  round[0] = secret;
  std::uint8_t rcon = 1;
  for (std::size_t r = 1; r < N; r++) {
    const Block16& before = round[r - 1];
    Block16& now = round[r];
    for (unsigned i = 0; i < 4; i++) {
      const std::uint8_t rotated = kSbox[before[12 + (i + 1) % 4]];
      now[i] = static_cast<std::uint8_t>(before[i] ^ rotated ^ (i == 0 ? rcon : 0));
    }
    for (unsigned i = 4; i < 16; i++) now[i] = static_cast<std::uint8_t>(before[i] ^ now[i - 4]);
    rcon = gf_multiply(rcon, 2);
  }
  return round;
}

constexpr RoundKeys encryption_keys(const Block16& secret) {
  return {expand_key<kRounds + 1>(secret)};
}
// For the equivalent inverse cipher: backwards, and the inner ones through InvMixColumns.
constexpr RoundKeys decryption_keys(const Block16& secret) {
  const std::array<Block16, kRounds + 1> forward = expand_key<kRounds + 1>(secret);
  RoundKeys keys{};
  for (std::size_t r = 0; r <= kRounds; r++) keys.round[r] = forward[kRounds - r];
  for (std::size_t r = 1; r < kRounds; r++) keys.round[r] = mix_columns(keys.round[r], kInverseMix);
  return keys;
}

constexpr Block16 encrypt_portable(const RoundKeys& keys, const Block16& block) {
  Block16 x = exclusive_or(block, keys.round[0]);
  for (std::size_t r = 1; r < kRounds; r++) x = round_portable(x, keys.round[r]);
  return exclusive_or(substitute_and_shift(x), keys.round[kRounds]);
}
constexpr Block16 decrypt_portable(const RoundKeys& keys, const Block16& block) {
  Block16 x = exclusive_or(block, keys.round[0]);
  for (std::size_t r = 1; r < kRounds; r++) x = inverse_round_portable(x, keys.round[r]);
  return exclusive_or(inverse_substitute_and_shift(x), keys.round[kRounds]);
}

#if defined(__AES__)
inline __m128i to_register(const Block16& block) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(block.data()));
}
// Of a block that has just been put together from numbers: loaded as one, it would wait until both have reached the
// cache.
inline __m128i to_register(std::uint64_t low, std::uint64_t high) {
  asm("" : "+r"(low), "+r"(high));  // or g++ 12 sees that they were one, and does load them as one
  return _mm_set_epi64x(static_cast<std::int64_t>(high), static_cast<std::int64_t>(low));
}
inline __m128i to_register(Uint128 block) {
  return to_register(static_cast<std::uint64_t>(block), static_cast<std::uint64_t>(block >> 64));
}

inline Uint128 encrypt_aesni(const RoundKeys& keys, Uint128 block) {
  __m128i x = _mm_xor_si128(to_register(block), to_register(keys.round[0]));
  for (std::size_t r = 1; r < kRounds; r++) x = _mm_aesenc_si128(x, to_register(keys.round[r]));
  return std::bit_cast<Uint128>(_mm_aesenclast_si128(x, to_register(keys.round[kRounds])));
}
inline Uint128 decrypt_aesni(const RoundKeys& keys, Uint128 block) {
  __m128i x = _mm_xor_si128(to_register(block), to_register(keys.round[0]));
  for (std::size_t r = 1; r < kRounds; r++) x = _mm_aesdec_si128(x, to_register(keys.round[r]));
  return std::bit_cast<Uint128>(_mm_aesdeclast_si128(x, to_register(keys.round[kRounds])));
}
#endif

inline Uint128 encrypt(const RoundKeys& keys, Uint128 block) {
#if defined(__AES__)
  return encrypt_aesni(keys, block);
#else
  return to_number(encrypt_portable(keys, to_block(block)));
#endif
}
inline Uint128 decrypt(const RoundKeys& keys, Uint128 block) {
#if defined(__AES__)
  return decrypt_aesni(keys, block);
#else
  return to_number(decrypt_portable(keys, to_block(block)));
#endif
}

}  // namespace aes
}  // namespace guideway
