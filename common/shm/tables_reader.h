// The reading side: a gatekeeper that validates generations, and workers that follow it.
//
//   writer ─ root word ─► Gatekeeper (main core) ─ active view ─► WorkerReader (each worker)
//
// The gatekeeper looks at the segment's root word, validates what changed, and only then moves the process's own active
// view, which is all that the workers look at. A generation that fails validation is refused: the last good one stays
// in force, the refusal is recorded. Pins in the stats region tell the writer what may still be read.
//
// Thread-safety: Gatekeeper: one thread. WorkerReader: its own worker; follow() costs one acquire load per burst when
// nothing changed. No locks, nobody waits.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "common/shm/segment_memory.h"
#include "guideway/stats.h"
#include "guideway/tables_view.h"

namespace guideway::shm {

// Text of the main core in the stats region. get_text() is empty when its writer died in the middle of writing.
void set_text(StatsText& target, std::string_view text);
std::string get_text(const StatsText& source);

class Gatekeeper {
 public:
  // `stats` is the region this process created; the pins in it are set to kPinNone first.
  explicit Gatekeeper(StatsHeader& stats);
  ~Gatekeeper();

  // Takes (or replaces) the tables segment; keeps a read-only descriptor of it for a restarted control plane. The view
  // in force stays in force until a generation of the new segment has been adopted, also if that never happens.
  AttachError attach(Descriptor tables);
  // The descriptor in custody; invalid if there is none.
  const Descriptor& custody() const;

  // One look at the root word. True if a new generation came into force.
  bool poll();

  // What workers use now; nullptr before the first generation. For the main core only.
  const TablesView* active() const;
  // True when every attached worker has moved on to the active generation.
  bool all_workers_follow() const;

  class WorkerReader {
   public:
    // Called once per burst. nullptr while there is no generation. The view stays valid until the next call.
    const TablesView* follow() {
      if (active_->load(std::memory_order_acquire) != view_) [[unlikely]]
        move();
      return view_;
    }
    // The worker stops reading: its pin is lifted.
    void detach();

   private:
    friend class Gatekeeper;
    void move();
    const std::atomic<const TablesView*>* active_ = nullptr;
    std::atomic<std::uint64_t>* pin_ = nullptr;
    std::atomic<std::uint64_t>* serial_ = nullptr;
    const TablesView* view_ = nullptr;
  };
  // Called by the worker's own thread before its first follow().
  WorkerReader worker(WorkerId w);

 private:
  struct HeldView;
  struct Impl;
  void put_into_force(std::unique_ptr<HeldView> view);

  std::atomic<const TablesView*> active_{nullptr};
  std::unique_ptr<Impl> impl_;
};

}  // namespace guideway::shm
