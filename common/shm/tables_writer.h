// The one writer of the tables region.
//
// publish() places the objects that changed in free space, builds the new root object and stores the root word: one
// release store makes any number of changes visible at once. Memory that the previous generation used and this one does
// not is in limbo until no live reader can see it. There is nothing to repair after a writer died: whatever the root
// does not reach is free once the readers have moved on (docs/shm_contract.md).
//
// Thread-safety: one thread. Lifetime: holds the writer lock (an open-file-description lock, released by the kernel
// when the process dies) until destroyed.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "common/shm/segment_memory.h"
#include "common/tables/image.h"
#include "guideway/stats.h"

namespace guideway::shm {

// The oldest generation that any live reader may be reading, in the order the protocol demands: gatekeeper before
// workers. kPinNone when there is no reader. REQUIRES: `stats` passed check_stats().
std::uint64_t oldest_pin(const StatsHeader& stats);

enum class PublishResult {
  published,
  unchanged,  // the image says what the generation in force says already
  no_room,    // readers still hold too much: try again when they have moved on; or the segment is too small for this
              // image (usage() tells which): make a larger one
};

class TablesWriter {
 public:
  // A fresh segment, whose generations are newer than `after`: one that replaces another goes on with its numbers.
  // Throws std::system_error.
  static std::unique_ptr<TablesWriter> create(std::size_t size_bytes, Generation after = Generation::none);
  // Carries on with a segment that another (dead) writer left: re-opens it for writing, takes the lock, checks the
  // root and everything it reaches. On an error `why` says what is wrong and nullptr is returned; the caller then
  // creates a fresh one.
  static std::unique_ptr<TablesWriter> attach(const Descriptor& memory, std::string& why);
  ~TablesWriter();

  // `oldest` is called when memory is needed: the oldest pin over all live readers (see oldest_pin()); kPinNone once
  // the kernel has proven that there is none. Until it is set, nothing is freed.
  void set_reader_pins(std::function<std::uint64_t()> oldest);

  // Never waits. After no_room the generation in force says what it said before, but it may be a newer one: when holes
  // are too small, live objects are moved by a publish of their own, and the image fits once the readers follow that.
  PublishResult publish(const TableImage& image);
  // Frees what no reader can see any more; cheap, call it now and then.
  void reclaim();

  Generation generation() const;
  std::span<const std::byte> memory() const;
  RootWord root() const;
  const Descriptor& descriptor() const;     // read-write, ours
  Descriptor read_only_descriptor() const;  // to hand to readers

  struct Usage {
    std::uint64_t size_bytes, live_bytes, limbo_bytes, free_bytes, largest_free_bytes, relocations;
  };
  Usage usage() const;

  // Of the image's objects that are not in force.
  std::uint64_t bytes_beside(const TableImage& image) const;

 private:
  struct Impl;
  explicit TablesWriter(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace guideway::shm
