// The section [tables] of a case: what the control plane told the data plane. tests/packet/README.md describes it.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "common/tables/image.h"
#include "tests/packet/packet_line.h"

namespace guideway::packet_text {

// The two ports of a case, and the routers behind them.
MacAddress port_mac(std::uint32_t port);
MacAddress next_hop_mac(std::uint32_t port);

class TablesText {
 public:
  // Throws TextError.
  void add(const Line& line);
  // What was added since the last time. A backend keeps its stats index from one to the next.
  DesiredTables take();

 private:
  void key(Fields& fields);
  void pool(Fields& fields);
  void layout(Fields& fields);
  void backend(Fields& fields);
  void era(Fields& fields);
  void kept_era(Fields& fields);
  static Weights weights(Fields& fields);
  void vip(Fields& fields);
  void own(Fields& fields);
  std::uint32_t pool_named(const std::string& name, const Fields& fields) const;

  DesiredTables tables_;
  std::vector<std::string> pools_;
  std::map<std::pair<std::string, IpAddress>, std::uint32_t> stats_indices_;
};

}  // namespace guideway::packet_text
