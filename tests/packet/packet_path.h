// The real packet path over packets in memory: image, tables region, worker and stages as in the data plane, with
// ports that are vectors.
//
// Buffers end where memory ends (a page that cannot be read follows), so that a read past the end is a crash.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>

#include "common/shm/tables_writer.h"
#include "dataplane/worker.h"
#include "tests/packet/packet_case.h"

namespace guideway::packet_text {

class PacketPath {
 public:
  // REQUIRES: the case outlives it.
  explicit PacketPath(const PacketCase& packet_case);
  ~PacketPath();

  // One packet, or none, and a turn of the worker.
  Ends run(const Step& step);
  // The packets of all steps, as many at once as a port can give; all at the same time.
  Ends run_in_batches(std::span<const Step> steps);
  // Those that are not 0.
  std::map<std::string, std::uint64_t> counters() const;
  // Packets that the path neither sent nor gave back, and that do not wait in it.
  std::uint64_t leaked() const;

 private:
  struct Ports;
  void use_tables(std::size_t which);
  Ends turn(std::chrono::nanoseconds now);

  const PacketCase& case_;
  std::size_t which_tables_ = 0;

  std::unique_ptr<shm::TablesWriter> tables_;
  std::vector<PoolView> pools_;
  TablesView view_;
  std::unique_ptr<WorkerBlock> stats_;
  std::array<Traffic, 8> vips_{};
  std::array<Traffic, 8> backends_{};
  std::array<std::atomic<std::uint32_t>, 64> flows_of_backend_{};
  std::vector<FlowBucket> flows_;
  std::unique_ptr<Ports> ports_;
  std::unique_ptr<Worker> worker_;
};

}  // namespace guideway::packet_text
