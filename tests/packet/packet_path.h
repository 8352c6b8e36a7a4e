// The real packet path over packets in memory: image, tables region, worker and stages as in the data plane, with
// ports that are vectors.
//
// Buffers end where memory ends (a page that cannot be read follows), so that a read past the end is a crash.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "common/shm/tables_writer.h"
#include "dataplane/worker.h"
#include "tests/packet/packet_case.h"

namespace guideway::packet_text {

struct Outcome {
  Verdict verdict = Verdict::drop;
  std::string reason;  // drop: the counter that rose
  Bytes frame;         // forward, to_kernel: as it left
};

class PacketPath {
 public:
  explicit PacketPath(const PacketCase& packet_case);
  ~PacketPath();

  Outcome run(const Step& step);
  // Those that are not 0.
  std::map<std::string, std::uint64_t> counters() const;
  // Packets that the path neither sent nor gave back.
  std::uint32_t lost() const;

 private:
  struct Ports;
  std::unique_ptr<shm::TablesWriter> tables_;
  std::vector<PoolView> pools_;
  TablesView view_;
  std::unique_ptr<WorkerBlock> stats_;
  std::array<Traffic, 8> vips_{};
  std::array<Traffic, 8> backends_{};
  std::unique_ptr<Ports> ports_;
  std::unique_ptr<Worker> worker_;
};

}  // namespace guideway::packet_text
