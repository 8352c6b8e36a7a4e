// A worker with ports that the fuzzer fills and that look at all it does: buffers are exactly as long as their packets,
// each goes out or back exactly once, what is sent obeys docs/packet_policy.md, and the counters agree with it.
#pragma once

#include <deque>
#include <memory>

#include "dataplane/worker.h"
#include "tests/fuzz/arrivals.h"
#include "tests/fuzz/fuzz_tables.h"
#include "tests/fuzz/sent_frames.h"

namespace guideway::fuzz {

class PacketBuffers;
class CheckingPort;

// What the worker did with a packet that came from the network.
struct Answered {
  const Arrival* came;
  SentFrame answer;
};

class PacketMachine {
 public:
  explicit PacketMachine(const WorkerSettings& settings);
  ~PacketMachine();

  // All of them, and time until nothing waits any more. Returns the answers.
  std::vector<Answered> run(const Arrivals& arrivals);

 private:
  void make_worker();
  void turn(const FuzzTables& tables, const Arrivals& arrivals);
  void check_counters() const;
  std::array<std::uint64_t, kCounterCount> counters() const;
  std::uint64_t counter(Counter counter) const;

  WorkerSettings settings_;
  std::deque<FuzzTables> tables_;
  std::unique_ptr<PacketBuffers> buffers_;
  std::vector<std::unique_ptr<CheckingPort>> network_;
  std::unique_ptr<CheckingPort> kernel_;  // of port 0; port 1 has none, and port 2's kernel sees all
  std::array<WorkerPort, kPorts> ports_;
  std::unique_ptr<WorkerBlock> stats_;
  std::array<Traffic, 8> vips_{};
  std::array<Traffic, 8> backends_{};
  std::array<FlowBucket, 64> flows_{};
  std::unique_ptr<Worker> worker_;
  std::uint64_t runs_ = 0;
  Ns now_{};
};

}  // namespace guideway::fuzz
