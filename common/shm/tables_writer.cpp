#include "common/shm/tables_writer.h"

#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <deque>
#include <map>
#include <system_error>
#include <unordered_map>
#include <vector>

#include "common/shm/block_allocator.h"
#include "guideway/tables_view.h"

namespace guideway::shm {
namespace {

constexpr std::uint32_t units(std::uint64_t size_bytes) {
  return static_cast<std::uint32_t>((size_bytes + kObjectUnitBytes - 1) / kObjectUnitBytes);
}
Block block_of(const ObjectRef& ref) {
  return {ref.offset_units, units(ref.size_bytes)};
}

std::uint64_t unix_ns() {
  using namespace std::chrono;
  return static_cast<std::uint64_t>(duration_cast<nanoseconds>(system_clock::now().time_since_epoch()).count());
}

// One writer at a time. The kernel drops the lock with the last descriptor of this open file, so a dead writer holds
// nothing up.
bool take_writer_lock(const Descriptor& memory) {
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  lock.l_len = 1;
  return fcntl(memory.get(), F_OFD_SETLK, &lock) == 0;
}

}  // namespace

std::uint64_t oldest_pin(const StatsHeader& stats) {
  // A worker that attaches while this runs pins "anything" before it reads what the gatekeeper put into force, and the
  // gatekeeper moves its own pin after that. So: the gatekeeper's pin first.
  std::uint64_t oldest = stats.gatekeeper_pin.load(std::memory_order_seq_cst);
  auto& writable = const_cast<StatsHeader&>(stats);  // NOLINT: stats_of() serves both sides; nothing is written here
  for (std::uint32_t w = 0; w < stats.worker_count && w < kWorkersMax; w++)
    oldest = std::min(oldest, stats_of(writable, static_cast<WorkerId>(w)).block->pin.load(std::memory_order_seq_cst));
  return oldest;
}

struct TablesWriter::Impl {
  Descriptor memory;
  Mapping mapping;
  BlockAllocator allocator;
  std::function<std::uint64_t()> reader_pins = [] { return kPinAttaching; };

  using Objects = std::map<std::uint32_t, ObjectRef>;  // by offset
  Objects live;                                        // what the root reaches, without the root object itself
  Block root_block;
  struct Unlinked {
    Block block;
    std::uint64_t generation;  // the first that does not reach it
  };
  std::deque<Unlinked> limbo;
  std::unordered_map<std::uint64_t, ObjectRef> by_checksum;      // of `live`
  std::unordered_map<const ImageObject*, ObjectRef> by_pointer;  // of the image in force
  TableImage image;                                              // keeps those pointers alive

  TablesHeader& header() const { return *reinterpret_cast<TablesHeader*>(mapping.bytes().data()); }
  RootWord root() const { return {header().root.load(std::memory_order_acquire)}; }
  std::byte* at(const Block& block) const {
    return mapping.bytes().data() + std::size_t{block.offset_units} * kObjectUnitBytes;
  }

  bool same_bytes(const ObjectRef& ref, const ImageObject& object) const;
  std::optional<ObjectRef> existing(const ImageObject& object) const;
};

// A publish in the making: everything it placed is given back unless it is committed.
class TablesWriter::Publication {
 public:
  explicit Publication(Impl& writer) : writer_(writer) {}
  ~Publication() {
    for (const Block& block : placed_) writer_.allocator.release(block);
  }

  // The object's place: that of the generation in force if it is there already. False when there is no room.
  bool place(const ImageObjectPtr& object, ObjectRef& ref) {
    ref = {};
    if (!object) return true;
    if (const auto same = writer_.existing(*object)) {
      ref = *same;
    } else if (!copy(object->bytes, object->checksum(), ref)) {
      return false;
    }
    pointers_.emplace(object.get(), ref);
    objects_.emplace(ref.offset_units, ref);
    return true;
  }

  bool place_pools(const TableImage& image, ObjectRef& ref) {
    std::vector<std::byte> bytes(kObjectUnitBytes + image.pools.size() * sizeof(PoolRecord));
    for (std::size_t i = 0; i < image.pools.size(); i++) {
      const TableImage::Pool& pool = image.pools[i];
      PoolRecord record{};
      if (!place(pool.slots, record.slots) || !place(pool.backends, record.backends)) return false;
      record.slot_count = pool.slot_count;
      record.backend_count = pool.backend_count;
      record.encap = pool.encap;
      std::memcpy(bytes.data() + kObjectUnitBytes + i * sizeof record, &record, sizeof record);
    }
    ObjectHeader header{0, ObjectKind::pools, static_cast<std::uint32_t>(image.pools.size()),
                        static_cast<std::uint32_t>(bytes.size()), 0};
    std::memcpy(bytes.data(), &header, sizeof header);
    auto object = std::make_shared<ImageObject>(ImageObject{ObjectKind::pools, std::move(bytes)});
    const std::uint64_t checksum = object_checksum(object->bytes);
    std::memcpy(object->bytes.data(), &checksum, sizeof checksum);
    const bool placed = place(object, ref);
    pointers_.erase(object.get());
    return placed;
  }

  bool place_root(GenerationRoot root) {
    root.header = {0, ObjectKind::root, 1, sizeof root, 0};
    const auto bytes = std::as_bytes(std::span(&root, 1));
    root.header.checksum = object_checksum(bytes);
    ObjectRef ref;
    if (!copy(bytes, root.header.checksum, ref)) return false;
    root_block_ = block_of(ref);
    word_ = RootWord::make(root.generation, std::uint64_t{ref.offset_units} * kObjectUnitBytes);
    return true;
  }

  // The one store that makes it all visible; then the bookkeeping of what is no longer reached.
  void commit(const TableImage& image) {
    placed_.clear();
    writer_.header().root.store(word_.value, std::memory_order_release);
    // Readers that pin after this fence see the new root; those that pinned before are seen by the next look at pins.
    std::atomic_thread_fence(std::memory_order_seq_cst);
    const std::uint64_t generation = number(word_.generation());
    for (const auto& [offset, ref] : writer_.live)
      if (!objects_.contains(offset)) writer_.limbo.push_back({block_of(ref), generation});
    if (writer_.root_block.size_units > 0) writer_.limbo.push_back({writer_.root_block, generation});
    writer_.root_block = root_block_;
    writer_.live = std::move(objects_);
    writer_.by_pointer = std::move(pointers_);
    writer_.image = image;
    writer_.by_checksum.clear();
    for (const auto& [offset, ref] : writer_.live) writer_.by_checksum.emplace(ref.checksum, ref);
  }

 private:
  bool copy(std::span<const std::byte> bytes, std::uint64_t checksum, ObjectRef& ref) {
    const auto block = writer_.allocator.allocate(units(bytes.size()));
    if (!block) return false;
    placed_.push_back(*block);
    std::memcpy(writer_.at(*block), bytes.data(), bytes.size());
    ref = {checksum, block->offset_units, static_cast<std::uint32_t>(bytes.size())};
    return true;
  }

  Impl& writer_;
  std::vector<Block> placed_;
  Impl::Objects objects_;
  std::unordered_map<const ImageObject*, ObjectRef> pointers_;
  Block root_block_;
  RootWord word_;
};

bool TablesWriter::Impl::same_bytes(const ObjectRef& ref, const ImageObject& object) const {
  return ref.size_bytes == object.bytes.size() &&
         std::memcmp(at(block_of(ref)), object.bytes.data(), ref.size_bytes) == 0;
}

std::optional<ObjectRef> TablesWriter::Impl::existing(const ImageObject& object) const {
  if (const auto known = by_pointer.find(&object); known != by_pointer.end()) return known->second;
  const auto alike = by_checksum.find(object.checksum());
  if (alike == by_checksum.end() || !same_bytes(alike->second, object)) return std::nullopt;
  return alike->second;
}

TablesWriter::TablesWriter(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
TablesWriter::~TablesWriter() = default;

std::unique_ptr<TablesWriter> TablesWriter::create(std::size_t size_bytes) {
  auto impl = std::make_unique<Impl>();
  impl->memory = create_sealed_memory("guideway-tables", std::min<std::uint64_t>(size_bytes, kTablesBytesMax));
  impl->mapping = map_whole(impl->memory, Access::read_write);
  if (!impl->mapping.valid() || !take_writer_lock(impl->memory))
    throw std::system_error(errno, std::generic_category(), "cannot map the tables segment");
  const std::size_t mapped_bytes = impl->mapping.bytes().size();
  SegmentHeader& segment = impl->header().segment;
  segment.kind = SegmentKind::tables;
  segment.layout_version = kTablesLayoutVersion;
  segment.layout_hash = tables_layout_hash();
  segment.size_bytes = mapped_bytes;
  segment.created_unix_ns = unix_ns();
  segment.creator_pid = static_cast<std::uint32_t>(getpid());
  segment.magic.store(kSegmentMagic, std::memory_order_release);
  const std::uint32_t first = units(sizeof(TablesHeader));
  impl->allocator.release({first, static_cast<std::uint32_t>(mapped_bytes / kObjectUnitBytes) - first});
  return std::unique_ptr<TablesWriter>(new TablesWriter(std::move(impl)));
}

std::unique_ptr<TablesWriter> TablesWriter::attach(const Descriptor& memory, std::string& why) {
  auto impl = std::make_unique<Impl>();
  try {
    impl->memory = reopen(memory, Access::read_write);
  } catch (const std::system_error& error) {
    why = error.what();
    return nullptr;
  }
  if (!is_sealed(impl->memory)) {
    why = to_text(AttachError::not_sealed);
    return nullptr;
  }
  if (!take_writer_lock(impl->memory)) {
    why = "another control plane is writing to these tables; stop it first";
    return nullptr;
  }
  impl->mapping = map_whole(impl->memory, Access::read_write);
  if (!impl->mapping.valid()) {
    why = to_text(AttachError::no_memory);
    return nullptr;
  }
  if (const AttachError error = check_segment(impl->mapping.bytes(), kTablesSegment); error != AttachError::none) {
    why = to_text(error);
    return nullptr;
  }
  auto writer = std::unique_ptr<TablesWriter>(new TablesWriter(std::move(impl)));
  if (!writer->adopt_what_is_there(why)) return nullptr;
  return writer;
}

// Marks what the root reaches as live; all the rest may still be read by somebody, so it is in limbo as of now.
bool TablesWriter::adopt_what_is_there(std::string& why) {
  Impl& impl = *impl_;
  const RootWord word = impl.root();
  const auto bytes = impl.mapping.bytes();
  std::map<std::uint32_t, std::uint32_t> used;
  if (!word.empty()) {
    std::vector<PoolView> pools(pool_count(bytes, word));
    TablesView view;
    if (const TablesError error = open_generation(bytes, word, pools, nullptr, view); error != TablesError::none) {
      why = std::string(to_text(AttachError::bad_root)) + ": " + to_text(error);
      return false;
    }
    const auto keep = [&](const ObjectRef& ref) {
      if (ref.offset_units == 0) return;
      impl.live.emplace(ref.offset_units, ref);
      impl.by_checksum.emplace(ref.checksum, ref);
    };
    for (const ObjectRef& ref : {view.root->vips, view.root->index4, view.root->index6, view.root->pools}) keep(ref);
    for (const PoolRecord& pool : view.pool_records) {
      keep(pool.slots);
      keep(pool.backends);
    }
    impl.root_block = {static_cast<std::uint32_t>(word.offset_bytes() / kObjectUnitBytes),
                       units(sizeof(GenerationRoot))};
    used.emplace(impl.root_block.offset_units, impl.root_block.size_units);
    for (const auto& [offset, ref] : impl.live) used.emplace(offset, units(ref.size_bytes));
  }
  std::uint32_t at = units(sizeof(TablesHeader));
  const auto leave = [&](std::uint32_t until) {
    if (until > at) impl.limbo.push_back({{at, until - at}, number(word.generation())});
  };
  for (const auto& [offset, size] : used) {
    leave(offset);
    at = offset + size;
  }
  leave(static_cast<std::uint32_t>(bytes.size() / kObjectUnitBytes));
  return true;
}

void TablesWriter::set_reader_pins(std::function<std::uint64_t()> oldest) {
  impl_->reader_pins = std::move(oldest);
}

PublishResult TablesWriter::publish(const TableImage& image) {
  reclaim();
  const bool fresh = impl_->root().empty();
  Publication publication(*impl_);
  GenerationRoot root{};
  if (!publication.place(image.vips, root.vips) || !publication.place(image.index4, root.index4) ||
      !publication.place(image.index6, root.index6) || !publication.place_pools(image, root.pools))
    return PublishResult::no_room;
  if (!fresh) {
    const auto* now = reinterpret_cast<const GenerationRoot*>(impl_->at(impl_->root_block));
    if (now->vips == root.vips && now->index4 == root.index4 && now->index6 == root.index6 &&
        now->pools == root.pools && now->config_digest == image.config_digest &&
        now->hash_keys.round == image.hash_keys.round)
      return PublishResult::unchanged;
  }
  root.generation = next(generation());
  root.config_digest = image.config_digest;
  root.published_unix_ns = unix_ns();
  root.hash_keys = image.hash_keys;
  if (!publication.place_root(root)) return PublishResult::no_room;
  publication.commit(image);
  return PublishResult::published;
}

void TablesWriter::reclaim() {
  if (impl_->limbo.empty()) return;
  const std::uint64_t oldest = impl_->reader_pins();
  while (!impl_->limbo.empty() && impl_->limbo.front().generation <= oldest) {
    impl_->allocator.release(impl_->limbo.front().block);
    impl_->limbo.pop_front();
  }
}

Generation TablesWriter::generation() const {
  return impl_->root().generation();
}
std::span<const std::byte> TablesWriter::memory() const {
  return impl_->mapping.bytes();
}
RootWord TablesWriter::root() const {
  return impl_->root();
}
const Descriptor& TablesWriter::descriptor() const {
  return impl_->memory;
}
Descriptor TablesWriter::read_only_descriptor() const {
  return reopen(impl_->memory, Access::read_only);
}

TablesWriter::Usage TablesWriter::usage() const {
  Usage usage{};
  usage.size_bytes = impl_->mapping.bytes().size();
  for (const auto& [offset, ref] : impl_->live)
    usage.live_bytes += std::uint64_t{units(ref.size_bytes)} * kObjectUnitBytes;
  usage.live_bytes += std::uint64_t{impl_->root_block.size_units} * kObjectUnitBytes;
  for (const Impl::Unlinked& unlinked : impl_->limbo)
    usage.limbo_bytes += std::uint64_t{unlinked.block.size_units} * kObjectUnitBytes;
  usage.free_bytes = impl_->allocator.free_units() * kObjectUnitBytes;
  usage.largest_free_bytes = std::uint64_t{impl_->allocator.largest_units()} * kObjectUnitBytes;
  return usage;
}

}  // namespace guideway::shm
