// Tables for the packet path under the fuzzer: sets that differ in encapsulation and in what is done with packets that
// are too big, each with VIPs and backends of every kind. An input's first byte names its set.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "common/shm/tables_writer.h"
#include "common/tables/image.h"
#include "guideway/tables_view.h"

namespace guideway::fuzz {

inline constexpr std::uint32_t kPorts = 3;       // of the data plane; a backend also names one that does not exist
inline constexpr std::uint32_t kTableSets = 15;  // 5 encapsulations × 3 ways with what is too big

std::uint32_t table_set(Encap encap, Oversize oversize);

class FuzzTables {
 public:
  explicit FuzzTables(std::uint32_t set);

  const DesiredTables& desired() const { return desired_; }
  const TablesView& view() const { return view_; }

  bool is_vip(const IpAddress& address) const;
  // Next hops have MAC addresses of their own; nullptr: it is nobody's.
  struct Way {
    const DesiredPool* pool;
    const DesiredBackend* backend;
  };
  const Way* way_by(const MacAddress& next_hop) const;

 private:
  DesiredTables desired_;
  std::vector<Way> ways_;
  std::unique_ptr<shm::TablesWriter> region_;
  std::vector<PoolView> pools_;
  TablesView view_;
};

// The port's own.
MacAddress port_mac(std::uint32_t port);
bool covers(const IpPrefix& prefix, const IpAddress& address);

}  // namespace guideway::fuzz
