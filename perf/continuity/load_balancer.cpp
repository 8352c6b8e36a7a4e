#include "perf/continuity/load_balancer.h"

#include <algorithm>
#include <bit>

#include "dataplane/stages/hops.h"

namespace guideway::perf {
namespace {

constexpr std::size_t kIpAt = sizeof(EthernetHeader);
constexpr std::size_t kTcpAt = kIpAt + sizeof(Ipv4Header);
constexpr std::uint16_t kFrameUsed = kTcpAt + sizeof(TcpHeader);

// All that is the same in every frame.
void write_frame(std::uint8_t* at) {
  store(at,
        EthernetHeader{
            {{2, 0, 0, 0, 0, 1}}, {{2, 0, 0, 0, 0, 2}}, Be16::from_host(static_cast<std::uint16_t>(EtherType::ipv4))});
  Ipv4Header ip{};
  ip.version_ihl = 0x45;
  ip.total_length = Be16::from_host(kFrameUsed - kIpAt);
  ip.ttl = 64;
  ip.protocol = static_cast<std::uint8_t>(IpProto::tcp);
  ip.destination = simulated_vip().v4();
  store(at + kIpAt, ip);
  TcpHeader tcp{};
  tcp.data_offset = 0x50;
  store(at + kTcpAt, tcp);
}

std::uint8_t flags_of(FlowPart part) {
  if (part == FlowPart::opening) return kTcpSyn;
  return part == FlowPart::data ? kTcpAck : kTcpAck | kTcpFin;
}

// 30 bits of the ID, in another order, are the client's address in 16.0.0.0 – 79.255.255.255.
void write_flow(std::uint8_t* at, const SimulatedPacket& packet) {
  store(at + kIpAt + offsetof(Ipv4Header, source),
        Be32::from_host(0x10000000 + (packet.flow_id * 0x9e3779b1 & 0x3fffffff)));
  const auto port = static_cast<std::uint16_t>(1024 + packet.flow_id % 60'000);
  store(at + kTcpAt, Ports{Be16::from_host(port), Be16::from_host(kSimulatedPort)});
  at[kTcpAt + offsetof(TcpHeader, flags)] = flags_of(packet.part);
}

std::uint32_t member_of(const Packet& packet) {
  return packet.verdict == Verdict::pending ? packet.backend->stats_index : Choices::kNowhere;
}

void read_hops(const Packet& packet, const TablesView& view, Choices& choices) {
  const HopList list = hop_list_of(packet, view);
  if (list.bytes == 0) return;
  const auto header = load<HopListHeader>(list.data.data());
  for (std::size_t i = 0; i < header.hop_count; i++) {
    const auto address = load<Be32>(list.data.data() + sizeof header + i * sizeof(Be32));
    choices.hops[i] = member_of_address(IpAddress::from_v4(address));
  }
}

Choices choices_of(const Packet& packet, const TablesView& gue) {
  Choices choices;
  choices.second_chance = member_of(packet);
  choices.hash = packet.hash;
  choices.has_hops = packet.has_hops;
  const PoolView* pool = pool_view(gue, packet.pool);
  const SlotEntry* entry = pool != nullptr ? slot_entry(*pool, packet.hash) : nullptr;
  choices.unsettled = entry != nullptr && (*entry & kSlotUnsettled) != 0;
  if (packet.has_hops) read_hops(packet, gue, choices);
  return choices;
}

// Hardly full: what a table that is too small breaks is not the question here.
std::size_t buckets_for(std::size_t flows) {
  return std::bit_ceil(std::max<std::size_t>(2, flows));
}

}  // namespace

RememberedFlows::RememberedFlows(std::size_t buckets) : buckets_(buckets) {
  restart();
}

void RememberedFlows::forget() {
  std::ranges::fill(buckets_, FlowBucket{});
  restart();
}

// A worker does it with each poll, of which there are few here.
void RememberedFlows::sweep(Seconds now) {
  constexpr std::size_t kBucketsInASecond = 512;
  for (std::size_t i = 0; i <= buckets_.size() / kBucketsInASecond / 8; i++) tracker_->flows.sweep(now);
}

LoadBalancer::LoadBalancer(std::size_t flows)
    : second_chance_(buckets_for(flows)), moved_(buckets_for(flows)), all_(buckets_for(flows)), none_(0) {
  for (auto& frame : frames_) write_frame(frame.data());
}

void LoadBalancer::receive(const SimulatedPacket& packet) {
  const std::uint32_t i = batch_.count++;
  packets_[i] = packet;
  write_flow(frames_[i].data(), packet);
  Packet& received = batch_.packets[i];
  received = {};
  received.data = frames_[i].data();
  received.frame_bytes = kFrameUsed;
  received.contiguous_bytes = kFrameUsed;
}

void LoadBalancer::choose(const TablesView& gue, const TablesView& ipip, Seconds now) {
  parse(batch_);
  classify(batch_, gue);
  const Batch classified = batch_;
  select(batch_, gue, second_chance_.tracker(), now);
  for (std::uint32_t i = 0; i < batch_.count; i++) choices_[i] = choices_of(batch_.packets[i], gue);
  choose_by_ipip(classified, ipip, now);
}

// VIP and pool are the same ones in all tables.
void LoadBalancer::choose_by_ipip(const Batch& classified, const TablesView& ipip, Seconds now) {
  const auto choose_by = [&](Tracking tracking, RememberedFlows& flows, std::uint32_t Choices::*choice) {
    Batch batch = classified;
    for (Packet& packet : batch.all()) packet.tracking = tracking;
    select(batch, ipip, flows.tracker(), now);
    for (std::uint32_t i = 0; i < batch.count; i++) choices_[i].*choice = member_of(batch.packets[i]);
  };
  choose_by(Tracking::moved, moved_, &Choices::moved);
  choose_by(Tracking::all, all_, &Choices::all);
  choose_by(Tracking::none, none_, &Choices::none);
}

void LoadBalancer::restart() {
  for (RememberedFlows* flows : {&second_chance_, &moved_, &all_}) flows->restart();
}
void LoadBalancer::forget() {
  for (RememberedFlows* flows : {&second_chance_, &moved_, &all_}) flows->forget();
}
void LoadBalancer::sweep(Seconds now) {
  for (RememberedFlows* flows : {&second_chance_, &moved_, &all_}) flows->sweep(now);
}

}  // namespace guideway::perf
