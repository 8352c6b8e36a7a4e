// A golden case: tables, packets, what becomes of each, and the counters afterwards. tests/packet/README.md describes
// the text.
#pragma once

#include <chrono>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/tables/image.h"
#include "tests/packet/packet_text.h"

namespace guideway::packet_text {

inline constexpr std::uint32_t kPorts = 2;  // of the data plane; packets come from port 0 if nothing else is said

enum class From { network, kernel };
enum class KernelPath { present, none, full };

struct Frame {
  std::uint32_t port = 0;
  Bytes bytes;
  friend auto operator<=>(const Frame&, const Frame&) = default;
};

// How packets ended in one turn of the worker. A packet that came and is in none of these waits.
struct Ends {
  std::vector<Frame> sent;                    // out of the network ports, in order
  std::vector<Frame> to_kernel;               // by the kernel path of `port`
  std::map<std::string, std::uint64_t> lost;  // packets, by the counter that says why
  friend bool operator==(const Ends&, const Ends&) = default;
};

struct Step {
  int line = 0;
  std::chrono::nanoseconds now{};  // the worker's clock
  std::size_t tables = 0;          // in force: 0 the first, n the n-th later ones
  bool has_packet = true;          // false: nothing comes, only time has passed
  From from = From::network;
  Frame frame;
  std::uint32_t contiguous_bytes = 0;  // of the frame in its first buffer
  std::uint16_t headroom_bytes = 128;
  Ends ends;
};

struct PacketCase {
  std::string name;
  DesiredTables tables;
  std::vector<DesiredTables> later_tables;  // that took their place, one after the other
  std::uint32_t flow_buckets = 64;
  std::uint32_t echo_per_second = 1000;
  std::uint32_t errors_per_second = 1000;
  KernelPath kernel_path = KernelPath::present;
  bool network_full = false;  // the network ports take nothing
  bool no_buffers = false;    // there are no buffers for packets of our own
  bool takes_time = false;    // the clock moves
  std::vector<Step> steps;
  std::map<std::string, std::uint64_t> counters;  // all others must be 0
};

// The IP packet in a frame, without Ethernet, tags and padding: what "inner" means in a case.
Bytes inner_packet(const Bytes& frame);

// Throws TextError.
PacketCase parse_case(std::string_view name, std::string_view text);

// All of them, in the order of their names. Throws std::runtime_error that names file and line.
std::vector<PacketCase> load_cases(const std::filesystem::path& directory);

}  // namespace guideway::packet_text
