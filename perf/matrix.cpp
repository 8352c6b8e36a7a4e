#include "perf/matrix.h"

#include <fmt/format.h>

#include <algorithm>

namespace guideway::perf {
namespace {

// With 65521 slots each a hundred pools are 13 MB of slots. Many VIPs of one pool tell what VIPs cost apart from pools.
constexpr std::uint32_t kPoolsMax = 100;
constexpr std::uint32_t kFrameBytesUsual = TraceSpec{}.frame_bytes;

constexpr TraceKind kKinds[] = {TraceKind::tcp, TraceKind::syn, TraceKind::udp, TraceKind::not_vip};
constexpr std::string_view name_of(TraceKind kind) {
  constexpr std::array<std::string_view, std::size(kKinds)> kNames{"tcp", "syn", "udp", "not_vip"};
  return kNames[static_cast<std::size_t>(kind)];
}

std::string driver_suffix(const Scene& scene) {
  return scene.has_driver ? "/driver:null" : "";
}

std::string trace_name(const TraceSpec& trace, std::string_view what) {
  return fmt::format("{}/{}/{}/flows:{}/vips:{}{}", trace.family == Family::ipv4 ? "ipv4" : "ipv6", name_of(trace.kind),
                     what, trace.flows, trace.vips,
                     trace.frame_bytes == kFrameBytesUsual ? "" : fmt::format("/bytes:{}", trace.frame_bytes));
}

}  // namespace

std::string name_of(const Scene& scene, std::string_view rig) {
  return trace_name(scene.trace, rig) + driver_suffix(scene);
}

std::string name_of(const Scene& scene, const TablesSpec& tables, std::string_view suffix) {
  const std::string what = fmt::format("{}{}", tables.encap == Encap::ipip ? "ipip" : "gue", suffix);
  const bool usual_pools = tables.pools == std::min(tables.vips, kPoolsMax);
  constexpr std::array<std::string_view, 3> kFlows{"", "/known", "/fresh"};  // by Flows
  return fmt::format("{}/backends:{}{}{}{}", trace_name(scene.trace, what), tables.backends,
                     kFlows[static_cast<std::size_t>(tables.flows)],
                     usual_pools ? "" : fmt::format("/pools:{}", tables.pools), driver_suffix(scene));
}

std::vector<Scene> all_scenes() {
  std::vector<Scene> scenes;
  for (const Family family : {Family::ipv4, Family::ipv6})
    for (const TraceKind kind : kKinds) {
      for (const std::uint32_t flows : {1U, 1U << 16, 1U << 20, 1U << 23})
        for (const std::uint32_t vips : {1U, 100U, 10000U}) scenes.push_back({{family, kind, flows, vips}});
      for (const std::uint32_t bytes : {512U, 1500U}) scenes.push_back({{family, kind, 1U << 16, 100, bytes}});
      if (kind == TraceKind::tcp)
        for (const std::uint32_t flows : {1U << 16, 1U << 20}) scenes.push_back({{family, kind, flows, 100}, true});
    }
  return scenes;
}

static TablesSpec tracked(const TraceSpec& trace, Encap encap, std::uint32_t backends, Flows flows) {
  return {trace.family, IpProto::tcp, encap, trace.vips, std::min(trace.vips, kPoolsMax), backends, flows};
}

std::vector<TablesSpec> all_tables(const Scene& scene) {
  const TraceSpec& trace = scene.trace;
  std::vector<TablesSpec> tables;
  const IpProto protocol = trace.kind == TraceKind::udp ? IpProto::udp : IpProto::tcp;
  for (const Encap encap : {Encap::ipip, Encap::gue0})
    for (const std::uint32_t backends : {3U, 1000U})
      tables.push_back({trace.family, protocol, encap, trace.vips, std::min(trace.vips, kPoolsMax), backends});
  if (trace.vips > 1) tables.push_back({trace.family, protocol, Encap::ipip, trace.vips, 1, 1000});
  // The flow table: TCP that it knows, and SYNs that it does not.
  if (trace.kind == TraceKind::tcp)
    for (const Encap encap : {Encap::ipip, Encap::gue0})
      for (const std::uint32_t backends : {3U, 1000U}) tables.push_back(tracked(trace, encap, backends, Flows::known));
  if (trace.kind == TraceKind::syn && trace.vips == 100)
    tables.push_back(tracked(trace, Encap::ipip, 1000, Flows::fresh));
  return tables;
}

}  // namespace guideway::perf
