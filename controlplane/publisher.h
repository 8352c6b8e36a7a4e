// From desired tables to a published generation: gathers changes that come close together, and sees to it that each of
// them comes into force, however little room there is.
//
//   it fits beside the generation in force           it goes there
//   readers still hold the memory that it needs      again in a few milliseconds
//   the two do not fit into one segment              a fresh segment, which replaces the one in force
//   it does not even fit a segment of its own        histories of slots are left out, the largest first
//
// Thread-safety: one thread.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "common/shm/tables_writer.h"
#include "common/tables/image.h"
#include "controlplane/event_loop.h"

namespace guideway::controlplane {

class Publisher {
 public:
  struct Hooks {
    std::function<DesiredTables()> desired;     // asked for at the moment of publishing
    std::function<std::uint64_t()> oldest_pin;  // over all live readers
    std::function<void()> on_published;         // a new generation
    std::function<void()> on_replaced;          // there is another segment, which readers do not know yet
  };
  Publisher(EventLoop& loop, Hooks hooks);

  // Of the segment; one of another size is replaced by the next publish.
  void set_size(std::size_t size_bytes) { size_bytes_ = size_bytes; }
  // From here on generations go to `writer`; until then `desired` is asked for, but nothing is published.
  void set_writer(std::unique_ptr<shm::TablesWriter> writer);
  const shm::TablesWriter* writer() const { return writer_.get(); }

  void request();      // something changed: publish within a few milliseconds
  void publish_now();  // and whatever was requested with it
  // Why what is desired is not published yet; empty: it is.
  const std::string& waits_for() const { return waits_for_; }
  // How many pools are published without the history that they should have.
  std::size_t pools_without_history() const { return pools_without_history_; }
  std::uint64_t slots_digest() const { return slots_digest_; }
  // Of the pool at this position, in the generation in force: slots that have a history; those of them with more living
  // previous owners than it has room for; and those that would be settled but for drained backends.
  std::uint32_t unsettled_slots(std::size_t pool) const { return pool < slots_.size() ? slots_[pool].unsettled : 0; }
  std::uint32_t crowded_slots(std::size_t pool) const { return pool < slots_.size() ? slots_[pool].crowded : 0; }
  std::uint32_t kept_slots(std::size_t pool) const { return pool < slots_.size() ? slots_[pool].kept : 0; }

 private:
  TableImage fitting_image(DesiredTables desired);
  shm::PublishResult publish(const TableImage& image);
  shm::PublishResult publish_afresh(const TableImage& image);
  void wait(std::string why);

  Hooks hooks_;
  std::size_t size_bytes_ = 0;
  std::unique_ptr<shm::TablesWriter> writer_;
  ImageBuilder builder_;
  ImageBuilder small_builder_;  // of what has to do without some histories
  Timer timer_;
  Timer reclaim_timer_;
  std::string waits_for_;
  std::string no_memory_;  // why there is no fresh segment
  std::size_t pools_without_history_ = 0;
  std::uint64_t slots_digest_ = 0;
  struct Slots {
    std::uint32_t unsettled, crowded, kept;
  };
  std::vector<Slots> slots_;  // by pool
};

}  // namespace guideway::controlplane
