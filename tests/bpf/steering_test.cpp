// What the data plane steers, generation by generation, when a map cannot take it all. No port, no packets.
#include "dataplane/steering.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <gtest/gtest.h>
#include <linux/if_link.h>
#include <xsk_steer.skel.h>

#include <memory>

#include "guideway/abi/xsk_steer.h"
#include "tests/bpf/xdp_runner.h"

namespace guideway::bpf {
namespace {

using std::chrono::milliseconds;

class SteeringTest : public testing::Test {
 protected:
  void SetUp() override {
    enter_own_network_namespace();
    const std::unique_ptr<xsk_steer_bpf, decltype(&xsk_steer_bpf::destroy)> skeleton(xsk_steer_bpf::open_and_load(),
                                                                                     &xsk_steer_bpf::destroy);
    ASSERT_TRUE(skeleton) << "the kernel does not take the steering program";
    ASSERT_EQ(bpf_xdp_attach(static_cast<int>(interface_index("lo")), bpf_program__fd(skeleton->progs.xsk_steer),
                             XDP_FLAGS_SKB_MODE, nullptr),
              0);
  }

  // A generation with so many VIPs.
  TablesView view(std::uint64_t generation, std::uint32_t vips) {
    vips_.resize(vips);
    for (std::uint32_t i = 0; i < vips; i++) {
      vips_[i].address = IpAddress::from_v4(Be32::from_host(0x0a000000 + i));
      vips_[i].prefix_bits = 32;
    }
    TablesView view;
    view.generation = static_cast<Generation>(generation);
    view.vips = vips_;
    return view;
  }

  std::vector<VipRecord> vips_;
  std::chrono::steady_clock::time_point now_{};
};

TEST_F(SteeringTest, SaysWhatItDoesNotSteerAndTriesAgain) {
  Steering steering({"lo"});
  EXPECT_TRUE(steering.update(view(1, 10), now_));
  EXPECT_FALSE(steering.update(view(2, GUIDEWAY_STEER_VIPS_MAX + 1), now_));
  // Here the map comes to have room; with another one it would have been memory.
  EXPECT_FALSE(steering.update(view(2, 10), now_ + milliseconds(999))) << "not on every turn of the main core";
  EXPECT_TRUE(steering.update(view(2, 10), now_ + milliseconds(1000)));
  EXPECT_FALSE(steering.update(view(3, GUIDEWAY_STEER_VIPS_MAX + 1), now_));
  EXPECT_TRUE(steering.update(view(4, 10), now_)) << "another generation is tried at once";
}

TEST_F(SteeringTest, HasNothingToDoWithoutAnInterface) {
  EXPECT_TRUE(Steering({}).update(view(1, GUIDEWAY_STEER_VIPS_MAX + 1), now_));
}

}  // namespace
}  // namespace guideway::bpf
