// The frames of the traffic generator: IPv4, UDP, from many sources to one VIP.
//
//   Ethernet │ IPv4 │ UDP │ … │ Stamp          60 bytes, on a wire 64
//
// The stamp lies at the frame's end, so that it is found whatever a load balancer has put in front or rewritten there.
//
// Thread-safety: plain values.
#pragma once

#include <optional>

#include "guideway/address.h"
#include "guideway/wire.h"

namespace guideway::perf {

inline constexpr std::uint16_t kTestFrameBytes = 60;
inline constexpr std::uint32_t kFlowsMax = 1 << 20;

struct Stamp {
  std::uint32_t magic;
  std::uint32_t trial;  // what is left over from an earlier one does not count
  std::uint64_t sent_tsc;
};
static_assert(sizeof(Stamp) == 16);
static_assert(sizeof(EthernetHeader) + sizeof(Ipv4Header) + sizeof(UdpHeader) + sizeof(Stamp) <= kTestFrameBytes);
inline constexpr std::uint32_t kStampMagic = 0x67772d70;

// Makes the frames of flow 0, 1 … `flows` - 1 and again 0. A flow is a source address; all have the same source port.
class FrameMaker {
 public:
  // REQUIRES: 0 < flows <= kFlowsMax
  FrameMaker(MacAddress source, MacAddress destination, IpAddress vip, std::uint16_t port, std::uint32_t flows);

  // REQUIRES: kTestFrameBytes at `frame`
  void make(std::uint8_t* frame, std::uint32_t trial, std::uint64_t now_tsc) {
    std::memcpy(frame, template_.data(), kTestFrameBytes - sizeof(Stamp));
    const Be32 address = Be32::from_host(kFirstSource + flow_);
    store(frame + kIpAt + offsetof(Ipv4Header, source), address);
    store(frame + kIpAt + offsetof(Ipv4Header, checksum), ip_checksum(address));
    store(frame + kTestFrameBytes - sizeof(Stamp), Stamp{kStampMagic, trial, now_tsc});
    if (++flow_ == flows_) flow_ = 0;
  }

 private:
  static constexpr std::uint32_t kFirstSource = 0x10000000;  // 16.0.0.0: nobody's here, and no filter's
  static constexpr std::size_t kIpAt = sizeof(EthernetHeader);

  std::uint16_t ip_checksum(Be32 source) const;

  std::array<std::uint8_t, kTestFrameBytes> template_{};
  std::uint64_t sum_without_source_ = 0;
  std::uint32_t flows_;
  std::uint32_t flow_ = 0;
};

// The stamp of a frame that is one of ours.
inline std::optional<Stamp> stamp_of(const std::uint8_t* frame, std::uint32_t bytes) {
  if (bytes < kTestFrameBytes) return std::nullopt;
  const auto stamp = load<Stamp>(frame + bytes - sizeof(Stamp));
  return stamp.magic == kStampMagic ? std::optional(stamp) : std::nullopt;
}

}  // namespace guideway::perf
