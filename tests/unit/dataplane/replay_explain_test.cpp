#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <regex>
#include <set>

#include "dataplane/replay/pcap_file.h"
#include "dataplane/replay/replay.h"
#include "guideway/wire.h"

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
address = "203.0.113.10"
port = 80
pool = "web"
)";

constexpr Be32 kClient = Be32::from_host(0xc6336407);
constexpr Be32 kVip = Be32::from_host(0xcb00710a);

class ReplayExplainTest : public testing::Test {
 protected:
  ReplayExplainTest() {
    std::filesystem::create_directories(directory_);
    std::ofstream(directory_ / "guideway.toml") << kConfig;
  }
  ~ReplayExplainTest() override { std::filesystem::remove_all(directory_); }

  struct SynFrame {
    EthernetHeader ethernet{{}, {}, Be16::from_host(0x0800)};
    Ipv4Header ip{};
    TcpHeader tcp{};
  };
  static SynFrame syn(std::uint16_t client_port) {
    SynFrame frame;
    frame.ip.version_ihl = 0x45;
    frame.ip.total_length = Be16::from_host(sizeof(Ipv4Header) + sizeof(TcpHeader));
    frame.ip.protocol = static_cast<std::uint8_t>(IpProto::tcp);
    frame.ip.source = kClient;
    frame.ip.destination = kVip;
    frame.tcp.ports = {Be16::from_host(client_port), Be16::from_host(80)};
    frame.tcp.flags = kTcpSyn;
    return frame;
  }

  // Of each line.
  std::set<std::string> slots(std::uint16_t connections) {
    PcapWriter in((directory_ / "in.pcap").string());
    for (std::uint16_t i = 0; i < connections; i++) {
      const SynFrame frame = syn(static_cast<std::uint16_t>(1000 + i));
      const auto* bytes = reinterpret_cast<const std::uint8_t*>(&frame);
      in.write({Ns{i}, {bytes, sizeof frame}});
    }
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
    const std::string text = testing::internal::GetCapturedStdout();
    const std::regex slot("slot \\d+ of 251");
    return {std::sregex_token_iterator(text.begin(), text.end(), slot), std::sregex_token_iterator()};
  }

  const std::filesystem::path directory_ = testing::TempDir() + "guideway-explain-" + std::to_string(getpid());
};

TEST_F(ReplayExplainTest, TheSlotOfSourceHashIsTheClients) {
  EXPECT_EQ(slots(5).size(), 1U);
}

}  // namespace
}  // namespace guideway::replay
