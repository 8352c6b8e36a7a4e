// The shipped worker over a fixed trace, for a profiler that counts instructions; tests/perf/instructions_test.py runs
// it.
//
//   counted_turns             the compiler that made it, then the names of all rows
//   counted_turns ROW         prints how many packets the turns inside run_counted() took
#include <fmt/format.h>

#include <stdexcept>

#include "perf/rigs.h"

namespace guideway::perf {
namespace {

#if defined(__clang__)
constexpr const char* kCompiler = __VERSION__;
#else
constexpr const char* kCompiler = "g++ " __VERSION__;
#endif
constexpr std::uint32_t kTurns = 1024;
constexpr std::uint32_t kFlows = 16384;
constexpr std::uint32_t kVips = 100;
constexpr std::uint32_t kBackends = 1000;

struct Row {
  const char* name;
  Family family;
  TraceKind kind;
  Encap encap;
  Flows flows = Flows::settled;
};
constexpr Row kRows[] = {
    {"ipv4_tcp_ipip", Family::ipv4, TraceKind::tcp, Encap::ipip},
    {"ipv4_tcp_gue", Family::ipv4, TraceKind::tcp, Encap::gue0},
    {"ipv6_tcp_ipip", Family::ipv6, TraceKind::tcp, Encap::ipip},
    {"ipv4_syn_ipip", Family::ipv4, TraceKind::syn, Encap::ipip},
    {"ipv4_udp_ipip", Family::ipv4, TraceKind::udp, Encap::ipip},
    {"ipv4_not_vip", Family::ipv4, TraceKind::not_vip, Encap::ipip},
    {"ipv4_tcp_ipip_known", Family::ipv4, TraceKind::tcp, Encap::ipip, Flows::known},
    {"ipv4_syn_ipip_fresh", Family::ipv4, TraceKind::syn, Encap::ipip, Flows::fresh},
};

// The profiler counts between entry and exit of this function, which it finds by name.
extern "C" [[gnu::noinline]] void run_counted(Rig& rig) {
  for (std::uint32_t i = 0; i < kTurns; i++) rig.poll();
}

void run(const Row& row) {
  const IpProto protocol = row.kind == TraceKind::udp ? IpProto::udp : IpProto::tcp;
  const BenchTables tables({row.family, protocol, row.encap, kVips, 1, kBackends, row.flows});
  const Trace trace({row.family, row.kind, kFlows, kVips});
  TracePort port(trace);
  const auto rig = worker_rig(port, tables, kFlows);
  for (std::uint32_t turn = 0; turn < kFlows / kBatchMax; turn++) rig->poll();  // all flows were seen, functions bound
  run_counted(*rig);
  if ((row.kind == TraceKind::not_vip ? port.sent() : port.released()) != 0)
    throw std::runtime_error(fmt::format("{}: packets went astray", row.name));
  fmt::print("{}\n", kTurns * kBatchMax);
}

int list_or_run(std::string_view wanted) {
  if (wanted.empty()) fmt::print("{}\n", kCompiler);
  for (const Row& row : kRows) {
    if (wanted.empty()) fmt::print("{}\n", row.name);
    if (wanted != row.name) continue;
    run(row);
    return 0;
  }
  return wanted.empty() ? 0 : 2;
}

}  // namespace
}  // namespace guideway::perf

int main(int argc, char** argv) {
  try {
    return guideway::perf::list_or_run(argc > 1 ? argv[1] : "");
  } catch (const std::exception& error) {
    fmt::print(stderr, "counted_turns: {}\n", error.what());
    return 1;
  }
}
