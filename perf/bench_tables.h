// Tables of a size, in shared memory as in the program.
// Ownership: the view points into the object. Thread-safety: immutable.
#pragma once

#include <compare>
#include <memory>
#include <vector>

#include "common/shm/tables_writer.h"
#include "guideway/tables_view.h"

namespace guideway::perf {

enum class Flows {
  settled,  // nothing is remembered
  known,    // every flow is in the flow table
  fresh,    // every packet is of a flow that has just expired: it is written anew
};

struct TablesSpec {
  Family family = Family::ipv4;  // of VIPs and backends
  IpProto protocol = IpProto::tcp;
  Encap encap = Encap::ipip;
  std::uint32_t vips = 1;
  std::uint32_t pools = 1;
  std::uint32_t backends = 3;  // of each pool
  Flows flows = Flows::settled;
  friend auto operator<=>(const TablesSpec&, const TablesSpec&) = default;
};

class BenchTables {
 public:
  // Throws std::runtime_error when they do not fit.
  explicit BenchTables(const TablesSpec& spec);
  const TablesView& view() const { return view_; }
  const TablesSpec& spec() const { return spec_; }

 private:
  TablesSpec spec_;
  std::unique_ptr<shm::TablesWriter> writer_;
  std::vector<PoolView> pools_;
  TablesView view_;
};

}  // namespace guideway::perf
