// Byte-order types, addresses, units.
#include <gtest/gtest.h>

#include <array>

#include "guideway/address.h"
#include "guideway/byte_order.h"
#include "guideway/units.h"

namespace guideway {
namespace {

template <typename Wire>
concept ConvertsSilently = std::is_convertible_v<Wire, std::uint64_t> || std::is_convertible_v<std::uint16_t, Wire>;
static_assert(!ConvertsSilently<Be16> && !ConvertsSilently<Be32> && !ConvertsSilently<Be64>);
static_assert(!std::is_convertible_v<VipId, PoolId> && !std::is_convertible_v<std::uint32_t, Slot>);

TEST(ByteOrder, LiesInMemoryAsOnTheWire) {
  EXPECT_EQ((std::bit_cast<std::array<std::uint8_t, 2>>(Be16::from_host(0x1234))),
            (std::array<std::uint8_t, 2>{0x12, 0x34}));
  EXPECT_EQ((std::bit_cast<std::array<std::uint8_t, 4>>(Be32::from_host(0x12345678))),
            (std::array<std::uint8_t, 4>{0x12, 0x34, 0x56, 0x78}));
  EXPECT_EQ((std::bit_cast<std::array<std::uint8_t, 8>>(Be64::from_host(0x123456789abcdef0))),
            (std::array<std::uint8_t, 8>{0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0}));
}

TEST(ByteOrder, HostAndRawRoundTrip) {
  for (const std::uint32_t value : {0U, 1U, 0x80U, 0xff00U, 0xdeadbeefU, ~0U}) {
    EXPECT_EQ(Be32::from_host(value).host(), value);
    EXPECT_EQ(Be32::from_raw(Be32::from_host(value).raw()), Be32::from_host(value));
  }
  EXPECT_EQ(Be16::from_host(0x1234).raw(), 0x3412);
}

TEST(ByteOrder, LoadAndStoreAtAnyAlignment) {
  std::array<std::uint8_t, 12> bytes{};
  for (std::size_t offset = 0; offset < 4; offset++) {
    store(bytes.data() + offset, Be64::from_host(0x0102030405060708));
    EXPECT_EQ(bytes[offset], 1);
    EXPECT_EQ(load<Be64>(bytes.data() + offset).host(), 0x0102030405060708U);
  }
}

TEST(Address, Ipv4LiesInSixteenBytesAsMapped) {
  const IpAddress ip = IpAddress::from_v4(Be32::from_host(0xcb00710a));
  EXPECT_EQ(ip.bytes, (std::array<std::uint8_t, 16>{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 203, 0, 113, 10}));
  EXPECT_TRUE(ip.is_v4());
  EXPECT_EQ(ip.family(), Family::ipv4);
  EXPECT_EQ(ip.v4().host(), 0xcb00710aU);
}

TEST(Address, OnlyTheMappedPrefixIsIpv4) {
  IpAddress ip = IpAddress::from_v4(Be32::from_host(0xffffffff));
  for (std::size_t i = 0; i < 12; i++) {
    IpAddress other = ip;
    other.bytes[i] ^= 0x80;
    EXPECT_EQ(other.family(), Family::ipv6) << "byte " << i;
  }
  EXPECT_EQ(IpAddress{}.family(), Family::ipv6);
}

TEST(Address, OrderIsThatOfTheBytes) {
  const auto v4 = [](std::uint32_t value) { return IpAddress::from_v4(Be32::from_host(value)); };
  EXPECT_LT(v4(0x0a000001), v4(0x0a000002));
  EXPECT_LT(v4(0x7fffffff), v4(0x80000000));
  EXPECT_LT(v4(0xffffffff), (IpAddress{{0x20, 0x01}}));
}

TEST(Units, GenerationsCountUp) {
  EXPECT_EQ(number(next(Generation::none)), 1U);
  EXPECT_EQ(number(next(static_cast<Generation>(41))), 42U);
}

}  // namespace
}  // namespace guideway
