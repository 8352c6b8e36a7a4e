#include "perf/end_to_end/test_frame.h"

#include "dataplane/stages/checksum.h"

namespace guideway::perf {
namespace {

constexpr std::uint16_t kSourcePort = 4000;

}  // namespace

FrameMaker::FrameMaker(MacAddress source, MacAddress destination, IpAddress vip, std::uint16_t port,
                       std::uint32_t flows)
    : flows_(flows) {
  constexpr std::uint16_t kIpBytes = kTestFrameBytes - sizeof(EthernetHeader);
  store(template_.data(),
        EthernetHeader{destination, source, Be16::from_host(static_cast<std::uint16_t>(EtherType::ipv4))});
  Ipv4Header ip{};
  ip.version_ihl = 0x45;
  ip.total_length = Be16::from_host(kIpBytes);
  ip.ttl = 64;
  ip.protocol = static_cast<std::uint8_t>(IpProto::udp);
  ip.destination = vip.v4();
  store(&template_[kIpAt], ip);
  sum_without_source_ = ones_sum(&template_[kIpAt], sizeof ip);
  UdpHeader udp{};  // without a checksum, as RFC 768 allows
  udp.ports = {Be16::from_host(kSourcePort), Be16::from_host(port)};
  udp.length = Be16::from_host(kIpBytes - sizeof ip);
  store(&template_[kIpAt + sizeof ip], udp);
}

std::uint16_t FrameMaker::ip_checksum(Be32 source) const {
  return checksum_of(sum_without_source_ + source.raw());
}

}  // namespace guideway::perf
