// Which rows pipeline_bench knows, and their names. A *scene* is what a rig sees of the world: a trace, and what lies
// below; rows of one scene are compared.
//
//   ipv4/tcp/ipip/flows:65536/vips:100/backends:1000            a worker
//   ipv4/tcp/ipip/flows:65536/vips:100/backends:1000/known      … whose flow table has every flow
//   ipv4/syn/ipip/flows:65536/vips:100/backends:1000/fresh      … that writes every flow into it
//   ipv4/tcp/l3fwd/flows:65536/vips:100                         a rig to compare it with
//   …/bytes:512/…, …/driver:null, …/pools:1                     only where they are not the usual
//
// All dimensions are crossed but for two: frames of 512 and 1500 bytes are looked at with 64k flows over 100 VIPs only,
// the driver with 64k and 1M flows. What they cost does not depend on the others.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "perf/bench_tables.h"
#include "perf/trace_port.h"

namespace guideway::perf {

struct Scene {
  TraceSpec trace;
  bool has_driver = false;
};

std::string name_of(const Scene& scene, std::string_view rig);
std::string name_of(const Scene& scene, const TablesSpec& tables, std::string_view suffix = "");

std::vector<Scene> all_scenes();
std::vector<TablesSpec> all_tables(const Scene& scene);

}  // namespace guideway::perf
