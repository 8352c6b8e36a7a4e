// Two workers of one data plane, and what belongs to a flow of one of them but comes to the other.
#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "common/net/address_text.h"
#include "common/shm/tables_writer.h"
#include "dataplane/stages/stages.h"

namespace guideway {
namespace {

constexpr std::size_t kHeadroomBytes = 128;
constexpr std::size_t kBucketsEach = 1024;
constexpr std::uint32_t kBackends = 8;
constexpr std::uint16_t kFlows = 64;
const IpAddress kClient = *parse_ip("198.51.100.7");
const IpAddress kRouter = *parse_ip("198.51.100.1");
const IpAddress kVip = *parse_ip("203.0.113.10");

using Frame = std::vector<std::uint8_t>;

Frame ipv4_frame(IpProto protocol, const IpAddress& from, const IpAddress& to, const Frame& payload) {
  Frame frame(sizeof(EthernetHeader) + sizeof(Ipv4Header));
  store(&frame[offsetof(EthernetHeader, ether_type)], Be16::from_host(0x0800));
  std::uint8_t* ip = &frame[sizeof(EthernetHeader)];
  const auto bytes = static_cast<std::uint16_t>(sizeof(Ipv4Header) + payload.size());
  Ipv4Header header{};
  header.version_ihl = 0x45;
  header.total_length = Be16::from_host(bytes);
  header.ttl = 64;
  header.protocol = static_cast<std::uint8_t>(protocol);
  header.source = from.v4();
  header.destination = to.v4();
  store(ip, header);
  frame.insert(frame.end(), payload.begin(), payload.end());
  return frame;
}

Frame ports(std::uint16_t from, std::uint16_t to, std::size_t header_bytes) {
  Frame header(header_bytes);
  store(header.data(), Ports{Be16::from_host(from), Be16::from_host(to)});
  return header;
}

Frame tcp(std::uint16_t client_port, std::uint8_t flags) {
  Frame header = ports(client_port, 80, sizeof(TcpHeader));
  header[offsetof(TcpHeader, data_offset)] = 0x50;
  header[offsetof(TcpHeader, flags)] = flags;
  return ipv4_frame(IpProto::tcp, kClient, kVip, header);
}

// "Fragmentation needed", about a packet that a backend sent to the client.
Frame too_big(std::uint16_t client_port) {
  Frame icmp(sizeof(IcmpHeader));
  icmp[0] = static_cast<std::uint8_t>(Icmp4::unreachable);
  icmp[1] = 4;
  const Frame quoted = ipv4_frame(IpProto::tcp, kVip, kClient, ports(80, client_port, sizeof(TcpHeader)));
  icmp.insert(icmp.end(), quoted.begin() + sizeof(EthernetHeader), quoted.end());
  return ipv4_frame(IpProto::icmp, kRouter, kVip, icmp);
}

Frame udp(std::uint16_t client_port) {
  Frame datagram = ports(client_port, 53, 24);
  store(&datagram[offsetof(UdpHeader, length)], Be16::from_host(24));
  return ipv4_frame(IpProto::udp, kClient, kVip, datagram);
}

// Each of a datagram of its own.
Frame first_fragment(std::uint16_t client_port) {
  static std::uint16_t id = 0;
  Frame frame = udp(client_port);
  store(&frame[sizeof(EthernetHeader) + offsetof(Ipv4Header, id)], Be16::from_host(id++));
  store(&frame[sizeof(EthernetHeader) + offsetof(Ipv4Header, flags_fragment)], Be16::from_host(kIpv4MoreFragments));
  return frame;
}

class PeersTest : public testing::Test {
 protected:
  PeersTest() {
    DesiredPool pool{.encap = Encap::ipip, .slot_count = 1009, .scheduler = Scheduler::round_robin};
    const Egress egress{0, *parse_mac("02:00:00:00:00:aa"), *parse_mac("02:00:00:00:00:bb"), kRouter, 1500};
    for (std::uint32_t b = 0; b < kBackends; b++)
      pool.backends.push_back({IpAddress::from_v4(Be32::from_host(0x0a000001 + b)), 1, b, true, egress});
    DesiredTables tables;
    tables.pools = {pool};
    tables.vips = {{.prefix = IpPrefix::of(kVip), .port = 80, .tracking = Tracking::all},
                   {.prefix = IpPrefix::of(kVip), .port = 53, .protocol = IpProto::udp, .tracking = Tracking::all}};
    writer_ = shm::TablesWriter::create(1 << 20);
    writer_->publish(ImageBuilder().build(tables));
    pools_.resize(pool_count(writer_->memory(), writer_->root()));
    EXPECT_EQ(open_generation(writer_->memory(), writer_->root(), pools_, nullptr, view_), TablesError::none);
  }

  std::span<FlowBucket> buckets_of(std::size_t worker) {
    return std::span(buckets_).subspan(worker * kBucketsEach, kBucketsEach);
  }
  StagesState worker(std::size_t w) {
    return {
        {}, {FlowTable(buckets_of(w), {}, {}), PeerFlows(buckets_, buckets_of(w), {})}, {RateLimit(0), RateLimit(0)}};
  }
  // Where the worker sends it, as its outer destination; none: nowhere.
  std::uint32_t send(StagesState& worker, Frame frame) {
    frame.insert(frame.begin(), kHeadroomBytes, 0);
    auto batch = std::make_unique<Batch>();
    batch->count = 1;
    Packet& packet = batch->packets[0];
    packet.data = frame.data() + kHeadroomBytes;
    packet.frame_bytes = packet.contiguous_bytes = static_cast<std::uint16_t>(frame.size() - kHeadroomBytes);
    packet.headroom_bytes = kHeadroomBytes;
    run_stages(*batch, view_, worker, now_);
    return packet.verdict == Verdict::forward ? packet.backend->address.v4().host() : 0;
  }

  std::vector<FlowBucket> buckets_ = std::vector<FlowBucket>(2 * kBucketsEach);
  StagesState first_ = worker(0);
  StagesState second_ = worker(1);
  Ns now_ = std::chrono::seconds(1000);

 private:
  std::unique_ptr<shm::TablesWriter> writer_;
  std::vector<PoolView> pools_;
  TablesView view_;
};

TEST_F(PeersTest, IcmpErrorsReachTheFlowsBackendAndLeaveNoTrace) {
  std::vector<std::uint32_t> backends;
  for (std::uint16_t n = 0; n < kFlows; n++) {
    send(first_, tcp(1000 + n, kTcpSyn));
    backends.push_back(send(first_, tcp(1000 + n, kTcpAck)));
  }
  for (std::uint16_t n = 0; n < kFlows; n++) {
    EXPECT_NE(backends[n], 0U);
    EXPECT_EQ(send(first_, too_big(1000 + n)), backends[n]);
    EXPECT_EQ(send(second_, too_big(1000 + n)), backends[n]);
  }
  EXPECT_EQ(second_.tracker.flows.usage().inserted, 0U);
}

TEST_F(PeersTest, FragmentsReachTheFlowsBackendAlsoWhenNothingElseComes) {
  std::vector<std::uint32_t> backends;
  for (std::uint16_t n = 0; n < kFlows; n++) backends.push_back(send(first_, udp(1000 + n)));
  const Ns timeout = FlowTimeouts{}.datagram;
  for (int i = 0; i < 4; i++, now_ += timeout * 2 / 3)
    for (std::uint16_t n = 0; n < kFlows; n++) EXPECT_EQ(send(second_, first_fragment(1000 + n)), backends[n]) << i;
  EXPECT_EQ(second_.tracker.flows.usage().inserted, kFlows) << "remembered once";
}

TEST_F(PeersTest, TheWorkerThatMeetsWholePacketsDecides) {
  std::uint16_t differ = 0;
  send(first_, udp(999));  // or both would take their turns in step
  for (std::uint16_t n = 0; n < kFlows; n++) {
    const std::uint32_t before = send(second_, first_fragment(1000 + n));
    const std::uint32_t whole = send(first_, udp(1000 + n));
    if (before != whole) differ++;
    EXPECT_EQ(send(second_, first_fragment(1000 + n)), before) << "both met it in this second: it stays where it is";
    now_ += std::chrono::seconds(1);
    send(first_, udp(1000 + n));
    EXPECT_EQ(send(second_, first_fragment(1000 + n)), whole);
  }
  EXPECT_GT(differ, 0) << "or it was not shown";
  EXPECT_EQ(second_.tracker.flows.usage().flows, kFlows);
}

TEST_F(PeersTest, AFlowThatNobodyKnowsIsScheduledAsEver) {
  EXPECT_NE(send(second_, first_fragment(1000)), 0U);
  EXPECT_EQ(second_.tracker.flows.usage().inserted, 1U);
}

}  // namespace
}  // namespace guideway
