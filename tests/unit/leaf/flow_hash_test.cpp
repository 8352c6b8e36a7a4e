// The flow hash against the vectors of docs/flow_hash.md, its two implementations against each other, and its spread.
#include "guideway/flow_hash.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <random>
#include <sstream>
#include <vector>

#include "common/net/address_text.h"

namespace guideway {
namespace {

FlowHashSecret secret_of(const std::string& hex) {
  FlowHashSecret secret{};
  for (std::size_t i = 0; i < secret.size(); i++)
    secret[i] = static_cast<std::uint8_t>(std::stoul(hex.substr(2 * i, 2), nullptr, 16));
  return secret;
}

struct Vector {
  std::string text, secret, source, destination, hash, entropy;
  unsigned protocol = 0, source_port = 0, destination_port = 0;
  std::uint32_t slot = 0;
};

std::vector<Vector> documented_vectors() {
  std::ifstream document(GUIDEWAY_SOURCE_ROOT "/docs/flow_hash.md");
  std::vector<Vector> vectors;
  bool inside = false;
  for (std::string line; std::getline(document, line);) {
    if (line.starts_with("```")) {
      inside = line == "```vectors";
    } else if (inside) {
      Vector v;
      v.text = line;
      std::istringstream(line) >> v.secret >> v.protocol >> v.source >> v.source_port >> v.destination >>
          v.destination_port >> v.hash >> v.slot >> v.entropy;
      vectors.push_back(v);
    }
  }
  return vectors;
}

std::uint64_t hash_of(const Vector& v) {
  const FlowHashKeys keys = expand_flow_hash_keys(secret_of(v.secret));
  const IpAddress source = *parse_ip(v.source);
  const IpAddress destination = *parse_ip(v.destination);
  const Ports ports{Be16::from_host(static_cast<std::uint16_t>(v.source_port)),
                    Be16::from_host(static_cast<std::uint16_t>(v.destination_port))};
  const auto protocol = static_cast<IpProto>(v.protocol);
  // By the form of the text, not by the value: the document has an IPv4-mapped IPv6 flow.
  if (v.source.find(':') == std::string::npos)
    return flow_hash(keys, FlowKey4{source.v4(), destination.v4(), ports, protocol});
  return flow_hash(keys, FlowKey6{source.bytes, destination.bytes, ports, protocol});
}

TEST(FlowHash, GivesTheDocumentedVectors) {
  const auto vectors = documented_vectors();
  ASSERT_GE(vectors.size(), 14U);
  for (const Vector& v : vectors) {
    const std::uint64_t hash = hash_of(v);
    EXPECT_EQ(hash, std::stoull(v.hash, nullptr, 16)) << v.text;
    EXPECT_EQ(index(slot_of(hash, 65521)), v.slot) << v.text;
    EXPECT_EQ(entropy_of(hash), std::stoul(v.entropy, nullptr, 16)) << v.text;
  }
}

// FIPS 197, appendix A.1: w[4…7] and w[16…19].
TEST(FlowHash, ExpandsKeysAsFips197Does) {
  const FlowHashKeys keys = expand_flow_hash_keys(secret_of("2b7e151628aed2a6abf7158809cf4f3c"));
  EXPECT_EQ(keys.round[1], secret_of("a0fafe1788542cb123a339392a6c7605"));
  EXPECT_EQ(keys.round[4], secret_of("ef44a541a8525b7fb671253bdb0bad00"));
}

// FIPS 197, appendix B: the state at the start of rounds 1 and 2.
TEST(FlowHash, PortableRoundIsThatOfFips197) {
  EXPECT_EQ(
      aes::round_portable(secret_of("193de3bea0f4e22b9ac68d2ae9f84808"), secret_of("a0fafe1788542cb123a339392a6c7605")),
      secret_of("a49c7ff2689f352b6b5bea43026a5049"));
}

template <typename Random>
Block16 random_block(Random& random) {
  return std::bit_cast<Block16>(std::array<std::uint64_t, 2>{random(), random()});
}

#if defined(__AES__)
TEST(FlowHash, AesInstructionsAndPortableTwinAgree) {
  std::mt19937_64 random(20260101);
  for (int i = 0; i < 20000; i++) {
    const FlowHashKeys keys = expand_flow_hash_keys(random_block(random));
    const std::array<Block16, 1> one{random_block(random)};
    const std::array<Block16, 3> three{random_block(random), random_block(random), random_block(random)};
    ASSERT_EQ(flow_hash_aesni(keys, one), flow_hash_portable(keys, one)) << "key " << i;
    ASSERT_EQ(flow_hash_aesni(keys, three), flow_hash_portable(keys, three)) << "key " << i;
  }
}
#else
TEST(FlowHash, AesInstructionsAndPortableTwinAgree) {
  GTEST_SKIP() << "built without AES instructions: there is one implementation only";
}
#endif

// Chi-square of `counts` against an even spread, in standard deviations from its mean (normal approximation).
double chi_square_deviation(const std::vector<std::uint32_t>& counts, double samples) {
  const double expected = samples / static_cast<double>(counts.size());
  double chi_square = 0;
  for (const std::uint32_t count : counts) chi_square += (count - expected) * (count - expected) / expected;
  const double freedom = static_cast<double>(counts.size()) - 1;
  return (chi_square - freedom) / std::sqrt(2 * freedom);
}

// The keys an operator sees: clients in one /16 with ports that count up, the hardest case for a weak hash.
TEST(FlowHash, SpreadsCountingFlowsEvenly) {
  const FlowHashKeys keys = expand_flow_hash_keys(secret_of("000102030405060708090a0b0c0d0e0f"));
  constexpr std::uint32_t kSlots = 4079;
  constexpr std::uint32_t kFlows = 1U << 20;
  std::vector<std::uint32_t> slots(kSlots), ports(1U << 14), joint(64 * 64);
  for (std::uint32_t i = 0; i < kFlows; i++) {
    const Ports flow_ports{Be16::from_host(static_cast<std::uint16_t>(1024 + i % 1024)), Be16::from_host(443)};
    const std::uint64_t hash = flow_hash(
        keys, FlowKey4{Be32::from_host(0xc6330000 + i / 1024), Be32::from_host(0xcb00710a), flow_ports, IpProto::tcp});
    slots[index(slot_of(hash, kSlots))]++;
    ports[entropy_of(hash) & 0x3fff]++;
    joint[index(slot_of(hash, 64)) * 64 + (entropy_of(hash) & 63)]++;
  }
  EXPECT_LT(std::abs(chi_square_deviation(slots, kFlows)), 4) << "slots";
  EXPECT_LT(std::abs(chi_square_deviation(ports, kFlows)), 4) << "GUE source ports";
  EXPECT_LT(std::abs(chi_square_deviation(joint, kFlows)), 4) << "slot and source port together: independent";
}

// Each input bit flips each output bit in about half of the cases.
TEST(FlowHash, EveryInputBitReachesEveryOutputBit) {
  std::mt19937_64 random(20260102);
  constexpr int kSamples = 1024;
  const FlowHashKeys keys = expand_flow_hash_keys(random_block(random));
  for (unsigned input = 0; input < 104; input++) {
    std::array<int, 64> flips{};
    for (int i = 0; i < kSamples; i++) {
      std::array<Block16, 1> block{random_block(random)};
      const std::uint64_t before = flow_hash_blocks(keys, block);
      block[0][input / 8] = static_cast<std::uint8_t>(block[0][input / 8] ^ (1U << input % 8));
      const std::uint64_t changed = before ^ flow_hash_blocks(keys, block);
      for (unsigned bit = 0; bit < 64; bit++) flips[bit] += static_cast<int>(changed >> bit & 1);
    }
    // 6 standard deviations of a fair coin.
    for (const int count : flips) ASSERT_NEAR(count, kSamples / 2, 96) << "input bit " << input;
  }
}

TEST(FlowHash, SlotOfCoversTheWholeTableAndNothingElse) {
  for (const std::uint32_t slots : {1U, 2U, 251U, 65521U, 1U << 20}) {
    EXPECT_EQ(index(slot_of(0, slots)), 0U);
    EXPECT_EQ(index(slot_of(~std::uint64_t{0}, slots)), slots - 1);
  }
}

}  // namespace
}  // namespace guideway
