// How much shared memory a configuration's tables take at most, whatever backends and operators do.
//
// Thread-safety: pure functions.
#pragma once

#include <cstdint>

#include "common/config/config.h"
#include "common/config/review.h"

namespace guideway::config {

// Of one generation in a segment of its own, with the segment's header and the writer's reserve. Objects that pools
// could share are counted for each of them, since a drain or a failed check is enough to tell their tables apart.
struct TablesSize {
  std::uint64_t settled_bytes = 0;    // no slot has a history
  std::uint64_t unsettled_bytes = 0;  // every slot has one
};
TablesSize tables_size(const Config& config);

// Refuses tables that may not fit tables_memory even without any history, and warns where only the histories may not.
// `place` is that of tables_memory.
void review_tables_size(const Config& config, Place place, Review& review);

}  // namespace guideway::config
