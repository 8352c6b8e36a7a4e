#include "perf/bench_tables.h"

#include <stdexcept>

#include "perf/trace_port.h"

namespace guideway::perf {
namespace {

constexpr std::uint16_t kPathMtuBytes = 1600;  // frames of 1500 bytes fit with their outer headers
constexpr std::size_t kSegmentBytes = std::size_t{64} << 20;

IpAddress backend_address(Family family, std::uint32_t pool, std::uint32_t i) {
  if (family == Family::ipv4) return IpAddress::from_v4(Be32::from_host(0x0a000001 + (pool << 16) + i));
  IpAddress address{{0xfd, 0x00}};
  store(&address.bytes[8], Be32::from_host(pool));
  store(&address.bytes[12], Be32::from_host(i + 1));
  return address;
}

Egress egress_of(Family family) {
  Egress egress;
  egress.source_mac = {{2, 0, 0, 0, 0, 3}};
  egress.next_hop_mac = {{2, 0, 0, 0, 0, 4}};
  egress.source = backend_address(family, 200, 0);
  egress.path_mtu_bytes = kPathMtuBytes;
  return egress;
}

DesiredTables desired_tables(const TablesSpec& spec) {
  DesiredTables desired;
  const Egress egress = egress_of(spec.family);
  for (std::uint32_t p = 0; p < spec.pools; p++) {
    DesiredPool& pool = desired.pools.emplace_back();
    pool.encap = spec.encap;
    for (std::uint32_t i = 0; i < spec.backends; i++)
      pool.backends.push_back({backend_address(spec.family, p, i), 1, p * spec.backends + i, true, egress});
  }
  for (std::uint32_t i = 0; i < spec.vips; i++)
    desired.vips.push_back(
        {IpPrefix::of(destination_of(spec.family, true, i)), kVipPort, spec.protocol, i % spec.pools, i});
  for (DesiredVip& vip : desired.vips) vip.tracking = spec.flows == Flows::settled ? Tracking::moved : Tracking::all;
  return desired;
}

}  // namespace

BenchTables::BenchTables(const TablesSpec& spec) : spec_(spec), writer_(shm::TablesWriter::create(kSegmentBytes)) {
  if (writer_->publish(ImageBuilder{}.build(desired_tables(spec))) != shm::PublishResult::published)
    throw std::runtime_error("the tables do not fit their segment");
  pools_.resize(pool_count(writer_->memory(), writer_->root()));
  const TablesError error = open_generation(writer_->memory(), writer_->root(), pools_, nullptr, view_);
  if (error != TablesError::none) throw std::runtime_error(to_text(error));
}

}  // namespace guideway::perf
