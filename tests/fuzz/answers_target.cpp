// Packets whose lengths and ICMP checksums are right, to VIPs that answer: each answer obeys packet_policy.md, section
// 8, and where an answer is due, one comes.
#include <algorithm>

#include "tests/fuzz/packet_machine.h"
#include "tests/fuzz/violation.h"

namespace guideway::fuzz {
namespace {

bool is_ordinary_source(const IpAddress& source) {
  const auto& bytes = source.bytes;
  if (source.is_v4()) return bytes[12] == 198 && bytes[13] == 51;
  return bytes[0] == 0x20 && bytes[1] == 0x01 && bytes[4] == 0;
}

// Of the VIP that rejects, and answers pings (fuzz_tables.cpp).
bool is_due(const Arrival& came) {
  const auto packet = read_ip(came.frame);
  if (!packet || came.from_kernel || (came.frame[0] & 1) != 0 || came.headroom_bytes < 64 ||
      came.contiguous_bytes < came.frame.size() || packet->is_fragment() || packet->end - packet->at > 0xffff)
    return false;
  const bool ipv4 = packet->family == Family::ipv4;
  const auto& vip = packet->destination.bytes;
  const bool to_vip = ipv4 ? vip[12] == 203 && vip[13] == 0 && vip[14] == 113 && vip[15] == 10
                           : vip[0] == 0x20 && vip[1] == 0x01 && vip[2] == 0x0d && vip[3] == 0xb8 && vip[4] == 0 &&
                                 vip[5] == 1 && vip[15] == 0x10 &&
                                 std::all_of(&vip[6], &vip[15], [](int b) { return b == 0; });
  if (!to_vip || !is_ordinary_source(packet->source) || packet->source == packet->destination ||
      packet->l4_at - packet->at > 60)
    return false;
  const std::uint8_t* l4 = came.frame.data() + packet->l4_at;
  const std::size_t bytes = packet->l4_bytes();
  if (packet->protocol == (ipv4 ? 1 : 58)) return bytes >= 8 && *l4 == (ipv4 ? 8 : 128);
  if (packet->protocol == 6) return bytes >= 20 && load<Be16>(l4 + 2).host() > 1000 && (l4[13] & 4) == 0;
  if (packet->protocol == 17) return bytes >= 8 && load<Be16>(l4 + 2).host() > 10000;
  return false;
}

void run(BytesView input) {
  static PacketMachine machine({.echo_per_second = 1000, .errors_per_second = 1000});
  Arrivals arrivals = read_arrivals(input, Repair::always);
  arrivals.room = Arrivals::kNoLimit;
  const std::vector<Answered> answers = machine.run(arrivals);
  for (const Arrival& came : arrivals.all) {
    const auto count = std::ranges::count(answers, &came, &Answered::came);
    require(count <= 1, "a packet was answered twice");
    require(count == 1 || !is_due(came), "a packet was not answered that should have been");
  }
}

}  // namespace
}  // namespace guideway::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  guideway::fuzz::run({data, size});
  return 0;
}
