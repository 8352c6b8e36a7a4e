// The pool of the simulation: its backends as they are and as the control plane sees them, and the tables made of that,
// by the shipped eras, image builder, writer and reader.
// Ownership: the view is good until the next publish(). Thread-safety: one thread.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "common/shm/tables_writer.h"
#include "controlplane/eras.h"
#include "dataplane/flows/flow_table.h"
#include "guideway/tables_view.h"
#include "perf/continuity/schedule.h"

namespace guideway::perf {

inline constexpr Seconds kSettleAfter{7500};  // as shipped

struct Member {
  std::uint32_t weight = 10;
  bool present = true;  // in the pool
  bool drained = false;
  bool seems_up = true;    // to health checks
  bool is_up = true;       // in truth
  std::uint32_t life = 0;  // with each of them it has lost what it had
  bool takes_new() const { return present && !drained && seems_up; }
};

IpAddress address_of_member(std::uint32_t member);
std::uint32_t member_of_address(const IpAddress& address);

// Where the journal of eras is: in memory, for it is written durably. It goes with this object.
class JournalDirectory {
 public:
  JournalDirectory();
  JournalDirectory(const JournalDirectory&) = delete;
  JournalDirectory& operator=(const JournalDirectory&) = delete;
  ~JournalDirectory();
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// The tables of the pool with one encapsulation; GUE goes with second chance.
class PublishedTables {
 public:
  explicit PublishedTables(Encap encap);
  // True: they are others than before.
  bool publish(DesiredTables desired);
  const TablesView& view() const { return view_; }
  void forget() { builder_ = {}; }  // what the control plane had in memory

 private:
  Encap encap_;
  ImageBuilder builder_;
  std::unique_ptr<shm::TablesWriter> writer_;
  std::vector<PoolView> pools_;
  TablesView view_;
};

class Pool {
 public:
  Pool(std::uint32_t backends, std::uint32_t spare_backends, std::uint32_t slot_count);

  // True: it is about a backend or the control plane, and is done.
  bool apply(const Event& event);
  // Publishes what has changed, or what time has settled. True: there are other tables.
  bool publish_if_due(Seconds now);

  const std::vector<Member>& members() const { return members_; }
  const TablesView& ipip() const { return ipip_.view(); }
  const TablesView& gue() const { return gue_.view(); }
  Slot slot_of_hash(std::uint64_t hash) const { return slot_of(hash, slot_count_); }

  // Whether the backend owns the slot, or did so less than kSettleAfter ago: by a record of its own, with as many eras
  // as there were.
  bool has_owned(Slot slot, std::uint32_t member, Seconds now);
  // … by the eras that the control plane still remembers.
  bool is_remembered_as_owner(Slot slot, std::uint32_t member, Seconds now);

 private:
  struct Ownership {
    Seconds began{};
    Weights weights;
  };
  void start_control_plane();
  DesiredTables desired_at(Seconds now);
  bool owns(const Weights& weights, Slot slot, std::uint32_t member);

  std::uint32_t slot_count_;
  JournalDirectory directory_;
  std::optional<controlplane::Eras> eras_;
  PublishedTables ipip_{Encap::ipip};
  PublishedTables gue_{Encap::gue0};
  std::vector<Member> members_;
  std::vector<Ownership> ownerships_;
  SlotTables tables_;
  std::optional<controlplane::EraTime> settles_at_;
  bool changed_ = true;
};

// The one service of the simulation.
IpAddress simulated_vip();
inline constexpr std::uint16_t kSimulatedPort = 80;

}  // namespace guideway::perf
