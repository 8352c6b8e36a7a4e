// AES-128 against FIPS 197, its two implementations against each other, and encryption against decryption.
#include "guideway/aes.h"

#include <gtest/gtest.h>

#include <random>

#include "tests/unit/leaf/hex.h"

namespace guideway {
namespace {

template <typename Random>
Block16 random_block(Random& random) {
  return std::bit_cast<Block16>(std::array<std::uint64_t, 2>{random(), random()});
}

struct Vector {
  const char* key;
  const char* plain;
  const char* cipher;
};
constexpr Vector kVectors[] = {
    // FIPS 197, appendix B.
    {"2b7e151628aed2a6abf7158809cf4f3c", "3243f6a8885a308d313198a2e0370734", "3925841d02dc09fbdc118597196a0b32"},
    // Appendix C.1.
    {"000102030405060708090a0b0c0d0e0f", "00112233445566778899aabbccddeeff", "69c4e0d86a7b0430d8cdb78070b4c55a"},
};

Uint128 number_of(const char* hex) {
  return aes::to_number(block_of(hex));
}

TEST(Aes, GivesTheVectorsOfFips197) {
  for (const auto& [key, plain, cipher] : kVectors) {
    const aes::RoundKeys encryption = aes::encryption_keys(block_of(key));
    const aes::RoundKeys decryption = aes::decryption_keys(block_of(key));
    EXPECT_EQ(aes::encrypt_portable(encryption, block_of(plain)), block_of(cipher)) << key;
    EXPECT_EQ(aes::decrypt_portable(decryption, block_of(cipher)), block_of(plain)) << key;
    EXPECT_EQ(aes::encrypt(encryption, number_of(plain)), number_of(cipher)) << key;
    EXPECT_EQ(aes::decrypt(decryption, number_of(cipher)), number_of(plain)) << key;
  }
}

// Appendix A.1: the last round key. Appendix C.1, "equivalent inverse cipher": the first, second and last of its keys.
TEST(Aes, ExpandsKeysAsFips197Does) {
  EXPECT_EQ(aes::encryption_keys(block_of("2b7e151628aed2a6abf7158809cf4f3c")).round[10],
            block_of("d014f9a8c9ee2589e13f0cc8b6630ca6"));
  const aes::RoundKeys keys = aes::decryption_keys(block_of("000102030405060708090a0b0c0d0e0f"));
  EXPECT_EQ(keys.round[0], block_of("13111d7fe3944a17f307a78b4d2b30c5"));
  EXPECT_EQ(keys.round[1], block_of("13aa29be9c8faff6f770f58000f7bf03"));
  EXPECT_EQ(keys.round[10], block_of("000102030405060708090a0b0c0d0e0f"));
}

// Section 5.1.1, figure 7, and 5.3.2, figure 14: the corners.
TEST(Aes, SboxesAreThoseOfFips197) {
  EXPECT_EQ(aes::kSbox[0x00], 0x63);
  EXPECT_EQ(aes::kSbox[0x53], 0xed);
  EXPECT_EQ(aes::kSbox[0xff], 0x16);
  EXPECT_EQ(aes::kInverseSbox[0x00], 0x52);
  EXPECT_EQ(aes::kInverseSbox[0xed], 0x53);
  EXPECT_EQ(aes::kInverseSbox[0xff], 0x7d);
}

TEST(Aes, DecryptionUndoesEncryption) {
  std::mt19937_64 random(20261125);
  for (int i = 0; i < 5000; i++) {
    const Block16 secret = random_block(random);
    const Uint128 plain = aes::to_number(random_block(random));
    ASSERT_EQ(aes::decrypt(aes::decryption_keys(secret), aes::encrypt(aes::encryption_keys(secret), plain)), plain)
        << "seed 20261125, block " << i;
  }
}

#if defined(__AES__)
TEST(Aes, InstructionsAndPortableTwinAgree) {
  std::mt19937_64 random(20261126);
  for (int i = 0; i < 5000; i++) {
    const Block16 secret = random_block(random);
    const Block16 block = random_block(random);
    const aes::RoundKeys encryption = aes::encryption_keys(secret);
    const aes::RoundKeys decryption = aes::decryption_keys(secret);
    ASSERT_EQ(aes::to_block(aes::encrypt_aesni(encryption, aes::to_number(block))),
              aes::encrypt_portable(encryption, block))
        << "block " << i;
    ASSERT_EQ(aes::to_block(aes::decrypt_aesni(decryption, aes::to_number(block))),
              aes::decrypt_portable(decryption, block))
        << "block " << i;
  }
}
#else
TEST(Aes, InstructionsAndPortableTwinAgree) {
  GTEST_SKIP() << "built without AES instructions: there is one implementation only";
}
#endif

}  // namespace
}  // namespace guideway
