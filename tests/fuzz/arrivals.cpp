#include "tests/fuzz/arrivals.h"

#include <algorithm>

#include "tests/fuzz/fuzz_tables.h"

namespace guideway::fuzz {
namespace {

constexpr std::size_t kArrivalsMax = 64;
constexpr std::size_t kFrameBytesMax = 65535 + 40 + 22;  // the largest that a header can describe
constexpr std::uint32_t kBufferBytesMax = 65535;
constexpr std::uint16_t kHeadroom = 128, kLittle = 20;

std::uint32_t limit_of(unsigned nibble) {
  return nibble == 15 ? Arrivals::kNoLimit : nibble;
}

// Short steps and long ones: 0 to 6.5 s.
std::chrono::nanoseconds time_of(std::uint8_t byte) {
  return std::chrono::microseconds(100) * byte * byte;
}

Arrival read_arrival(BytesView head, BytesView bytes, Repair repair_when) {
  const std::uint8_t control = head[0];
  const std::size_t zeros = head[4] | std::size_t{head[5]} << 8;
  Arrival arrival;
  arrival.port = control % 4 % kPorts;
  arrival.from_kernel = (control & kFromKernel) != 0;
  arrival.ends_turn = (control & kEndsTurn) != 0;
  arrival.headroom_bytes = (control & kNoHeadroom) != 0 ? 0 : (control & kLittleHeadroom) != 0 ? kLittle : kHeadroom;
  arrival.later = time_of(head[1]);
  arrival.frame.assign(bytes.begin(), bytes.end());
  arrival.frame.resize(std::min(bytes.size() + zeros, kFrameBytesMax));
  if (repair_when == Repair::always || (control & kRepair) != 0) repair(arrival.frame);
  const std::size_t here = (control & kZerosElsewhere) != 0 ? bytes.size() : arrival.frame.size();
  arrival.contiguous_bytes = std::min(static_cast<std::uint32_t>(here), kBufferBytesMax - arrival.headroom_bytes);
  return arrival;
}

}  // namespace

Arrivals read_arrivals(BytesView input, Repair repair_when) {
  Arrivals arrivals;
  if (input.size() < 2) return arrivals;
  arrivals.tables = input[0] % kTableSets;
  arrivals.room = limit_of(input[1] & 15U);
  arrivals.buffers = limit_of(input[1] >> 4);
  input = input.subspan(2);
  while (input.size() >= kFrameHeadBytes && arrivals.all.size() < kArrivalsMax) {
    const BytesView head = input.first(kFrameHeadBytes);
    input = input.subspan(kFrameHeadBytes);
    const std::size_t bytes = std::min<std::size_t>(head[2] | std::size_t{head[3]} << 8, input.size());
    arrivals.all.push_back(read_arrival(head, input.first(bytes), repair_when));
    input = input.subspan(bytes);
  }
  return arrivals;
}

}  // namespace guideway::fuzz
