// A golden case: tables, packets, what becomes of each, and the counters afterwards. tests/packet/README.md describes
// the text.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/tables/image.h"
#include "dataplane/batch.h"
#include "tests/packet/packet_text.h"

namespace guideway::packet_text {

enum class From { network, kernel };
enum class KernelPath { present, none, full };

struct Step {
  int line = 0;
  From from = From::network;
  Bytes frame;
  std::uint32_t contiguous_bytes = 0;  // of the frame in its first buffer
  std::uint16_t headroom_bytes = 128;
  Verdict verdict = Verdict::drop;  // forward: sent out of the network port
  std::string reason;               // drop: the counter that says why
  Bytes sent;                       // forward: as it must leave
};

struct PacketCase {
  std::string name;
  DesiredTables tables;
  KernelPath kernel_path = KernelPath::present;
  bool network_full = false;  // the network port takes nothing
  std::vector<Step> steps;
  std::map<std::string, std::uint64_t> counters;  // all others must be 0
};

// The IP packet in a frame, without Ethernet and its padding: what "inner" means in a case.
Bytes inner_packet(const Bytes& frame);

// Throws TextError.
PacketCase parse_case(std::string_view name, std::string_view text);

// All of them, in the order of their names. Throws std::runtime_error that names file and line.
std::vector<PacketCase> load_cases(const std::filesystem::path& directory);

}  // namespace guideway::packet_text
