// [pool.NAME.quic] and server_id: what they become, and the exact words about each mistake.

#include <gtest/gtest.h>

#include <ostream>

#include "tests/unit/config/loaded.h"

namespace guideway::config {
namespace {

constexpr const char* kUnused = "1:7 warning: pool \"web\" is not used; remove it or refer to it\n";

std::string backends(const std::string& first, const std::string& second) {
  return "[pool.web]\nbackends = [\n{ name = \"a\", address = \"10.0.0.1\"" + first +
         " },\n{ name = \"b\", address = \"10.0.0.2\"" + second + " },\n]\n";
}

Pool pool_of(const std::string& text) {
  const LoadResult result = load_with_base(text);
  EXPECT_TRUE(result.config) << result.report();
  return result.config ? result.config->pools.at(0) : Pool{};
}

QuicServerId id_of(std::initializer_list<std::uint8_t> bytes) {
  QuicServerId id;
  std::copy(bytes.begin(), bytes.end(), id.bytes.begin());
  id.size_bytes = static_cast<std::uint8_t>(bytes.size());
  return id;
}

TEST(QuicConfig, QuicLbBecomesLayouts) {
  const Pool pool = pool_of(backends(", server_id = \"0A0b0c\"", ", server_id = [\"000001\", \"000002\"]") +
                            "[pool.web.quic]\nlayout = \"quic-lb\"\nconfigs = [\n"
                            "{ id = 0, server_id_bytes = 3, nonce_bytes = 4 },\n"
                            "{ id = 1, server_id_bytes = 3, nonce_bytes = 4, key_file = \"key\" },\n"
                            "{ id = 6, server_id_bytes = 3, nonce_bytes = 13, key_file = \"key\" },\n]\n");
  Block16 key{};
  for (std::uint8_t i = 0; i < 16; i++) key[i] = i;
  QuicLayouts expected{};
  expected[0] = {{QuicLayoutKind::plain, 3, 4}, {}};
  expected[1] = {{QuicLayoutKind::four_pass, 3, 4}, key};
  expected[6] = {{QuicLayoutKind::single_pass, 3, 13}, key};
  EXPECT_EQ(pool.quic, expected);
  EXPECT_EQ(pool.backends[0].server_ids, std::vector{id_of({0x0a, 0x0b, 0x0c})});
  EXPECT_EQ(pool.backends[1].server_ids, (std::vector{id_of({0, 0, 1}), id_of({0, 0, 2})}));
}

TEST(QuicConfig, KatranBecomesItsLayouts) {
  const Pool pool =
      pool_of(backends(", server_id = 5", ", server_id = 0xffff_ffff") + "quic = { layout = \"katran\" }\n");
  EXPECT_EQ(pool.quic, kKatranLayouts);
  EXPECT_EQ(pool.backends[0].server_ids, std::vector{katran_server_id(5)});
  EXPECT_EQ(pool.backends[1].server_ids, std::vector{katran_server_id(0xffffffff)});
}

TEST(QuicConfig, PoolsHaveNoneByDefault) {
  EXPECT_EQ(pool_of(backends("", "")).quic, std::nullopt);
}

struct Mistake {
  const char* name;
  std::string text;
  const char* problems;  // besides kUnused; lines counted from [pool.web] = 1, whose backends are in lines 3 and 4
};

void PrintTo(const Mistake& mistake, std::ostream* out) {
  *out << mistake.name;
}

const std::string kIds = backends(", server_id = \"000001\"", ", server_id = \"000002\"");
const std::string kQuicLb = "quic.layout = \"quic-lb\"\n";
const std::string kGood = "{ id = 0, server_id_bytes = 3, nonce_bytes = 13 }";

const Mistake kMistakes[] = {
    {"none", kIds + kQuicLb + "quic.configs = [" + kGood + "]\n", ""},
    {"no_table", kIds + "quic = true\n", "6:8 error: quic wants a table, found the boolean true\n"},
    {"empty", kIds + "quic = {}\n", "6:8 error: missing key layout in pool.web.quic\n"},
    {"layout_unknown", kIds + "quic.layout = \"quic_lb\"\nquic.configs = [" + kGood + "]\n",
     "6:15 error: layout must be \"quic-lb\" or \"katran\", not \"quic_lb\"; did you mean \"quic-lb\"?\n"},
    {"no_configs", kIds + kQuicLb, "6:1 error: layout = \"quic-lb\" needs configs; name at least one\n"},
    {"configs_empty", kIds + kQuicLb + "quic.configs = []\n",
     "7:16 error: layout = \"quic-lb\" needs configs; name at least one\n"},
    {"configs_for_katran",
     backends(", server_id = 1", ", server_id = 2") + "quic.layout = \"katran\"\nquic.configs = [" + kGood + "]\n",
     "7:16 error: configs is for layout = \"quic-lb\"; remove it\n"},
    {"config_misses_all", kIds + kQuicLb + "quic.configs = [" + kGood + ", {}]\n",
     "7:68 error: missing key id in pool.web.quic.configs\n"
     "7:68 error: missing key server_id_bytes in pool.web.quic.configs\n"
     "7:68 error: missing key nonce_bytes in pool.web.quic.configs\n"},
    {"config_out_of_range",
     kIds + kQuicLb + "quic.configs = [" + kGood + ", { id = 7, server_id_bytes = 16, nonce_bytes = 3 }]\n",
     "7:75 error: id must be between 0 and 6, not 7\n"
     "7:96 error: server_id_bytes must be between 1 and 15, not 16\n"
     "7:114 error: nonce_bytes must be between 4 and 18, not 3\n"},
    {"config_twice", kIds + kQuicLb + "quic.configs = [" + kGood + ",\n" + kGood + "]\n",
     "8:8 error: id 0 is another config's already; take a free one of 0 to 6\n"},
    {"config_too_long", kIds + kQuicLb + "quic.configs = [{ id = 0, server_id_bytes = 3, nonce_bytes = 17 }]\n",
     "7:62 error: server_id_bytes and nonce_bytes make 20; a connection ID has room for 19, so shorten one\n"},
    {"key_file_missing",
     kIds + kQuicLb + "quic.configs = [{ id = 0, server_id_bytes = 3, nonce_bytes = 4, key_file = \"/no/key\" }]\n",
     "7:76 error: key_file \"/no/key\" cannot be read: No such file or directory\n"},
    {"unknown_keys",
     kIds + kQuicLb + "quic.config = 1\nquic.configs = [{ id = 0, server_id_bytes = 3, nonce_bytes = 4, " +
         "key = \"00\" }]\n",
     "7:6 error: unknown key \"config\" in pool.web.quic; did you mean \"configs\"?\n"
     "8:65 error: unknown key \"key\" in pool.web.quic.configs; remove it\n"},
    {"id_without_quic", backends(", server_id = \"000001\"", ""),
     "3:49 error: server_id is for pools with quic; add [pool.web.quic] or remove it\n"},
    {"id_missing", backends(", server_id = \"000001\"", "") + kQuicLb + "quic.configs = [" + kGood + "]\n",
     "4:1 error: backend \"b\" has no server_id of 3 bytes: connection IDs cannot name it; add one\n"},
    {"id_missing_for_katran", backends(", server_id = 1", "") + "quic.layout = \"katran\"\n",
     "4:1 error: backend \"b\" has no server_id: connection IDs cannot name it; add one\n"},
    {"id_of_another_size",
     backends(", server_id = \"000001\"", ", server_id = [\"000002\", \"03\"]") + kQuicLb + "quic.configs = [" + kGood +
         "]\n",
     "4:60 error: server_id has 1 byte, but no config of the pool has server_id_bytes = 1; change one of them\n"},
    {"id_missing_for_one_config",
     backends(", server_id = [\"000001\", \"01\"]", ", server_id = \"000002\"") + kQuicLb + "quic.configs = [" + kGood +
         ", { id = 1, server_id_bytes = 1, nonce_bytes = 4 }]\n",
     "4:1 error: backend \"b\" has no server_id of 1 byte: connection IDs cannot name it; add one\n"},
    {"id_twice",
     backends(", server_id = \"0A0B0C\"", ", server_id = [\"000002\", \"0a0b0c\"]") + kQuicLb + "quic.configs = [" +
         kGood + "]\n",
     "4:60 error: server_id 0a0b0c is that of backend \"a\" already (line 10)\n"},
    {"id_twice_for_katran", backends(", server_id = 10", ", server_id = 0x0a") + "quic.layout = \"katran\"\n",
     "4:49 error: server_id 10 is that of backend \"a\" already (line 10)\n"},
    {"id_no_hex",
     backends(", server_id = \"00000g\"", ", server_id = \"00000\"") + kQuicLb + "quic.configs = [" + kGood + "]\n",
     "3:49 error: server_id must be 1 to 15 bytes in hex digits, like \"0a0b0c\", not \"00000g\"\n"
     "4:49 error: server_id must be 1 to 15 bytes in hex digits, like \"0a0b0c\", not \"00000\"\n"},
    {"id_empty_or_long",
     backends(", server_id = \"\"", ", server_id = \"000102030405060708090a0b0c0d0e0f\"") + kQuicLb +
         "quic.configs = [" + kGood + "]\n",
     "3:49 error: server_id must be 1 to 15 bytes in hex digits, like \"0a0b0c\", not \"\"\n"
     "4:49 error: server_id must be 1 to 15 bytes in hex digits, like \"0a0b0c\", not "
     "\"000102030405060708090a0b0c0d0e0f\"\n"},
    {"id_number_for_quic_lb",
     backends(", server_id = 1", ", server_id = \"000002\"") + kQuicLb + "quic.configs = [" + kGood + "]\n",
     "3:49 error: server_id wants hex digits in quotes, like \"0a0b0c\", found the integer 1\n"},
    {"id_text_for_katran", backends(", server_id = \"01\"", ", server_id = 0") + "quic.layout = \"katran\"\n",
     "3:49 error: server_id wants an integer, found the string \"01\"\n"
     "4:49 error: server_id must be between 1 and 4294967295, not 0\n"},
};

class EachQuicMistake : public testing::TestWithParam<Mistake> {};

TEST_P(EachQuicMistake, IsNamedExactly) {
  EXPECT_EQ(problems_of(GetParam().text), std::string(kUnused) + GetParam().problems);
}

INSTANTIATE_TEST_SUITE_P(, EachQuicMistake, testing::ValuesIn(kMistakes),
                         [](const auto& mistake) { return mistake.param.name; });

std::string vip_of(const std::string& protocol) {
  return "[vip.v]\naddress = \"192.0.2.1\"\nport = 443\npool = \"web\"\nprotocol = " + protocol + "\n";
}

TEST(QuicConfig, VipsOfQuicAreUdpAndNeedQuicPools) {
  const std::string good = kIds + kQuicLb + "quic.configs = [" + kGood + "]\n";
  const LoadResult result = load_with_base(good + vip_of("[\"tcp\", \"quic\"]"));
  ASSERT_TRUE(result.config) << result.report();
  EXPECT_FALSE(result.config->vips.at(0).quic);
  EXPECT_TRUE(result.config->vips.at(1).quic);
  EXPECT_EQ(result.config->vips.at(1).protocol, IpProto::udp);

  EXPECT_EQ(problems_of(backends("", "") + vip_of("\"quic\"")),
            "10:12 error: protocol \"quic\" needs a pool whose backends connection IDs name, and pool \"web\" has no "
            "quic; add [pool.web.quic] or write \"udp\"\n");
  EXPECT_EQ(problems_of(good + vip_of("[\"udp\", \"quic\"]")),
            "12:12 error: protocol has both \"udp\" and \"quic\"; keep one\n");
}

}  // namespace
}  // namespace guideway::config
