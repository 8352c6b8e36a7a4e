#include "dataplane/stages/stages.h"

namespace guideway {
namespace {

constexpr Counter kNothingWrong{};

// An unsound packet has no protocol and port to go by: only its address counts, which the key of zeros stands for.
VipMatch match(const Packet& packet, const TablesView& view) {
  const bool sound = packet.reason == kNothingWrong;
  const IpProto protocol = sound ? packet.protocol : IpProto{};
  const Be16 port = sound ? packet.ports.destination : Be16{};
  const std::uint8_t* ip = packet.data + packet.l3_offset;
  if (packet.family == Family::ipv4)
    return find_vip4(view, load<Be32>(ip + offsetof(Ipv4Header, destination)), protocol, port);
  return find_vip6(view, load<Block16>(ip + offsetof(Ipv6Header, destination)), protocol, port);
}

void turn_away_unserved(Packet& packet, const TablesView& view) {
  const VipRecord* vip = vip_record(view, packet.vip);
  if (vip != nullptr && vip->unserved == Unserved::kernel)
    packet.verdict = Verdict::to_kernel;
  else
    drop(packet, Counter::drop_unserved);
}

}  // namespace

void classify(Batch& batch, const TablesView& view) {
  for (Packet& packet : batch.all()) {
    if (packet.family == Family::none) {
      packet.verdict = Verdict::to_kernel;
      continue;
    }
    const VipMatch found = match(packet, view);
    packet.vip = found.vip;
    packet.pool = found.pool;
    if (found.vip == VipId::none)
      packet.verdict = Verdict::to_kernel;
    else if (packet.reason != kNothingWrong)
      packet.verdict = Verdict::drop;
    else if (found.pool == PoolId::none)
      turn_away_unserved(packet, view);
  }
}

}  // namespace guideway
