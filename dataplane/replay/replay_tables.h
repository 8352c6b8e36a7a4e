// The tables of a replay, as a worker sees them: those of a good day, with the past that earlier configurations give
// them, and what happens to backends meanwhile.
//
// A change of weights makes an era of those before it, as the control plane would; but it is remembered for as long as
// the replay lasts.
//
// Ownership: `config` outlives it. Thread-safety: one thread.
#pragma once

#include <memory>
#include <vector>

#include "common/shm/tables_writer.h"
#include "common/tables/from_config.h"
#include "dataplane/replay/changes.h"
#include "guideway/tables_view.h"

namespace guideway::replay {

class ReplayTables {
 public:
  // `before`: the oldest first. Throws std::runtime_error, a sentence.
  ReplayTables(const config::Config& config, const std::vector<config::Config>& before, std::vector<Change> changes);

  // To what is in force so long after the first packet: one generation for each time at which something changes.
  // Throws std::runtime_error, a sentence.
  void advance(Ns since_start);
  const TablesView& view() const { return view_; }  // always the same object

 private:
  bool is_due(Ns since_start) const { return next_ < changes_.size() && changes_[next_].at <= since_start; }
  void apply(const Change& change);
  void publish();

  const config::Config& config_;
  std::vector<Change> changes_;
  std::size_t next_ = 0;  // of changes_
  const std::vector<std::vector<BackendNow>> good_;
  std::vector<std::vector<BackendNow>> now_;
  DesiredTables tables_;
  ImageBuilder builder_;
  std::unique_ptr<shm::TablesWriter> writer_;
  std::vector<PoolView> pools_;
  TablesView view_;
};

}  // namespace guideway::replay
