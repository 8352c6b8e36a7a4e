// The reading side: a gatekeeper that validates generations, and workers that follow it.
//
//   writer ─ root word ─► Gatekeeper (main core) ─ active view ─► WorkerReader (each worker)
//
// The gatekeeper looks at the segment's root word, validates what changed, and only then moves the process's own active
// view, which is all that the workers look at. A generation that fails validation is refused: the last good one stays
// in force, the refusal is recorded. Pins in the stats region tell the writer what may still be read.
//
// A pin is a generation of the segment that its reader reads, and every move to another generation begins with
// kPinAttaching. So pins never need to be compared between segments: whoever starts to read a replacement, whose
// generations may be lower, first holds everything in it.
//
// Thread-safety: Gatekeeper: one thread. WorkerReader: its own worker; follow() costs one acquire load per burst when
// nothing changed. No locks, nobody waits.
#pragma once

#include <array>
#include <atomic>
#include <memory>

#include "common/shm/segment_memory.h"
#include "common/shm/stats_text.h"
#include "guideway/stats.h"
#include "guideway/tables_view.h"

namespace guideway::shm {

class Gatekeeper {
 public:
  Gatekeeper(const Gatekeeper&) = delete;
  Gatekeeper& operator=(const Gatekeeper&) = delete;
  // `stats` is the region this process created; the pins in it are set to kPinNone first.
  explicit Gatekeeper(StatsHeader& stats);
  ~Gatekeeper();

  // Takes (or replaces) the tables segment; keeps a read-only descriptor of it for a restarted control plane. The view
  // in force stays in force until a generation of the new segment has been adopted, also if that never happens. A
  // segment whose root leads to nothing valid is refused; one that has published nothing yet is taken.
  AttachError attach(Descriptor tables);
  // The descriptor in custody; invalid if there is none.
  const Descriptor& custody() const;

  // One look at the root word. True if a new generation came into force.
  bool poll();

  // What workers use now; nullptr before the first generation. For the main core only.
  const TablesView* active() const { return active_.load(std::memory_order_relaxed); }
  // True when every attached worker has moved on to the active generation.
  bool all_workers_follow() const;

  // Where a worker says which view it uses, for the gatekeeper to know when it may be freed.
  struct alignas(kCacheLineBytes) Seat {
    std::atomic<const TablesView*> view{nullptr};
  };

  class WorkerReader {
   public:
    // Called once per burst. nullptr while there is no generation. The view stays valid until the next call.
    const TablesView* follow() {
      if (active_->load(std::memory_order_acquire) != view_) [[unlikely]]
        move();
      return view_;
    }
    // The worker stops reading: its pin is lifted. It may follow() again later.
    void detach();

   private:
    friend class Gatekeeper;
    WorkerReader(const std::atomic<const TablesView*>& active, std::atomic<std::uint64_t>& pin, Seat& seat)
        : active_(&active), pin_(&pin), seat_(&seat) {}
    void move();
    const std::atomic<const TablesView*>* active_;
    std::atomic<std::uint64_t>* pin_;
    Seat* seat_;
    const TablesView* view_ = nullptr;
  };
  // Called by the worker's own thread before its first follow(). REQUIRES: w < stats.worker_count; the gatekeeper
  // outlives the reader.
  WorkerReader worker(WorkerId w);

 private:
  std::atomic<const TablesView*> active_{nullptr};
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace guideway::shm
