#include "common/shm/tables_reader.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace guideway::shm {
namespace {

// A mapped tables segment; lives as long as a view of it does.
struct Segment {
  Descriptor descriptor;
  Mapping mapping;

  std::span<const std::byte> memory() const { return mapping.bytes(); }
  // Sequentially consistent, because it must not be taken before an earlier store of the pin.
  RootWord root() const {
    return {reinterpret_cast<const TablesHeader*>(memory().data())->root.load(std::memory_order_seq_cst)};
  }
};

// A validated generation with all that it points into.
struct Adopted {
  std::shared_ptr<const Segment> segment;
  std::vector<PoolView> pools;
  TablesView view;
};

AttachError open_segment(Descriptor tables, std::shared_ptr<const Segment>& segment) {
  if (!is_sealed(tables)) return AttachError::not_sealed;
  if (memory_bytes(tables) > kTablesBytesMax) return AttachError::too_large;
  Mapping mapping = map_whole(tables, Access::read_only);
  if (!mapping.valid()) return AttachError::no_memory;
  if (const auto e = check_segment(mapping.bytes(), kTablesSegment); e != AttachError::none) return e;
  segment = std::make_shared<const Segment>(Segment{std::move(tables), std::move(mapping)});
  return AttachError::none;
}

}  // namespace

struct Gatekeeper::Impl {
  explicit Impl(StatsHeader& header) : stats(header), seats(header.worker_count) {}

  WorkerBlock& worker_block(std::size_t w) const {
    return *stats_of(stats, static_cast<WorkerId>(static_cast<std::uint32_t>(w))).block;
  }
  std::uint64_t active_pin() const { return active ? number(active->view.generation) : kPinNone; }
  void free_retired();

  StatsHeader& stats;
  std::vector<Seat> seats;
  std::shared_ptr<const Segment> segment;  // in custody; `active` may still be of the one before
  RootWord examined;                       // the last root word of `segment` that was adopted or refused
  std::unique_ptr<Adopted> active;
  std::vector<std::unique_ptr<Adopted>> retired;
  Descriptor none;
};

Gatekeeper::Gatekeeper(StatsHeader& stats) : impl_(std::make_unique<Impl>(stats)) {
  stats.gatekeeper_pin.store(kPinNone, std::memory_order_seq_cst);
  for (std::size_t w = 0; w < impl_->seats.size(); w++)
    impl_->worker_block(w).pin.store(kPinNone, std::memory_order_seq_cst);
}

Gatekeeper::~Gatekeeper() {
  impl_->stats.gatekeeper_pin.store(kPinNone, std::memory_order_release);
}

AttachError Gatekeeper::attach(Descriptor tables) {
  if (impl_->segment && same_file(tables, impl_->segment->descriptor)) return AttachError::none;
  std::shared_ptr<const Segment> next;
  if (const auto e = open_segment(std::move(tables), next); e != AttachError::none) return e;
  const std::shared_ptr<const Segment> before = std::exchange(impl_->segment, next);
  const RootWord examined_before = std::exchange(impl_->examined, RootWord{});
  if (poll() || impl_->examined.empty()) return AttachError::none;
  impl_->segment = before;
  impl_->examined = examined_before;
  return AttachError::bad_root;
}

const Descriptor& Gatekeeper::custody() const {
  return impl_->segment ? impl_->segment->descriptor : impl_->none;
}

bool Gatekeeper::poll() {
  Impl& impl = *impl_;
  impl.free_retired();
  if (!impl.segment) return false;
  const bool first_of_segment = !impl.active || impl.active->segment != impl.segment;
  if (first_of_segment) impl.stats.gatekeeper_pin.store(kPinAttaching, std::memory_order_seq_cst);
  const RootWord word = impl.segment->root();
  const auto stay = [&] {
    if (first_of_segment) impl.stats.gatekeeper_pin.store(impl.active_pin(), std::memory_order_release);
    return false;
  };
  if (word == impl.examined) return stay();
  impl.examined = word;

  auto next = std::make_unique<Adopted>();
  next->segment = impl.segment;
  const TablesView* before = first_of_segment ? nullptr : &impl.active->view;
  TablesError error = TablesError::generation_not_newer;
  if (before == nullptr || word.generation() > before->generation) {
    next->pools.resize(pool_count(impl.segment->memory(), word));
    error = open_generation(impl.segment->memory(), word, next->pools, before, next->view);
  }
  if (error != TablesError::none) {
    set_text(impl.stats.rejected_reason, to_text(error));
    impl.stats.rejected_generation.store(number(word.generation()), std::memory_order_release);
    return stay();
  }

  if (impl.active) impl.retired.push_back(std::move(impl.active));
  impl.active = std::move(next);
  // In this order: a writer that reads our new pin and then finds a worker unpinned knows that the worker can only
  // attach to this view or a later one.
  active_.store(&impl.active->view, std::memory_order_seq_cst);
  impl.stats.gatekeeper_pin.store(impl.active_pin(), std::memory_order_seq_cst);
  impl.stats.active_generation.store(impl.active_pin(), std::memory_order_release);
  return true;
}

bool Gatekeeper::all_workers_follow() const {
  for (std::size_t w = 0; w < impl_->seats.size(); w++) {
    const std::uint64_t pin = impl_->worker_block(w).pin.load(std::memory_order_seq_cst);
    if (pin == kPinNone) continue;
    if (pin == kPinAttaching || impl_->seats[w].view.load(std::memory_order_acquire) != active()) return false;
  }
  return true;
}

// Frees the views that no worker uses. A worker takes its seat before it replaces kPinAttaching by a generation, so a
// pin that is not kPinAttaching means that the seat is true, or that the worker will find the active view.
void Gatekeeper::Impl::free_retired() {
  if (retired.empty()) return;
  std::vector<const TablesView*> used;
  for (std::size_t w = 0; w < seats.size(); w++) {
    if (worker_block(w).pin.load(std::memory_order_seq_cst) == kPinAttaching) return;
    used.push_back(seats[w].view.load(std::memory_order_acquire));
  }
  std::erase_if(retired,
                [&](const auto& old) { return std::find(used.begin(), used.end(), &old->view) == used.end(); });
}

Gatekeeper::WorkerReader Gatekeeper::worker(WorkerId w) {
  return {active_, impl_->worker_block(index(w)).pin, impl_->seats[index(w)]};
}

// The pin stands before the active view is loaded; the view that follow() saw may be gone by now.
void Gatekeeper::WorkerReader::move() {
  pin_->store(kPinAttaching, std::memory_order_seq_cst);
  view_ = active_->load(std::memory_order_seq_cst);
  seat_->view.store(view_, std::memory_order_release);
  pin_->store(number(view_->generation), std::memory_order_release);
}

void Gatekeeper::WorkerReader::detach() {
  view_ = nullptr;
  seat_->view.store(nullptr, std::memory_order_release);
  pin_->store(kPinNone, std::memory_order_release);
}

}  // namespace guideway::shm
