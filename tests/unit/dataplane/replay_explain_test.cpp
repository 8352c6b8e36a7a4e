#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "common/config/load.h"
#include "common/net/address_text.h"
#include "dataplane/replay/pcap_file.h"
#include "dataplane/replay/replay.h"
#include "guideway/tables_view.h"
#include "guideway/wire.h"
#include "tests/lib/temporary_directory.h"

namespace guideway::replay {
namespace {

constexpr const char* kConfig = R"(schema = 1
[dataplane]
main_core = 0
worker_cores = [1]
[[dataplane.port]]
name = "uplink"
device = "net_null0"
[pool.web]
slots = 251
scheduler = "source-hash"
backends = [{ name = "b1", address = "10.0.0.1" }, { name = "b2", address = "10.0.0.2" }]
[vip.web]
address = ["203.0.113.10", "2001:db8::10"]
port = 80
pool = "web"
)";

constexpr Be32 kClient = Be32::from_host(0xc6336407);
constexpr Be32 kVip = Be32::from_host(0xcb00710a);

class ReplayExplainTest : public testing::Test {
 protected:
  ReplayExplainTest() { std::ofstream(directory_ / "guideway.toml") << kConfig; }

  using Bytes = std::vector<std::uint8_t>;
  template <typename IpHeader>
  struct Frame {
    EthernetHeader ethernet{};
    IpHeader ip{};
    TcpHeader tcp{};
    Bytes bytes() const {
      const auto* first = reinterpret_cast<const std::uint8_t*>(this);
      return {first, first + sizeof *this};
    }
  };
  template <typename IpHeader>
  static Frame<IpHeader> syn(std::uint16_t ether_type, std::uint16_t client_port) {
    Frame<IpHeader> frame;
    frame.ethernet.ether_type = Be16::from_host(ether_type);
    frame.tcp.ports = {Be16::from_host(client_port), Be16::from_host(80)};
    frame.tcp.flags = kTcpSyn;
    return frame;
  }
  static Bytes syn4(std::uint16_t client_port) {
    auto frame = syn<Ipv4Header>(0x0800, client_port);
    frame.ip.version_ihl = 0x45;
    frame.ip.total_length = Be16::from_host(sizeof(Ipv4Header) + sizeof(TcpHeader));
    frame.ip.protocol = static_cast<std::uint8_t>(IpProto::tcp);
    frame.ip.source = kClient;
    frame.ip.destination = kVip;
    return frame.bytes();
  }
  static Bytes syn6(const IpAddress& client) {
    auto frame = syn<Ipv6Header>(0x86dd, 1000);
    frame.ip.version_class_label = Be32::from_host(0x6U << 28);
    frame.ip.payload_length = Be16::from_host(sizeof(TcpHeader));
    frame.ip.next_header = static_cast<std::uint8_t>(IpProto::tcp);
    frame.ip.source = client.bytes;
    frame.ip.destination = parse_ip("2001:db8::10")->bytes;
    return frame.bytes();
  }

  std::string explain(const std::vector<Bytes>& frames) {
    PcapWriter in((directory_ / "in.pcap").string());
    for (std::size_t i = 0; i < frames.size(); i++) in.write({Ns{i}, frames[i]});
    in.flush();
    testing::internal::CaptureStdout();
    run({.config = (directory_ / "guideway.toml").string(),
         .before = {},
         .changes = {},
         .in = (directory_ / "in.pcap").string(),
         .out = (directory_ / "out.pcap").string(),
         .kernel = {},
         .counters = {},
         .explain = true});
    return testing::internal::GetCapturedStdout();
  }

  const TemporaryDirectory temporary_;
  const std::filesystem::path directory_ = temporary_.path();
};

TEST_F(ReplayExplainTest, TheSlotOfSourceHashIsTheClients) {
  const std::string text = explain({syn4(1000), syn4(1001), syn4(1002), syn4(1003), syn4(1004)});
  const std::regex slot("slot \\d+ of 251");
  EXPECT_EQ(std::set<std::string>(std::sregex_token_iterator(text.begin(), text.end(), slot), {}).size(), 1U) << text;
}

// An IPv6 packet from ::ffff:198.51.100.7 is none from 198.51.100.7, and the worker hashes what is in it.
TEST_F(ReplayExplainTest, TheSlotOfAMappedClientIsThatOfIpv6) {
  const IpAddress client = IpAddress::from_v4(kClient);
  const config::LoadResult loaded = config::load_config((directory_ / "guideway.toml").string());
  const FlowHashKeys keys = expand_flow_hash_keys(loaded.config.value().flow_hash.secret);
  const std::uint32_t slot = index(slot_of(source_hash(keys, client.bytes, 128), 251));
  const std::string text = explain({syn6(client)});
  EXPECT_NE(text.find(" [::ffff:198.51.100.7]:1000 > [2001:db8::10]:80 tcp"), std::string::npos) << text;
  EXPECT_NE(text.find("slot " + std::to_string(slot) + " of 251"), std::string::npos) << text;
}

}  // namespace
}  // namespace guideway::replay
