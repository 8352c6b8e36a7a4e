// The packet path offline: what would the data plane do with these packets?
//
//   in.pcap ──► ReplayPort ─► Worker and stages, as in the data plane ─► ReplayPort ──► out.pcap
//   guideway.toml ─► tables of a good day (common/tables/from_config.h) ┘      └──► report: each packet's end
//   older.toml …  ─► the past of its slots  ┤
//   changes.txt ───► what happens meanwhile ┘
//
// Time is that of the capture: a packet is processed at its timestamp, so that fragments wait and limits run as they
// would have; equal input gives equal output. Needs neither root, hugepages nor DPDK.
// docs/dataplane.md shows what it is good for.
#pragma once

#include <string>
#include <vector>

namespace guideway::replay {

struct Options {
  std::string config;
  std::vector<std::string> before;  // what was in force lately, the oldest first: its weights make slots unsettled
  std::string changes;              // a file of what happens to backends meanwhile (changes.h); empty: nothing
  std::string in;
  std::string out;
  std::string kernel;    // a capture file for what goes to the kernel; empty: it is only counted
  std::string counters;  // a JSON file for the counters; empty: none
  bool explain = false;  // a line for each packet, on stdout
};

// Throws std::runtime_error, a sentence.
void run(const Options& options);

}  // namespace guideway::replay
