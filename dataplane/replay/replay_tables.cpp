#include "dataplane/replay/replay_tables.h"

#include <algorithm>
#include <stdexcept>

namespace guideway::replay {
namespace {

// The weights of `before` become an era of the pools that are still there, and as large.
void add_era(const config::Config& before, const config::Config& config, DesiredTables& tables) {
  const DesiredTables then = tables_offline(before);
  for (std::size_t p = 0; p < config.pools.size(); p++) {
    const auto found = std::ranges::find(before.pools, config.pools[p].name, &config::Pool::name);
    if (found == before.pools.end() || found->slots != config.pools[p].slots) continue;
    tables.pools[p].past.recent.push_back(
        weights_of(then.pools[static_cast<std::size_t>(found - before.pools.begin())]));
  }
}

// The past of `then` goes on, and with its weights if they are over.
void take_over_past(const DesiredPool& then, DesiredPool& now) {
  now.past = then.past;
  if (weights_of(then) != weights_of(now)) now.past.recent.push_back(weights_of(then));
}

}  // namespace

ReplayTables::ReplayTables(const config::Config& config, const std::vector<config::Config>& before,
                           std::vector<Change> changes)
    : config_(config),
      changes_(std::move(changes)),
      good_(backends_offline(config)),
      now_(good_),
      tables_(tables_offline(config)),
      writer_(shm::TablesWriter::create(std::size_t{config.control.tables_mib} << 20)) {
  // The only reader is this object, and follows at once.
  writer_->set_reader_pins([] { return kPinNone; });
  for (const config::Config& older : before) add_era(older, config, tables_);
  publish();
}

void ReplayTables::advance(Ns since_start) {
  while (is_due(since_start)) {
    for (const Ns at = changes_[next_].at; is_due(at); next_++) apply(changes_[next_]);
    DesiredTables tables = tables_offline(config_, now_);
    for (std::size_t p = 0; p < tables.pools.size(); p++) take_over_past(tables_.pools[p], tables.pools[p]);
    tables_ = std::move(tables);
    publish();
  }
}

// As controlplane/desired_state.cpp has it.
void ReplayTables::apply(const Change& change) {
  BackendNow& backend = now_[change.pool][change.backend];
  backend = good_[change.pool][change.backend];
  if (change.to != BackendState::up) backend.weight = 0;
  if (change.to == BackendState::down) backend.alive = false;
  if (change.to == BackendState::unreachable) backend.egress.reset();
}

void ReplayTables::publish() {
  const shm::PublishResult result = writer_->publish(builder_.build(tables_));
  if (result == shm::PublishResult::unchanged) return;
  if (result == shm::PublishResult::no_room)
    throw std::runtime_error("the tables do not fit; raise control.tables_memory");
  pools_.resize(pool_count(writer_->memory(), writer_->root()));
  const auto error = open_generation(writer_->memory(), writer_->root(), pools_, nullptr, view_);
  if (error != TablesError::none) throw std::runtime_error(to_text(error));
}

}  // namespace guideway::replay
