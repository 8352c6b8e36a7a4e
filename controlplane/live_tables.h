// What the published generation says, read back by the data plane's own code: for `explain`, for the shares in the
// status, and for a control plane that carries on where another one stopped.
//
// Thread-safety: the thread of the TablesWriter; what view() returns is valid until the next publish.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "common/shm/tables_writer.h"
#include "controlplane/desired_state.h"
#include "guideway/tables_view.h"

namespace guideway::controlplane {

class LiveTables {
 public:
  // The generation in force in the writer's segment; nullptr before the first one.
  const TablesView* view(const shm::TablesWriter& writer);
  void forget();  // the writer is about to be replaced

  // How many slots each backend of a pool owns, by its position.
  static std::vector<std::uint32_t> owned_slots(const PoolView& pool);
  // Equal on all load balancers with the same backends and the same view of their health.
  static std::uint64_t owners_digest(const PoolView& pool);

 private:
  RootWord word_;
  std::vector<PoolView> pools_;
  TablesView view_;
};

// The way out that a backend's record and its outer template spell.
//   source         of l2dsr: of no family, because nothing says it
//   source_prefix  none: the header only has its base, as the source
Egress egress_of(const BackendRecord& record, const OuterTemplate& outer);

// What a new control plane takes over from a generation. Pools have no names in the tables: a live pool is told by the
// VIPs that share it with the configuration.
struct Inheritance {
  std::map<ServiceKey, std::uint32_t> vip_indices;
  std::map<BackendKey, std::uint32_t> backend_indices;
  std::map<HealthTarget, Health> health;  // of those that owned slots, and those that were down
  std::map<IpAddress, Egress> egress;
  std::map<std::string, std::uint32_t> unsettled_slots;  // by pool
};
// `removed`: backends that are not alive because operators said so, whatever their health.
Inheritance inherit(const TablesView& view, const config::Config& config, const std::set<BackendKey>& removed);

}  // namespace guideway::controlplane
