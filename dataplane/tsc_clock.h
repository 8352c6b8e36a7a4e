// Time from the core's own counter, which costs no call to anybody. All cores of a machine count alike.
// Thread-safety: an immutable value.
#pragma once

#include <rte_cycles.h>

#include "dataplane/batch.h"

namespace guideway {

class TscClock {
 public:
  Ns now() const { return Ns(static_cast<Ns::rep>(static_cast<double>(rte_rdtsc()) * ns_per_cycle_)); }

 private:
  double ns_per_cycle_ = 1e9 / static_cast<double>(rte_get_tsc_hz());
};

}  // namespace guideway
