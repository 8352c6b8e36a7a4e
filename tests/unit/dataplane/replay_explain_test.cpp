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
oversize = "fragment-inner"
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
    return explain_capture();
  }
  // The first bytes of each frame in the last capture are all that it keeps, as with tcpdump -s.
  void cut_capture(std::uint32_t kept_bytes) {
    constexpr std::size_t kFileHeader = 24, kRecordHeader = 16, kCaplenAt = 8;
    Bytes cut = content("in.pcap");
    for (std::size_t at = kFileHeader; at < cut.size(); at += kRecordHeader + kept_bytes) {
      const auto frame_bytes = load<std::uint32_t>(&cut[at + kCaplenAt]);
      store(&cut[at + kCaplenAt], kept_bytes);
      const auto end = cut.begin() + static_cast<std::ptrdiff_t>(at + kRecordHeader + frame_bytes);
      cut.erase(end - (frame_bytes - kept_bytes), end);
    }
    std::ofstream(directory_ / "in.pcap").write(reinterpret_cast<const char*>(cut.data()), std::ssize(cut));
  }
  Bytes content(const char* name) const {
    std::ifstream stream(directory_ / name, std::ios::binary);
    return {std::istreambuf_iterator(stream), {}};
  }
  std::string explain_capture() {
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

TEST_F(ReplayExplainTest, APacketThatCannotBeCutIsDroppedForAReason) {
  constexpr std::size_t kIpBytes = 65535;  // with Ethernet it does not fit one buffer
  Bytes frame = syn4(1000);
  frame.resize(sizeof(EthernetHeader) + kIpBytes);
  store(frame.data() + sizeof(EthernetHeader) + offsetof(Ipv4Header, total_length), Be16::from_host(kIpBytes));
  const std::string text = explain({frame});
  EXPECT_NE(text.find(": dropped, drop_segmented: "), std::string::npos) << text;
}

// It would be called too short for its own lengths.
TEST_F(ReplayExplainTest, AFrameThatTheCaptureCutsIsAsLongAsItWas) {
  const std::string whole = explain({syn4(1000), syn4(1001)});
  const std::size_t out_bytes = content("out.pcap").size();
  cut_capture(38);  // up to the ports
  testing::internal::CaptureStderr();
  EXPECT_EQ(explain_capture(), whole);
  EXPECT_EQ(content("out.pcap").size(), out_bytes);
  EXPECT_NE(testing::internal::GetCapturedStderr().find("does not hold all of 2 frames"), std::string::npos);
}

}  // namespace
}  // namespace guideway::replay
