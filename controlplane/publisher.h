// From desired tables to a published generation: gathers changes that come close together, and tries again when readers
// still hold the memory it needs.
// Thread-safety: one thread.
#pragma once

#include <functional>
#include <memory>

#include "common/shm/tables_writer.h"
#include "common/tables/image.h"
#include "controlplane/event_loop.h"

namespace guideway::controlplane {

class Publisher {
 public:
  // `desired` is asked for at the moment of publishing; `on_published` hears of each new generation.
  Publisher(EventLoop& loop, std::function<DesiredTables()> desired, std::function<void()> on_published);

  // From here on generations go to `writer`; until then `desired` is asked for, but nothing is published.
  void set_writer(std::unique_ptr<shm::TablesWriter> writer);
  const shm::TablesWriter* writer() const { return writer_.get(); }

  void request();      // something changed: publish within a few milliseconds
  void publish_now();  // and whatever was requested with it
  bool waits_for_room() const { return no_room_; }
  std::uint64_t slots_digest() const { return slots_digest_; }
  // Of the pool at this position, in the generation in force: slots that have a history; those of them with more living
  // previous owners than it has room for; and those that would be settled but for drained backends.
  std::uint32_t unsettled_slots(std::size_t pool) const { return pool < slots_.size() ? slots_[pool].unsettled : 0; }
  std::uint32_t crowded_slots(std::size_t pool) const { return pool < slots_.size() ? slots_[pool].crowded : 0; }
  std::uint32_t kept_slots(std::size_t pool) const { return pool < slots_.size() ? slots_[pool].kept : 0; }

 private:
  std::function<DesiredTables()> desired_;
  std::function<void()> on_published_;
  std::unique_ptr<shm::TablesWriter> writer_;
  ImageBuilder builder_;
  Timer timer_;
  Timer reclaim_timer_;
  bool no_room_ = false;
  std::uint64_t slots_digest_ = 0;
  struct Slots {
    std::uint32_t unsettled, crowded, kept;
  };
  std::vector<Slots> slots_;  // by pool
};

}  // namespace guideway::controlplane
