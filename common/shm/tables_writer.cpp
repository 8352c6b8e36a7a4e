#include "common/shm/tables_writer.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <deque>
#include <map>
#include <system_error>
#include <unordered_map>
#include <vector>

#include "common/shm/image_bytes.h"
#include "common/shm/tables_tree.h"
#include "common/shm/unit_allocator.h"
#include "guideway/tables_view.h"

namespace guideway::shm {
namespace {

constexpr std::uint32_t kHeaderUnits = sizeof(TablesHeader) / kObjectUnitBytes;
// What one publish moves at most when holes are too small: keeps it within a few milliseconds.
constexpr std::uint64_t kRelocatedBytesMax = 16 << 20;

Extent extent_of(const ObjectRef& ref) {
  return {ref.offset_units, units_of(ref.size_bytes)};
}
std::uint64_t bytes_of(std::uint64_t units) {
  return units * kObjectUnitBytes;
}

std::uint64_t unix_ns() {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now().time_since_epoch())
          .count());
}

// One writer per segment. The lock belongs to the open file description, so the kernel drops it when the process dies.
bool lock_for_writing(const Descriptor& fd) {
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  return fcntl(fd.get(), F_OFD_SETLK, &lock) == 0;
}

std::uint64_t checksum_of(std::span<const std::byte> object) {
  return load<std::uint64_t>(reinterpret_cast<const std::uint8_t*>(object.data()));
}

}  // namespace

std::uint64_t oldest_pin(const StatsHeader& stats) {
  // First the gatekeeper: a worker that attaches after its pin was read here finds a view at least that new.
  std::uint64_t oldest = stats.gatekeeper_pin.load(std::memory_order_seq_cst);
  const auto* block = reinterpret_cast<const std::byte*>(&stats) + sizeof(StatsHeader);
  const std::size_t stride_bytes = worker_stride_bytes(stats.vip_capacity, stats.backend_capacity);
  for (std::uint32_t w = 0; w < stats.worker_count; w++, block += stride_bytes)
    oldest = std::min(oldest, reinterpret_cast<const WorkerBlock*>(block)->pin.load(std::memory_order_seq_cst));
  return oldest;
}

struct TablesWriter::Impl {
  // An object that the generation in force reaches (or the one being prepared).
  struct LiveObject {
    ObjectRef ref;
    ImageObjectPtr source;  // what was copied there; nullptr if a writer before us did it
  };
  struct LimboObject {
    Extent extent;
    Generation unlinked_by;  // the first generation that does not reach it
  };
  // Kept free for relocate(): moving any object takes a new array of pools and a new root object. Without room for them
  // there would never be room for anything again.
  struct Reserve {
    Extent pools, root;
  };

  Impl(Descriptor descriptor, Mapping whole)
      : fd(std::move(descriptor)),
        mapping(std::move(whole)),
        space({kHeaderUnits, static_cast<std::uint32_t>(mapping.bytes().size() / kObjectUnitBytes) - kHeaderUnits}) {}

  TablesHeader& header() const { return *reinterpret_cast<TablesHeader*>(mapping.bytes().data()); }
  std::span<std::byte> object_at(const ObjectRef& ref) const {
    return mapping.bytes().subspan(bytes_of(ref.offset_units), ref.size_bytes);
  }

  PublishResult publish_once(const TableImage& image);
  std::optional<Tree> place_image(const TableImage& image);
  std::optional<ObjectRef> place(std::span<const std::byte> object, const ImageObjectPtr& source);
  std::optional<ObjectRef> find(std::span<const std::byte> object, const ImageObjectPtr& source) const;
  void copy_to(Extent extent, std::span<const std::byte> object, const ImageObjectPtr& source);
  bool commit(Tree next, bool with_reserve);
  bool keep_reserve(std::uint32_t pools_units);
  void roll_back();
  void unlink_unreached();
  std::map<std::uint32_t, LiveObject>::iterator forget(std::map<std::uint32_t, LiveObject>::iterator object);
  bool relocate();
  bool reclaim();
  bool adopt(const TablesView& view, RootWord word);
  bool mark(const ObjectRef& ref);

  Descriptor fd;
  Mapping mapping;
  UnitAllocator space;
  std::function<std::uint64_t()> oldest = [] { return kPinAttaching; };

  Generation generation = Generation::none;
  Tree tree;                                                     // in force
  ObjectRef pools_ref{};                                         // of the array of its pools
  std::uint32_t root_units = 0;                                  // where its root object is
  std::map<std::uint32_t, LiveObject> live;                      // by offset; root objects are not in it
  std::unordered_multimap<std::uint64_t, std::uint32_t> lookup;  // checksum → offset, of `live`
  std::vector<std::uint32_t> fresh;                              // placed since the last commit
  std::deque<LimboObject> limbo;                                 // oldest first
  std::optional<Reserve> reserve;
  std::uint64_t relocations = 0;
};

// ---- Placing objects -----------------------------------------------------------------------------------------------

// The same bytes in the generation in force, or among the objects placed for the next one.
std::optional<ObjectRef> TablesWriter::Impl::find(std::span<const std::byte> object,
                                                  const ImageObjectPtr& source) const {
  const auto [begin, end] = lookup.equal_range(checksum_of(object));
  for (auto it = begin; it != end; ++it) {
    const LiveObject& candidate = live.at(it->second);
    if (candidate.ref.size_bytes != object.size()) continue;
    if ((source != nullptr && candidate.source == source) ||
        std::memcmp(object_at(candidate.ref).data(), object.data(), object.size()) == 0)
      return candidate.ref;
  }
  return std::nullopt;
}

void TablesWriter::Impl::copy_to(Extent extent, std::span<const std::byte> object, const ImageObjectPtr& source) {
  const ObjectRef ref{checksum_of(object), extent.offset_units, static_cast<std::uint32_t>(object.size())};
  std::memcpy(object_at(ref).data(), object.data(), object.size());
  live.emplace(ref.offset_units, LiveObject{ref, source});
  lookup.emplace(ref.checksum, ref.offset_units);
  fresh.push_back(ref.offset_units);
}

std::optional<ObjectRef> TablesWriter::Impl::place(std::span<const std::byte> object, const ImageObjectPtr& source) {
  if (auto same = find(object, source)) return same;
  const auto extent = space.allocate(units_of(static_cast<std::uint32_t>(object.size())));
  if (!extent) return std::nullopt;
  copy_to(*extent, object, source);
  return live.at(extent->offset_units).ref;
}

std::optional<Tree> TablesWriter::Impl::place_image(const TableImage& image) {
  Tree next{image.hash_keys, image.config_digest, {}, {}, {}, {}, {}, std::vector<PoolRecord>(image.pools.size())};
  std::vector<std::pair<const ImageObjectPtr*, ObjectRef*>> wanted{{&image.vips, &next.vips},
                                                                   {&image.index4, &next.index4},
                                                                   {&image.index6, &next.index6},
                                                                   {&image.directory, &next.directory},
                                                                   {&image.outers, &next.outers}};
  for (std::size_t i = 0; i < image.pools.size(); i++) {
    const TableImage::Pool& pool = image.pools[i];
    PoolRecord& record = next.pools[i];
    record.slot_count = pool.slot_count;
    record.backend_count = pool.backend_count;
    record.encap = pool.encap;
    record.scheduler = pool.scheduler;
    record.flags = pool.flags;
    record.source_bits4 = pool.source_bits4;
    record.source_bits6 = pool.source_bits6;
    if (pool.history) wanted.emplace_back(&pool.history, &record.history);
    if (pool.slots) wanted.emplace_back(&pool.slots, &record.slots);
    if (pool.backends) wanted.emplace_back(&pool.backends, &record.backends);
    if (pool.quic) wanted.emplace_back(&pool.quic, &record.quic);
  }
  // Large ones first: small ones would break the holes they need.
  std::stable_sort(wanted.begin(), wanted.end(),
                   [](const auto& a, const auto& b) { return (*a.first)->bytes.size() > (*b.first)->bytes.size(); });
  for (const auto& [object, ref] : wanted) {
    const auto placed = place((*object)->bytes, *object);
    if (!placed) return std::nullopt;
    *ref = *placed;
  }
  return next;
}

// ---- Publishing ----------------------------------------------------------------------------------------------------

PublishResult TablesWriter::Impl::publish_once(const TableImage& image) {
  auto next = place_image(image);
  if (!next) {
    roll_back();
    return PublishResult::no_room;
  }
  const bool same_pools = generation != Generation::none && find(pools_object(next->pools), nullptr) == pools_ref;
  if (same_pools && fresh.empty() && next->vips == tree.vips && next->index4 == tree.index4 &&
      next->index6 == tree.index6 && next->directory == tree.directory && next->outers == tree.outers &&
      next->config_digest == tree.config_digest && next->hash_keys.round == tree.hash_keys.round)
    return PublishResult::unchanged;
  if (commit(std::move(*next), true)) return PublishResult::published;
  roll_back();
  return PublishResult::no_room;
}

// Places what is left to place (the array of pools and the root object) and makes `next` the generation in force; with
// a reserve besides, or not at all.
bool TablesWriter::Impl::commit(Tree next, bool with_reserve) {
  const auto pools = place(pools_object(next.pools), nullptr);
  if (!pools) return false;
  const auto root_at = space.allocate(units_of(sizeof(GenerationRoot)));
  if (!root_at) return false;
  if (with_reserve && !keep_reserve(units_of(pools->size_bytes))) {
    space.release(*root_at);
    return false;
  }
  const GenerationRoot root = root_object(guideway::next(generation), next, *pools, unix_ns());
  std::memcpy(mapping.bytes().data() + bytes_of(root_at->offset_units), &root, sizeof root);

  // Release: whoever sees this word sees all that was written before. Sequentially consistent: whoever sees an older
  // word stored its pin before we read the pins (reclaim).
  header().root.store(RootWord::make(root.generation, bytes_of(root_at->offset_units)).value,
                      std::memory_order_seq_cst);

  generation = root.generation;
  tree = std::move(next);
  pools_ref = *pools;
  fresh.clear();
  if (root_units != 0) limbo.push_back({{root_units, units_of(sizeof(GenerationRoot))}, generation});
  root_units = root_at->offset_units;
  unlink_unreached();
  return true;
}

// False if there is no such room. What was reserved before then stays.
bool TablesWriter::Impl::keep_reserve(std::uint32_t pools_units) {
  if (reserve && reserve->pools.units >= pools_units) return true;
  const auto pools = space.allocate(pools_units);
  if (!pools) return false;
  const auto root = reserve ? reserve->root : space.allocate(units_of(sizeof(GenerationRoot)));
  if (!root) {
    space.release(*pools);
    return false;
  }
  if (reserve) space.release(reserve->pools);
  reserve = Reserve{*pools, *root};
  return true;
}

std::map<std::uint32_t, TablesWriter::Impl::LiveObject>::iterator TablesWriter::Impl::forget(
    std::map<std::uint32_t, LiveObject>::iterator object) {
  const auto [begin, end] = lookup.equal_range(object->second.ref.checksum);
  lookup.erase(std::find_if(begin, end, [&](const auto& entry) { return entry.second == object->first; }));
  return live.erase(object);
}

// Everything as it was before place_image() or relocate().
void TablesWriter::Impl::roll_back() {
  for (const std::uint32_t offset_units : fresh) {
    const auto object = live.find(offset_units);
    space.release(extent_of(object->second.ref));
    forget(object);
  }
  fresh.clear();
}

// Sends to limbo what the generation in force does not reach any more.
void TablesWriter::Impl::unlink_unreached() {
  std::vector<std::uint32_t> reached{pools_ref.offset_units};
  tree.for_each_ref([&](const ObjectRef& ref) { reached.push_back(ref.offset_units); });
  std::sort(reached.begin(), reached.end());
  for (auto object = live.begin(); object != live.end();) {
    if (std::binary_search(reached.begin(), reached.end(), object->first)) {
      ++object;
      continue;
    }
    limbo.push_back({extent_of(object->second.ref), generation});
    object = forget(object);
  }
}

// Frees what no reader can see any more. True if that was something.
bool TablesWriter::Impl::reclaim() {
  if (limbo.empty()) return false;
  const std::uint64_t pin = oldest();
  bool freed = false;
  while (!limbo.empty() && number(limbo.front().unlinked_by) <= pin) {
    space.release(limbo.front().extent);
    limbo.pop_front();
    freed = true;
  }
  // After relocate(): where the objects were that it has replaced, there is room for as large ones.
  if (!reserve && pools_ref.size_bytes > 0) keep_reserve(units_of(pools_ref.size_bytes));
  return freed;
}

// Moves live objects to lower holes, the highest first, so that the free space gathers at the end. Readers follow as
// they follow any generation. True if something was moved.
bool TablesWriter::Impl::relocate() {
  if (generation == Generation::none || !reserve) return false;
  std::uint64_t moved_bytes = 0;
  std::unordered_map<std::uint32_t, ObjectRef> moved;
  std::vector<LiveObject> candidates;
  for (const auto& [offset_units, object] : live)
    if (offset_units != pools_ref.offset_units) candidates.push_back(object);
  for (auto object = candidates.rbegin(); object != candidates.rend() && moved_bytes < kRelocatedBytesMax; ++object) {
    const auto extent = space.allocate_below(units_of(object->ref.size_bytes), object->ref.offset_units);
    if (!extent) continue;
    copy_to(*extent, object_at(object->ref), object->source);
    moved.emplace(object->ref.offset_units, live.at(extent->offset_units).ref);
    moved_bytes += object->ref.size_bytes;
  }
  if (moved.empty()) return false;
  space.release(reserve->pools);
  space.release(reserve->root);
  reserve.reset();
  Tree next = tree;
  next.for_each_ref([&](ObjectRef& ref) {
    if (const auto to = moved.find(ref.offset_units); to != moved.end() && ref.size_bytes > 0) ref = to->second;
  });
  if (commit(std::move(next), false)) {
    relocations++;
    return true;
  }
  roll_back();
  return false;
}

// ---- Taking over ---------------------------------------------------------------------------------------------------

// False if an object overlaps another one.
bool TablesWriter::Impl::mark(const ObjectRef& ref) {
  if (ref.size_bytes == 0) return true;
  if (const auto known = live.find(ref.offset_units); known != live.end()) return known->second.ref == ref;
  if (!space.take(extent_of(ref))) return false;
  live.emplace(ref.offset_units, LiveObject{ref, nullptr});
  lookup.emplace(ref.checksum, ref.offset_units);
  return true;
}

// Marks what the root reaches; all the rest may still be read by readers of earlier generations.
bool TablesWriter::Impl::adopt(const TablesView& view, RootWord word) {
  generation = view.generation;
  tree = {view.hash_keys,  view.config_digest, view.vips_ref,   view.index4_ref,
          view.index6_ref, view.directory_ref, view.outers_ref, {}};
  for (const PoolView& pool : view.pools) {
    PoolRecord record{};
    record.slots = pool.slots_ref;
    record.backends = pool.backends_ref;
    record.quic = pool.quic_ref;
    record.slot_count = pool.slot_count;
    record.backend_count = pool.backend_count;
    record.encap = pool.encap;
    record.history = pool.history_ref;
    record.scheduler = pool.scheduler;
    record.flags = pool.flags;
    record.source_bits4 = pool.source_bits4;
    record.source_bits6 = pool.source_bits6;
    tree.pools.push_back(record);
  }
  pools_ref = view.pools_ref;
  root_units = static_cast<std::uint32_t>(word.offset_bytes() / kObjectUnitBytes);
  bool sound = space.take({root_units, units_of(sizeof(GenerationRoot))}) && mark(pools_ref);
  tree.for_each_ref([&](const ObjectRef& ref) { sound = sound && mark(ref); });
  if (!sound) return false;
  const auto holes = space.holes();
  for (const auto& [offset_units, units] : holes) {
    space.take({offset_units, units});
    limbo.push_back({{offset_units, units}, generation});
  }
  return true;
}

// ---- The outside ---------------------------------------------------------------------------------------------------

TablesWriter::TablesWriter(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
TablesWriter::~TablesWriter() = default;

std::unique_ptr<TablesWriter> TablesWriter::create(std::size_t size_bytes, Generation after) {
  if (size_bytes < sizeof(TablesHeader) || size_bytes > kTablesBytesMax)
    throw std::system_error(EINVAL, std::generic_category(),
                            "cannot create tables of " + std::to_string(size_bytes) + " bytes: at most " +
                                std::to_string(kTablesBytesMax) + " are possible");
  Descriptor fd = create_sealed_memory("guideway-tables", size_bytes);
  if (!lock_for_writing(fd)) throw std::system_error(errno, std::generic_category(), "cannot lock the new tables");
  Mapping mapping = map_whole(fd, Access::read_write);
  if (!mapping.valid()) throw std::system_error(errno, std::generic_category(), "cannot map the new tables");
  auto impl = std::make_unique<Impl>(std::move(fd), std::move(mapping));
  impl->generation = after;
  SegmentHeader& header = impl->header().segment;
  header.kind = SegmentKind::tables;
  header.layout_version = kTablesLayoutVersion;
  header.layout_hash = tables_layout_hash();
  header.size_bytes = impl->mapping.bytes().size();
  header.created_unix_ns = unix_ns();
  header.creator_pid = static_cast<std::uint32_t>(getpid());
  header.magic.store(kSegmentMagic, std::memory_order_release);
  return std::unique_ptr<TablesWriter>(new TablesWriter(std::move(impl)));
}

std::unique_ptr<TablesWriter> TablesWriter::attach(const Descriptor& memory, std::string& why) {
  const auto refuse = [&](const std::string& reason) {
    why = "cannot carry on with the tables in shared memory: " + reason;
    return nullptr;
  };
  if (!is_sealed(memory)) return refuse(to_text(AttachError::not_sealed));
  if (memory_bytes(memory) > kTablesBytesMax) return refuse(to_text(AttachError::too_large));
  Descriptor fd;
  try {
    fd = reopen(memory, Access::read_write);
  } catch (const std::system_error& error) {
    return refuse(error.what());
  }
  if (!lock_for_writing(fd)) return refuse("another control plane is writing them; stop it first");
  Mapping mapping = map_whole(fd, Access::read_write);
  if (!mapping.valid()) return refuse(to_text(AttachError::no_memory));
  if (const auto e = check_segment(mapping.bytes(), kTablesSegment); e != AttachError::none) return refuse(to_text(e));

  auto impl = std::make_unique<Impl>(std::move(fd), std::move(mapping));
  const RootWord word{impl->header().root.load(std::memory_order_acquire)};
  if (!word.empty()) {
    const auto segment = impl->mapping.bytes();
    std::vector<PoolView> pools(pool_count(segment, word));
    TablesView view;
    if (const auto e = open_generation(segment, word, pools, nullptr, view); e != TablesError::none)
      return refuse(to_text(e));
    if (!impl->adopt(view, word)) return refuse("objects overlap");
  }
  return std::unique_ptr<TablesWriter>(new TablesWriter(std::move(impl)));
}

void TablesWriter::set_reader_pins(std::function<std::uint64_t()> oldest) {
  impl_->oldest = std::move(oldest);
}

PublishResult TablesWriter::publish(const TableImage& image) {
  for (;;) {
    const PublishResult result = impl_->publish_once(image);
    if (result != PublishResult::no_room) return result;
    if (impl_->reclaim()) continue;
    // Nothing is in limbo, so the holes are too small: gather them. With readers that takes until the next call.
    if (!impl_->limbo.empty() || !impl_->relocate() || !impl_->reclaim()) return PublishResult::no_room;
  }
}

void TablesWriter::reclaim() {
  impl_->reclaim();
}

Generation TablesWriter::generation() const {
  return impl_->generation;
}
std::span<const std::byte> TablesWriter::memory() const {
  return impl_->mapping.bytes();
}
RootWord TablesWriter::root() const {
  return {impl_->header().root.load(std::memory_order_acquire)};
}
const Descriptor& TablesWriter::descriptor() const {
  return impl_->fd;
}
Descriptor TablesWriter::read_only_descriptor() const {
  return reopen(impl_->fd, Access::read_only);
}

std::uint64_t TablesWriter::bytes_beside(const TableImage& image) const {
  return bytes_of(units_of_objects(
      image, [this](const ImageObjectPtr& object) { return !impl_->find(object->bytes, object).has_value(); }));
}

TablesWriter::Usage TablesWriter::usage() const {
  std::uint64_t limbo_units = 0;
  for (const Impl::LimboObject& object : impl_->limbo) limbo_units += object.extent.units;
  const std::uint64_t size_bytes = impl_->mapping.bytes().size();
  std::uint64_t free_units = impl_->space.free_units();
  if (impl_->reserve) free_units += impl_->reserve->pools.units + impl_->reserve->root.units;
  const std::uint64_t free_bytes = bytes_of(free_units);
  const std::uint64_t limbo_bytes = bytes_of(limbo_units);
  return {size_bytes,
          size_bytes - sizeof(TablesHeader) - free_bytes - limbo_bytes,
          limbo_bytes,
          free_bytes,
          bytes_of(impl_->space.largest_units()),
          impl_->relocations};
}

}  // namespace guideway::shm
