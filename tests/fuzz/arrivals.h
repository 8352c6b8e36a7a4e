// An input of the fuzzer as packets that come to the data plane, some at once, over time:
//
//   tables │ room │ frame │ frame │ …
//
//   frame:  control │ time │ bytes (16 bits) │ zeros (16 bits) │ bytes …      little endian
//
// `tables` names a set of fuzz_tables.h; `room` how many frames a port takes in a turn (lower half) and how many
// buffers there are for new packets (upper half), 15 being "as many as wanted". `zeros` follow the bytes, so that a
// short input can have a long packet. An input that ends early ends with a shorter frame.
#pragma once

#include <chrono>

#include "tests/fuzz/ip_packet.h"

namespace guideway::fuzz {

struct Arrival {
  std::uint32_t port = 0;
  bool from_kernel = false;
  std::uint16_t headroom_bytes = 0;
  std::uint32_t contiguous_bytes = 0;
  bool ends_turn = false;            // the worker polls once this one is there
  std::chrono::nanoseconds later{};  // than the one before
  Bytes frame;
};

struct Arrivals {
  static constexpr std::uint32_t kNoLimit = 0xffffffff;
  std::uint32_t tables = 0;
  std::uint32_t room = kNoLimit;     // of a port, per turn
  std::uint32_t buffers = kNoLimit;  // for new packets, per turn
  std::vector<Arrival> all;
};

// Bits of `control`; the lower two are the port.
inline constexpr std::uint8_t kFromKernel = 0x04, kZerosElsewhere = 0x08, kNoHeadroom = 0x10, kLittleHeadroom = 0x20,
                              kEndsTurn = 0x40, kRepair = 0x80;
inline constexpr std::size_t kFrameHeadBytes = 6;

enum class Repair { if_asked, always };
Arrivals read_arrivals(BytesView input, Repair repair);

}  // namespace guideway::fuzz
