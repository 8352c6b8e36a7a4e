// What is decided before any device is opened: device strings, kernel paths, DPDK's arguments, heartbeats.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "dataplane/device_string.h"
#include "dataplane/eal.h"
#include "dataplane/kernel_path.h"
#include "dataplane/start_error.h"
#include "dataplane/stats_segment.h"
#include "dataplane/worker_group.h"

namespace guideway {
namespace {

using ::testing::Contains;
using ::testing::Not;
using namespace std::chrono_literals;

TEST(DeviceString, HasANameADriverAndArguments) {
  const char* device = "net_af_xdp12,iface=eth1,queue_count=2,flag";
  EXPECT_EQ(device_name(device), "net_af_xdp12");
  EXPECT_EQ(device_driver(device), "net_af_xdp");
  EXPECT_EQ(device_argument(device, "iface"), "eth1");
  EXPECT_EQ(device_argument(device, "flag"), "");
  EXPECT_EQ(device_argument(device, "net_af_xdp12"), std::nullopt);
  EXPECT_EQ(device_argument("net_null0", "iface"), std::nullopt);
}

TEST(DeviceString, KeepsAnArgumentThatIsThere) {
  EXPECT_EQ(with_argument("net_null0", "a", "1"), "net_null0,a=1");
  EXPECT_EQ(with_argument("net_null0,a=2", "a", "1"), "net_null0,a=2");
}

TEST(DeviceString, TellsPciAddresses) {
  for (const char* pci : {"0000:3b:00.0", "3b:00.1", "0000:AF:00.0,arg=1"}) EXPECT_TRUE(is_pci_address(pci)) << pci;
  for (const char* other : {"net_tap0", "", "3b:00", "0000:3b:00", "zz:00.0", "0000:3b:00.0.1"})
    EXPECT_FALSE(is_pci_address(other)) << other;
}

config::Port port_on(const char* device, const char* kernel = "auto") {
  config::Port port;
  port.name = "wan";
  port.device = device;
  port.kernel = kernel;
  return port;
}

TEST(KernelPath, AutoFitsTheDevice) {
  struct Row {
    const char* device;
    bool has_vhost_net;
    KernelPathKind kind;
    const char* path_device;
    const char* interface;
  };
  for (const Row& row : std::initializer_list<Row>{
           {"net_af_xdp0,iface=eth1", true, KernelPathKind::steer, "", "eth1"},
           {"net_af_packet0,iface=eth1", true, KernelPathKind::copy, "", "eth1"},
           {"net_pcap0,rx_pcap=a,tx_pcap=b", true, KernelPathKind::none, "", ""},
           {"net_memif0", true, KernelPathKind::none, "", ""},
           {"0000:3b:00.0", false, KernelPathKind::device, "net_tap2,iface=gw2", "gw2"},
           {"0000:3b:00.0", true, KernelPathKind::device, "virtio_user2,path=/dev/vhost-net,queue_size=1024,iface=gw2",
            "gw2"},
       }) {
    const KernelPath path = kernel_path_of(port_on(row.device), 2, row.has_vhost_net);
    EXPECT_EQ(path.kind, row.kind) << row.device;
    EXPECT_EQ(path.device, row.path_device);
    EXPECT_EQ(path.interface, row.interface);
  }
}

TEST(KernelPath, IsWhatTheConfigurationSays) {
  EXPECT_EQ(kernel_path_of(port_on("net_af_packet0,iface=eth1", "none"), 0, false).kind, KernelPathKind::none);
  const KernelPath tap = kernel_path_of(port_on("net_pcap0", "net_tap0,iface=lb0"), 0, false);
  EXPECT_EQ(tap.kind, KernelPathKind::device);
  EXPECT_EQ(tap.interface, "lb0");
  config::Port named = port_on("0000:3b:00.0");
  named.kernel_interface = "wan0";
  EXPECT_EQ(kernel_path_of(named, 0, false).device, "net_tap0,iface=wan0");
}

TEST(KernelPath, RefusesAKindThatTheDeviceCannotDo) {
  EXPECT_THROW(kernel_path_of(port_on("net_af_packet0,iface=eth1", "steer"), 0, false), StartError);
  EXPECT_THROW(kernel_path_of(port_on("net_af_xdp0,iface=eth1", "copy"), 0, false), StartError);
}

config::Dataplane two_workers() {
  config::Dataplane config;
  config.main_core = 2;
  config.worker_cores = {5, 7};
  config.memory_mib = 64;
  config.ports = {port_on("net_null0")};
  return config;
}

TEST(EalArguments, NumberCoresByWorker) {
  EXPECT_THAT(eal_arguments(two_workers(), {}), Contains("0@2,1@5,2@7"));
}

TEST(EalArguments, TakeHugepagesWhenEnoughAreFree) {
  const auto enough = parse_hugepages("HugePages_Total: 99\nHugePages_Free:       32\nHugepagesize:       2048 kB\n");
  EXPECT_EQ(enough.free_bytes, 64ULL << 20);
  EXPECT_THAT(eal_arguments(two_workers(), enough), Contains("--in-memory"));
  EXPECT_THAT(eal_arguments(two_workers(), {enough.free_bytes - 1}), Contains("--no-huge"));
  EXPECT_THAT(eal_arguments(two_workers(), {enough.free_bytes - 1}), Not(Contains("--in-memory")));
}

TEST(EalArguments, ObeyTheConfigurationAboutHugepages) {
  auto config = two_workers();
  config.hugepages = config::Hugepages::off;
  EXPECT_THAT(eal_arguments(config, {1ULL << 30}), Contains("--no-huge"));
  config.hugepages = config::Hugepages::on;
  EXPECT_THROW(eal_arguments(config, {}), StartError);
}

TEST(EalArguments, LookAtTheBusForPciPortsOnly) {
  auto config = two_workers();
  EXPECT_THAT(eal_arguments(config, {}), Contains("--no-pci"));
  config.ports.push_back(port_on("0000:3b:00.0"));
  const auto arguments = eal_arguments(config, {});
  EXPECT_THAT(arguments, Not(Contains("--no-pci")));
  const auto allow = std::find(arguments.begin(), arguments.end(), "-a");
  ASSERT_NE(allow, arguments.end());
  EXPECT_EQ(*std::next(allow), "0000:3b:00.0");
}

TEST(HeartbeatWatch, TellsTheSilentFromTheIdle) {
  const SteadyTime start{};
  HeartbeatWatch watch(100ms, start);
  EXPECT_TRUE(watch.alive(0, start + 100ms)) << "not started yet";
  EXPECT_FALSE(watch.alive(0, start + 101ms));
  EXPECT_TRUE(watch.alive(1, start + 200ms)) << "came back";
  EXPECT_TRUE(watch.alive(1, start + 300ms));
  EXPECT_FALSE(watch.alive(1, start + 301ms));
}

TEST(StatsSegment, IsNotReadyBeforeItIsPublished) {
  auto config = two_workers();
  config.vips_max = 10;
  config.backends_max = 20;
  StatsSegment stats(config, {});
  const Descriptor descriptor = stats.read_only_descriptor();
  EXPECT_TRUE(shm::is_sealed(descriptor));
  const shm::Mapping reader = shm::map_whole(descriptor, shm::Access::read_only);
  EXPECT_EQ(check_stats(reader.bytes()), AttachError::not_ready);
  stats.publish();
  EXPECT_EQ(check_stats(reader.bytes()), AttachError::none);
  EXPECT_EQ(stats.header().worker_count, 2U);
  EXPECT_EQ(stats.worker(WorkerId{1}).block->lcore, 7U);
  EXPECT_EQ(stats.worker(WorkerId{1}).backends.size(), 20U);
}

}  // namespace
}  // namespace guideway
