// What a second worker adds: cycles per packet of a worker alone on one core, and of two at once on two cores. Both
// read the same tables; each has a trace of its own. Thread-safety: one thread, which waits for those that it starts.
#pragma once

#include <array>

#include "perf/rigs.h"

namespace guideway::perf {

class TwoWorkers {
 public:
  // Throws std::runtime_error if there is no such core.
  TwoWorkers(const TraceSpec& trace, const BenchTables& tables, std::array<unsigned, 2> cores);

  // Throughput of two over that of one, both measured now: about 2 where two cores are free.
  double measure();

 private:
  struct Seat {
    explicit Seat(const TraceSpec& spec, const BenchTables& tables, unsigned on_core)
        : trace(spec), port(trace), rig(worker_rig(port, tables)), core(on_core) {}
    Trace trace;
    TracePort port;
    std::unique_ptr<Rig> rig;
    unsigned core;
  };
  Seat first_, second_;
};

}  // namespace guideway::perf
