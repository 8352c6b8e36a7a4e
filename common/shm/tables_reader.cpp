#include "common/shm/tables_reader.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>
#include <span>

namespace guideway::shm {
namespace {

constexpr std::uint32_t kPoolsMax = 1U << 16;

// Process-local twin of the pins: which view a worker reads, by serial number.
constexpr std::uint64_t kSerialAttaching = 0;
constexpr std::uint64_t kSerialNone = ~std::uint64_t{0};

bool same_memory(const Descriptor& a, const Descriptor& b) {
  struct stat left {};
  struct stat right {};
  return a.valid() && b.valid() && fstat(a.get(), &left) == 0 && fstat(b.get(), &right) == 0 &&
         left.st_dev == right.st_dev && left.st_ino == right.st_ino;
}

}  // namespace

void set_text(StatsText& target, std::string_view text) {
  const std::uint32_t version = target.version.load(std::memory_order_relaxed);
  target.version.store(version + 1, std::memory_order_release);
  std::atomic_thread_fence(std::memory_order_release);
  const std::size_t length = std::min(text.size(), target.text.size() - 1);
  for (std::size_t i = 0; i < target.text.size(); i++)
    target.text[i].store(i < length ? text[i] : '\0', std::memory_order_relaxed);
  target.version.store(version + 2, std::memory_order_release);
}

std::string get_text(const StatsText& source) {
  for (int attempt = 0; attempt < 16; attempt++) {
    const std::uint32_t version = source.version.load(std::memory_order_acquire);
    std::string text;
    for (const auto& letter : source.text) {
      const char c = letter.load(std::memory_order_relaxed);
      if (c == '\0') break;
      text += c;
    }
    std::atomic_thread_fence(std::memory_order_acquire);
    if (version % 2 == 0 && source.version.load(std::memory_order_relaxed) == version) return text;
  }
  return {};  // its writer died in the middle
}

// A generation as this process holds it; freed when no worker reads it any more.
struct Gatekeeper::HeldView : TablesView {
  std::uint64_t serial = 0;
  std::vector<PoolView> storage;
  std::shared_ptr<const Mapping> mapping;
};

struct Gatekeeper::Impl {
  explicit Impl(StatsHeader& header) : stats(header) {
    for (auto& serial : serials) serial.value.store(kSerialNone, std::memory_order_relaxed);
  }

  StatsHeader& stats;
  Descriptor custody;
  std::shared_ptr<const Mapping> mapping;
  RootWord last_seen;
  std::unique_ptr<HeldView> in_force;
  std::vector<std::unique_ptr<HeldView>> retired;
  std::uint64_t next_serial = 1;
  struct alignas(kCacheLineBytes) Serial {
    std::atomic<std::uint64_t> value;
  };
  std::array<Serial, kWorkersMax> serials;  // written by the workers

  std::uint64_t oldest_serial() const {
    std::uint64_t oldest = kSerialNone;
    for (const auto& serial : serials) oldest = std::min(oldest, serial.value.load(std::memory_order_seq_cst));
    return oldest;
  }
  void free_retired() {
    if (retired.empty()) return;
    const std::uint64_t oldest = oldest_serial();
    std::erase_if(retired, [&](const auto& view) { return view->serial < oldest; });
  }
};

Gatekeeper::Gatekeeper(StatsHeader& stats) : impl_(std::make_unique<Impl>(stats)) {
  stats.gatekeeper_pin.store(kPinNone, std::memory_order_seq_cst);
  for (std::uint32_t w = 0; w < stats.worker_count; w++)
    stats_of(stats, static_cast<WorkerId>(w)).block->pin.store(kPinNone, std::memory_order_seq_cst);
}

Gatekeeper::~Gatekeeper() = default;

AttachError Gatekeeper::attach(Descriptor tables) {
  if (same_memory(tables, impl_->custody)) return AttachError::none;
  if (!is_sealed(tables)) return AttachError::not_sealed;
  auto mapping = std::make_shared<const Mapping>(map_whole(tables, Access::read_only));
  if (!mapping->valid()) return AttachError::no_memory;
  if (const AttachError error = check_segment(mapping->bytes(), kTablesSegment); error != AttachError::none)
    return error;
  // From here on, and until a generation of this segment is in force, we may be reading anything in it.
  impl_->stats.gatekeeper_pin.store(kPinAttaching, std::memory_order_seq_cst);
  impl_->mapping = std::move(mapping);
  impl_->custody = std::move(tables);
  impl_->last_seen = {};
  return AttachError::none;
}

const Descriptor& Gatekeeper::custody() const {
  return impl_->custody;
}

bool Gatekeeper::poll() {
  impl_->free_retired();
  if (!impl_->mapping) return false;
  const auto bytes = impl_->mapping->bytes();
  const auto& header = *reinterpret_cast<const TablesHeader*>(bytes.data());
  const RootWord word{header.root.load(std::memory_order_seq_cst)};
  if (word.empty() || word == impl_->last_seen) return false;
  impl_->last_seen = word;

  auto view = std::make_unique<HeldView>();
  view->storage.resize(std::min(pool_count(bytes, word), kPoolsMax));
  view->mapping = impl_->mapping;
  const bool same_segment = impl_->in_force && impl_->in_force->mapping == impl_->mapping;
  const TablesView* before = same_segment ? impl_->in_force.get() : nullptr;
  if (const TablesError error = open_generation(bytes, word, view->storage, before, *view);
      error != TablesError::none) {
    impl_->stats.rejected_generation.store(number(word.generation()), std::memory_order_relaxed);
    set_text(impl_->stats.rejected_reason, to_text(error));
    return false;
  }
  put_into_force(std::move(view));
  return true;
}

// First the workers' view, then our own pin: whoever reads our new pin finds every worker that still attaches to the
// old view pinned.
void Gatekeeper::put_into_force(std::unique_ptr<HeldView> view) {
  view->serial = impl_->next_serial++;
  active_.store(view.get(), std::memory_order_seq_cst);
  const std::uint64_t generation = number(view->generation);
  if (impl_->in_force) impl_->retired.push_back(std::move(impl_->in_force));
  impl_->in_force = std::move(view);
  impl_->stats.active_generation.store(generation, std::memory_order_release);
  impl_->stats.gatekeeper_pin.store(generation, std::memory_order_seq_cst);
}

const TablesView* Gatekeeper::active() const {
  return impl_->in_force.get();
}

bool Gatekeeper::all_workers_follow() const {
  return impl_->in_force != nullptr && impl_->oldest_serial() >= impl_->in_force->serial;
}

Gatekeeper::WorkerReader Gatekeeper::worker(WorkerId w) {
  WorkerReader reader;
  reader.active_ = &active_;
  reader.pin_ = &stats_of(impl_->stats, w).block->pin;
  reader.serial_ = &impl_->serials.at(index(w)).value;
  reader.move();
  return reader;
}

// "I may be reading anything" comes before the look at what is in force: from then on nothing that we could find there
// is freed. Then say exactly what we found.
void Gatekeeper::WorkerReader::move() {
  serial_->store(kSerialAttaching, std::memory_order_seq_cst);
  pin_->store(kPinAttaching, std::memory_order_seq_cst);
  const TablesView* found = active_->load(std::memory_order_seq_cst);
  view_ = found;
  pin_->store(found != nullptr ? number(found->generation) : kPinNone, std::memory_order_release);
  serial_->store(found != nullptr ? static_cast<const HeldView*>(found)->serial : kSerialNone,
                 std::memory_order_release);
}

void Gatekeeper::WorkerReader::detach() {
  view_ = nullptr;
  pin_->store(kPinNone, std::memory_order_release);
  serial_->store(kSerialNone, std::memory_order_release);
}

}  // namespace guideway::shm
