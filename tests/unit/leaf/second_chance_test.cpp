// The hop list that a load balancer writes, byte for byte as docs/second_chance.md draws it.
#include "guideway/second_chance.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "common/net/address_text.h"
#include "tests/unit/leaf/hex.h"

namespace guideway {
namespace {

struct HopListVector {
  const char* name;
  Family outer;
  std::vector<const char*> hops;
  Generation generation;
  const char* bytes;
  std::uint8_t hlen;
  friend void PrintTo(const HopListVector& vector, std::ostream* out) { *out << vector.name; }
};

const std::vector<HopListVector> kVectors{
    // As GLB Director writes it: type 0, next hop 0, one alternate, nothing behind.
    {"glb",
     Family::ipv4,
     {"10.3.0.4"},
     Generation::none,
     "0000"
     "00"
     "01"
     "0a030004",
     2},
    {"ipv4_one_hop",
     Family::ipv4,
     {"10.3.0.4"},
     Generation{0x01020304},
     "00000001"
     "0a030004"
     "01020304",
     3},
    {"ipv4_three_hops",
     Family::ipv4,
     {"10.3.0.4", "10.3.0.5", "192.0.2.1"},
     Generation{7},
     "00000003"
     "0a030004"
     "0a030005"
     "c0000201"
     "00000007",
     5},
    {"no_hops",
     Family::ipv4,
     {},
     Generation{7},
     "00000000"
     "00000007",
     2},
    {"ipv6_one_hop",
     Family::ipv6,
     {"2001:db8:3::4"},
     Generation{7},
     "00010001"
     "20010db8000300000000000000000004"
     "00000007",
     6},
    {"ipv6_without_generation",
     Family::ipv6,
     {"2001:db8:3::4", "2001:db8:3::5"},
     Generation::none,
     "00010002"
     "20010db8000300000000000000000004"
     "20010db8000300000000000000000005",
     9},
    {"generation_beyond_32_bits",
     Family::ipv4,
     {},
     Generation{0xab'0000'0001},
     "00000000"
     "00000001",
     2},
};

class HopList : public testing::TestWithParam<HopListVector> {};
INSTANTIATE_TEST_SUITE_P(, HopList, testing::ValuesIn(kVectors), [](const auto& each) { return each.param.name; });

TEST_P(HopList, IsWrittenAsDrawn) {
  const HopListVector& vector = GetParam();
  std::vector<IpAddress> hops;
  for (const char* hop : vector.hops) hops.push_back(parse_ip(hop).value());
  std::vector<std::uint8_t> written(128, 0xee);
  const std::uint16_t bytes = write_hop_list(written.data(), vector.outer, hops, vector.generation);
  EXPECT_EQ(hex_of(written.data(), bytes), vector.bytes);
  EXPECT_EQ(written[bytes], 0xee) << "wrote beyond what it says";
  EXPECT_EQ(bytes, hop_list_bytes(vector.outer, hops.size(), vector.generation));
  EXPECT_EQ(gue_hlen(bytes), vector.hlen);
}

TEST(HopListNumbers, AreThoseOfTheContract) {
  EXPECT_EQ(sizeof(HopListHeader), 4U);
  EXPECT_EQ(sizeof(HopGeneration), 4U);
  EXPECT_EQ(hop_bytes(Family::ipv4), 4);
  EXPECT_EQ(hop_bytes(Family::ipv6), 16);
  EXPECT_EQ(GUIDEWAY_HOPS_IPV4, 0);
  EXPECT_EQ(GUIDEWAY_HOPS_IPV6, 1);
  EXPECT_EQ(GUIDEWAY_GUE_HLEN_MAX, 31);
  // What three hops add to a packet, and what is the most that hlen can say.
  EXPECT_EQ(hop_list_bytes(Family::ipv4, hops_max(Family::ipv4), Generation{1}), 24);
  EXPECT_EQ(hop_list_bytes(Family::ipv6, hops_max(Family::ipv6), Generation{1}), 56);
  EXPECT_EQ(hop_list_bytes(Family::ipv4, 29, Generation{1}), 124);
  EXPECT_EQ(hop_list_bytes(Family::ipv4, 30, Generation::none), 124);
  EXPECT_EQ(hop_list_bytes(Family::ipv6, 7, Generation{1}), 120);
}

}  // namespace
}  // namespace guideway
