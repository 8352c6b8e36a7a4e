// Server IDs in connection IDs: the vectors of docs/quic.md, what a server would make, and lengths.
#include "guideway/quic_server_id.h"

#include <gtest/gtest.h>

#include <fstream>
#include <random>
#include <sstream>

#include "tests/unit/leaf/hex.h"
#include "tests/unit/leaf/quic_pool.h"

namespace guideway {
namespace {

QuicLayoutKind quic_lb_kind(bool encrypted, std::size_t body_bytes) {
  if (!encrypted) return QuicLayoutKind::plain;
  return body_bytes == 16 ? QuicLayoutKind::single_pass : QuicLayoutKind::four_pass;
}

QuicShape quic_lb_shape(bool encrypted, std::size_t server_id_bytes, std::size_t nonce_bytes) {
  return {quic_lb_kind(encrypted, server_id_bytes + nonce_bytes), static_cast<std::uint8_t>(server_id_bytes),
          static_cast<std::uint8_t>(nonce_bytes)};
}

// "katran": server IDs are numbers of 2, 3 or 4 bytes, and there is neither nonce nor key ("-").
struct Vector {
  std::string text, layout, key, server_id, nonce, connection_id;
};

std::vector<Vector> documented_vectors() {
  std::ifstream document(GUIDEWAY_SOURCE_ROOT "/docs/quic.md");
  std::vector<Vector> vectors;
  bool inside = false;
  for (std::string line; std::getline(document, line);) {
    if (line.starts_with("```")) {
      inside = line == "```vectors";
    } else if (inside) {
      Vector v;
      v.text = line;
      std::istringstream(line) >> v.layout >> v.key >> v.server_id >> v.nonce >> v.connection_id;
      vectors.push_back(v);
    }
  }
  return vectors;
}

QuicLayouts layouts_of(const Vector& v, std::uint8_t first_byte) {
  if (v.layout == "katran") return kKatranLayouts;
  QuicLayouts layouts{};
  QuicLayout& layout = layouts[quic_layout_of(first_byte)];
  layout.shape = quic_lb_shape(v.key != "-", v.server_id.size() / 2, v.nonce.size() / 2);
  if (v.key != "-") layout.secret = block_of(v.key);
  return layouts;
}

QuicServerId expected_id(const Vector& v) {
  if (v.layout != "katran") return server_id_of(bytes_of(v.server_id));
  return katran_server_id(static_cast<std::uint32_t>(std::stoul(v.server_id, nullptr, 16)));
}

TEST(QuicServerId, GivesTheDocumentedVectors) {
  const auto vectors = documented_vectors();
  ASSERT_GE(vectors.size(), 15U);
  for (const Vector& v : vectors) {
    std::vector<std::uint8_t> connection_id = bytes_of(v.connection_id);
    const QuicPool pool(layouts_of(v, connection_id[0]), {});
    EXPECT_EQ(quic_server_id(pool.view().quic, connection_id), expected_id(v)) << v.text;
    // What servers append is theirs.
    connection_id.push_back(0xee);
    EXPECT_EQ(quic_server_id(pool.view().quic, connection_id), expected_id(v)) << v.text << ", one more byte";
    connection_id.pop_back();
    connection_id.pop_back();
    EXPECT_TRUE(is_free(quic_server_id(pool.view().quic, connection_id))) << v.text << ", cut by one";
  }
}

// draft-ietf-quic-load-balancers-21, section 5.4.2: what a server does, in its words.
std::vector<std::uint8_t> encrypt_four_pass(const Block16& key, const std::vector<std::uint8_t>& plain) {
  const std::size_t length = plain.size();
  const std::size_t half = (length + 1) / 2;
  const bool odd = length % 2 != 0;
  std::vector<std::uint8_t> left(plain.begin(), plain.begin() + static_cast<std::ptrdiff_t>(half));
  std::vector<std::uint8_t> right(plain.end() - static_cast<std::ptrdiff_t>(half), plain.end());
  const auto clear = [&] {
    if (odd) left.back() &= 0xf0;
    if (odd) right.front() &= 0x0f;
  };
  clear();
  for (std::uint8_t pass = 1; pass <= 4; pass++) {
    const auto& from = pass % 2 != 0 ? left : right;
    auto& to = pass % 2 != 0 ? right : left;
    Block16 expanded{};
    std::copy(from.begin(), from.end(), expanded.begin());
    expanded[14] = static_cast<std::uint8_t>(length);
    expanded[15] = pass;
    const Block16 result = aes::encrypt_portable(aes::encryption_keys(key), expanded);
    for (std::size_t i = 0; i < half; i++) to[i] ^= result[i];
    clear();
  }
  if (odd) {
    left.back() |= right.front();
    right.erase(right.begin());
  }
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

std::vector<std::uint8_t> encrypt_body(const Block16& key, const std::vector<std::uint8_t>& plain) {
  if (plain.size() != 16) return encrypt_four_pass(key, plain);
  Block16 block{};
  std::copy(plain.begin(), plain.end(), block.begin());
  const Block16 cipher = aes::encrypt_portable(aes::encryption_keys(key), block);
  return {cipher.begin(), cipher.end()};
}

TEST(QuicServerId, IsThatOfTheServerForEveryPairOfLengths) {
  std::mt19937 random(20261127);
  const auto some = [&](std::size_t count) {
    std::vector<std::uint8_t> bytes(count);
    for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(random());
    return bytes;
  };
  int pairs = 0;
  for (std::size_t server_id_bytes = 1; server_id_bytes <= 15; server_id_bytes++) {
    for (std::size_t nonce_bytes = 4; server_id_bytes + nonce_bytes <= 19; nonce_bytes++, pairs++) {
      const std::size_t layout = random() % 7;
      QuicLayouts layouts{};
      layouts[layout] = {quic_lb_shape(true, server_id_bytes, nonce_bytes), block_of(hex_of(some(16).data(), 16))};
      ASSERT_TRUE(is_sound(layouts[layout].shape));
      const QuicPool pool(layouts, {});
      for (int i = 0; i < 20; i++) {
        const auto id = some(server_id_bytes);
        std::vector<std::uint8_t> plain = id;
        const auto nonce = some(nonce_bytes);
        plain.insert(plain.end(), nonce.begin(), nonce.end());
        std::vector<std::uint8_t> connection_id = encrypt_body(layouts[layout].secret, plain);
        connection_id.insert(connection_id.begin(), static_cast<std::uint8_t>(layout << 5 | (random() & 31)));
        ASSERT_EQ(quic_server_id(pool.view().quic, connection_id), server_id_of(id))
            << "seed 20261127, " << server_id_bytes << " + " << nonce_bytes;
      }
    }
  }
  EXPECT_EQ(pairs, 120);
}

TEST(QuicServerId, EachLayoutHasItsOwnKeyAndSize) {
  QuicLayouts layouts{};
  layouts[0] = {quic_lb_shape(false, 3, 4), {}};
  layouts[2] = {quic_lb_shape(true, 8, 8), block_of("8f95f09245765f80256934e50c66207f")};
  const QuicPool pool(layouts, {});
  const QuicView& quic = pool.view().quic;
  EXPECT_EQ(quic_server_id(quic, bytes_of("07c4605e4504cc4f")), server_id_of(bytes_of("c4605e")));
  EXPECT_EQ(quic_server_id(quic, bytes_of("504dd2d05a7b0de9b2b9907afb5ecf8cc3")),
            server_id_of(bytes_of("ed793a51d49b8f5f")));
  for (const char* of_no_layout : {"27c4605e4504cc4f", "e7c4605e4504cc4f", ""})
    EXPECT_TRUE(is_free(quic_server_id(quic, bytes_of(of_no_layout)))) << of_no_layout;
}

TEST(QuicServerId, KatranHasNoVersion0) {
  const QuicPool pool(kKatranLayouts, {});
  EXPECT_TRUE(is_free(quic_server_id(pool.view().quic, bytes_of("3fffffffffffffff"))));
}

TEST(QuicShape, SoundnessKnowsTheLimits) {
  struct Case {
    QuicShape shape;
    bool sound;
  };
  constexpr auto kPlain = QuicLayoutKind::plain;
  constexpr auto kSingle = QuicLayoutKind::single_pass;
  constexpr auto kFour = QuicLayoutKind::four_pass;
  constexpr Case kCases[] = {
      {{}, true},
      {{QuicLayoutKind::none, 1, 4}, false},
      {{kPlain, 1, 4}, true},
      {{kPlain, 0, 4}, false},
      {{kPlain, 1, 3}, false},
      {{kPlain, 15, 4}, true},
      {{kPlain, 16, 4}, false},
      {{kPlain, 15, 5}, false},
      {{kPlain, 1, 18}, true},
      {{kPlain, 1, 255}, false},
      {{kPlain, 255, 255}, false},
      {{kSingle, 3, 13}, true},
      {{kSingle, 3, 12}, false},
      {{kFour, 3, 13}, false},
      {{kFour, 3, 12}, true},
      {{QuicLayoutKind::katran_16, 0, 0}, true},
      {{QuicLayoutKind::katran_32, 4, 4}, false},
      {{static_cast<QuicLayoutKind>(7), 0, 0}, false},
  };
  for (const auto& [shape, sound] : kCases)
    EXPECT_EQ(is_sound(shape), sound) << int(shape.kind) << " " << int(shape.server_id_bytes) << " "
                                      << int(shape.nonce_bytes);
}

}  // namespace
}  // namespace guideway
