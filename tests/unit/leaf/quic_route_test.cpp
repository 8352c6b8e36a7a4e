// Which backend QUIC packets go to, and that nothing behind a payload is read.
#include "guideway/quic_route.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstring>
#include <random>

#include "tests/unit/leaf/hex.h"
#include "tests/unit/leaf/quic_pool.h"

namespace guideway {
namespace {

QuicLayouts plain_layout() {
  QuicLayouts layouts{};
  layouts[0].shape = {QuicLayoutKind::plain, 3, 4};
  return layouts;
}

std::vector<QuicServerId> three_ids() {
  return {server_id_of({0, 0, 1}), server_id_of({0, 0, 2}), server_id_of({0xc4, 0x60, 0x5e})};
}

struct Case {
  const char* name;
  const char* payload;
  QuicRouteKind kind;
  std::ptrdiff_t backend;
};

constexpr Case kCases[] = {
    {"initial_with_a_known_id", "c0000000010807c4605e4504cc4f00", QuicRouteKind::by_flow_hash, -1},
    {"0rtt", "d0000000010807c4605e4504cc4f00", QuicRouteKind::by_flow_hash, -1},
    {"other_version", "e00a0a0a0a0807c4605e4504cc4f00", QuicRouteKind::by_flow_hash, -1},
    {"handshake", "e0000000010807c4605e4504cc4f00", QuicRouteKind::by_server_id, 2},
    {"handshake_version_2", "f06b3343cf0807c4605e4504cc4f00", QuicRouteKind::by_server_id, 2},
    {"handshake_with_a_longer_id", "e0000000010907c4605e4504cc4f00", QuicRouteKind::by_server_id, 2},
    {"handshake_with_a_shorter_id", "e0000000010707c4605e4504cc4f00", QuicRouteKind::unknown_id, -1},
    {"short_header", "4007c4605e4504cc4f", QuicRouteKind::by_server_id, 2},
    {"short_header_more", "400000000201020304deadbeef", QuicRouteKind::by_server_id, 1},
    {"short_header_cut", "4007c4605e4504cc", QuicRouteKind::unknown_id, -1},
    {"unknown_server", "40070000034504cc4f", QuicRouteKind::unknown_id, -1},
    {"unknown_layout", "4027c4605e4504cc4f", QuicRouteKind::unknown_id, -1},
    {"unroutable", "40e7c4605e4504cc4f", QuicRouteKind::unknown_id, -1},
    {"empty", "", QuicRouteKind::unknown_id, -1},
    {"first_byte_only", "40", QuicRouteKind::unknown_id, -1},
    {"long_header_cut", "e000000001", QuicRouteKind::unknown_id, -1},
    {"handshake_without_id", "e00000000100", QuicRouteKind::unknown_id, -1},
};

class QuicRouteCase : public testing::TestWithParam<Case> {};

TEST_P(QuicRouteCase, GoesWhereItSays) {
  const QuicPool pool(plain_layout(), three_ids());
  const QuicRoute route = route_quic(pool.view(), bytes_of(GetParam().payload));
  EXPECT_EQ(route.kind, GetParam().kind);
  EXPECT_EQ(pool.position_of(route.backend), GetParam().backend);
}

INSTANTIATE_TEST_SUITE_P(, QuicRouteCase, testing::ValuesIn(kCases), [](const auto& each) { return each.param.name; });

TEST(QuicRoute, OnlyToBackendsThatAreReachableAndAlive) {
  QuicPool pool(plain_layout(), three_ids());
  const auto payload = bytes_of("4007c4605e4504cc4f");
  const BackendRecord usable = pool.backend(2);
  for (const bool alive : {false, true}) {
    pool.backend(2).flags = alive ? kBackendAlive : std::uint8_t{0};
    pool.backend(2).outer = alive ? kNoOuter : usable.outer;
    EXPECT_EQ(route_quic(pool.view(), payload).kind, QuicRouteKind::unknown_id) << alive;
    EXPECT_EQ(route_quic(pool.view(), payload).backend, nullptr) << alive;
  }
  pool.backend(2) = usable;
  EXPECT_EQ(route_quic(pool.view(), payload).backend, &pool.backend(2));
}

TEST(QuicRoute, PoolsWithoutLayoutsGoByTheFlowHash) {
  EXPECT_EQ(route_quic(PoolView{}, bytes_of("4007c4605e4504cc4f")).kind, QuicRouteKind::by_flow_hash);
  EXPECT_EQ(route_quic(PoolView{}, {}).kind, QuicRouteKind::by_flow_hash);
}

TEST(QuicRoute, KatranVersionsShareTheirNumbers) {
  const QuicPool pool(kKatranLayouts, {katran_server_id(5), katran_server_id(0x12345)});
  EXPECT_EQ(pool.position_of(route_quic(pool.view(), bytes_of("404001400000000000")).backend), 0);  // version 1
  EXPECT_EQ(pool.position_of(route_quic(pool.view(), bytes_of("40bf000005ffffffff")).backend), 0);  // version 2
  EXPECT_EQ(pool.position_of(route_quic(pool.view(), bytes_of("40c000000005000000")).backend), 0);  // version 3
  EXPECT_EQ(pool.position_of(route_quic(pool.view(), bytes_of("4080012345000000")).backend), -1);   // 7 bytes
  EXPECT_EQ(pool.position_of(route_quic(pool.view(), bytes_of("408001234500000000")).backend), 1);
}

// The payload ends where memory does.
class GuardedPayload {
 public:
  GuardedPayload() {
    void* at = mmap(nullptr, 2 * kPageBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    page_ = static_cast<std::uint8_t*>(at);
    mprotect(page_ + kPageBytes, kPageBytes, PROT_NONE);
  }
  ~GuardedPayload() { munmap(page_, 2 * kPageBytes); }
  GuardedPayload(const GuardedPayload&) = delete;
  GuardedPayload& operator=(const GuardedPayload&) = delete;

  std::span<std::uint8_t> last(std::size_t count) const { return {page_ + kPageBytes - count, count}; }

 private:
  static constexpr std::size_t kPageBytes = 4096;
  std::uint8_t* page_;
};

TEST(QuicRoute, NeverReadsPastThePayload) {
  QuicLayouts layouts{};
  layouts[0].shape = {QuicLayoutKind::plain, 1, 4};
  layouts[1].shape = {QuicLayoutKind::plain, 1, 18};
  layouts[2].shape = {QuicLayoutKind::single_pass, 1, 15};
  layouts[3].shape = {QuicLayoutKind::four_pass, 1, 18};
  layouts[4].shape = {QuicLayoutKind::four_pass, 1, 4};
  layouts[5] = layouts[6] = kKatranLayouts[7];
  std::vector<QuicServerId> ids;
  for (int i = 0; i < 256; i += 2) ids.push_back(server_id_of({static_cast<std::uint8_t>(i)}));
  const QuicPool pool(layouts, ids);
  const GuardedPayload memory;
  std::mt19937_64 random(20261128);
  std::array<std::uint64_t, 3> seen{};
  for (int i = 0; i < 1'000'000; i++) {
    const auto payload = memory.last(random() % 32);
    for (std::uint8_t& byte : payload) byte = static_cast<std::uint8_t>(random());
    // Half of them have a version that is looked into.
    if (random() % 2 == 0 && payload.size() >= 6) {
      const std::uint32_t version = random() % 2 == 0 ? kQuicVersion1 : kQuicVersion2;
      store(payload.data() + 1, Be32::from_host(version));
      payload[5] = static_cast<std::uint8_t>(random() % 24);
    }
    const QuicRoute route = route_quic(pool.view(), payload);
    seen.at(static_cast<std::size_t>(route.kind))++;
    ASSERT_EQ(route.backend != nullptr, route.kind == QuicRouteKind::by_server_id) << "seed 20261128, payload " << i;
  }
  for (const std::uint64_t count : seen) EXPECT_GT(count, 10'000U);
}

}  // namespace
}  // namespace guideway
