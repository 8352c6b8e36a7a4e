// Which backend a new flow gets, by its pool's scheduler (guideway/tables.h).
// Thread-safety: over the worker's own state.
#pragma once

#include "dataplane/stages/track.h"

namespace guideway {

// nullptr: no backend takes new flows.
const BackendRecord* schedule(const SlotChoice& choice, Tracker& tracker);

}  // namespace guideway
