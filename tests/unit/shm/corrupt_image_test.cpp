// What a mad writer can put into the segment: readers refuse it or make something total of it, and never fault. The
// image ends at a page that cannot be touched, so that a read past its end is a crash, not luck.
//
//   GUIDEWAY_CORRUPT_IMAGES=300000 build/tests/unit/shm/test_shm --gtest_filter='CorruptImage.*'

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstdlib>
#include <cstring>
#include <set>

#include "common/shm/tables_writer.h"
#include "guideway/quic_route.h"
#include "tests/shm/pattern.h"

namespace guideway::shm {
namespace {

constexpr std::size_t kImageBytes = 32 << 10;

std::uint64_t images_wanted() {
  const char* text = std::getenv("GUIDEWAY_CORRUPT_IMAGES");
  return text != nullptr ? std::strtoull(text, nullptr, 10) : 20000;
}

class GuardedImage {
 public:
  GuardedImage() {
    void* at = mmap(nullptr, kImageBytes + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    bytes_ = {static_cast<std::byte*>(at), kImageBytes};
    mprotect(bytes_.data() + kImageBytes, 4096, PROT_NONE);
  }
  ~GuardedImage() { munmap(bytes_.data(), kImageBytes + 4096); }
  GuardedImage(const GuardedImage&) = delete;
  GuardedImage& operator=(const GuardedImage&) = delete;

  std::span<std::byte> bytes() const { return bytes_; }
  RootWord root() const { return {reinterpret_cast<const TablesHeader*>(bytes_.data())->root.load()}; }

 private:
  std::span<std::byte> bytes_;
};

// All kinds of layout, one of them for each value of the top three bits.
QuicLayouts every_layout() {
  QuicLayouts layouts = kKatranLayouts;
  layouts[0].shape = {QuicLayoutKind::plain, 1, 4};
  layouts[1] = {{QuicLayoutKind::single_pass, 1, 15}, {1, 2, 3}};
  layouts[3] = {{QuicLayoutKind::four_pass, 1, 18}, {4, 5, 6}};
  layouts[5].shape = {};
  return layouts;
}

DesiredPool real_pool(std::uint32_t position) {
  DesiredPool pool;
  pool.slot_count = 251;
  if (position != 1) pool.quic = every_layout();
  for (std::uint8_t b = 1; b < 6; b++) {
    DesiredBackend& backend = pool.backends.emplace_back();
    backend.address = IpAddress::from_v4(Be32::from_host(0x0a000000U + (position << 8) + b));
    backend.weight = 1;
    backend.stats_index = b;
    backend.egress.emplace().source = IpAddress::from_v4(Be32::from_host(0xc0000201));
    if (position != 1) backend.server_ids = {{{b}, 1}, katran_server_id(b)};
  }
  return pool;
}

TableImage real_image() {
  DesiredTables desired;
  for (std::uint32_t p = 0; p < 3; p++) {
    desired.pools.push_back(real_pool(p));
    DesiredVip& four = desired.vips.emplace_back();
    four.prefix = IpPrefix::of(IpAddress::from_v4(Be32::from_host(0xcb007100U + p)));
    four.port = 80;
    four.pool = four.stats_index = p;
    DesiredVip& six = desired.vips.emplace_back(desired.vips.back());
    six.prefix = IpPrefix::of({{0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, static_cast<std::uint8_t>(p)}});
  }
  return ImageBuilder{}.build(desired);
}

// Makes an object's checksum fit its bytes again and tells `ref`; where it leaves the image, nothing is done.
void reseal(std::span<std::byte> image, ObjectRef& ref) {
  const std::uint64_t offset = std::uint64_t{ref.offset_units} * kObjectUnitBytes;
  if (ref.size_bytes < sizeof(ObjectHeader) || offset + ref.size_bytes > image.size()) return;
  const auto object = image.subspan(offset, ref.size_bytes);
  ref.checksum = object_checksum(object);
  std::memcpy(object.data(), &ref.checksum, sizeof ref.checksum);
}

// Checksums right from the leaves to the root: only what they vouch for is wrong.
void reseal_all(std::span<std::byte> image, RootWord word) {
  if (word.offset_bytes() + sizeof(GenerationRoot) > image.size()) return;
  auto& root = *reinterpret_cast<GenerationRoot*>(image.data() + word.offset_bytes());
  const std::uint64_t pools_at = std::uint64_t{root.pools.offset_units} * kObjectUnitBytes + kObjectUnitBytes;
  for (std::uint64_t at = pools_at;
       at + sizeof(PoolRecord) <= image.size() && at < pools_at + root.pools.size_bytes - kObjectUnitBytes;
       at += sizeof(PoolRecord)) {
    auto& pool = *reinterpret_cast<PoolRecord*>(image.data() + at);
    reseal(image, pool.slots);
    reseal(image, pool.backends);
    reseal(image, pool.quic);
  }
  for (ObjectRef* ref : {&root.vips, &root.index4, &root.index6, &root.directory, &root.outers, &root.pools})
    reseal(image, *ref);
  root.header.checksum = object_checksum(std::as_bytes(std::span(&root, 1)));
}

// A payload that names a backend or nearly does.
std::array<std::uint8_t, 24> quic_payload(Random& random) {
  std::array<std::uint8_t, 24> payload{};
  for (std::uint8_t& byte : payload) byte = static_cast<std::uint8_t>(random.below(256));
  payload[0] = 0x40;
  if (random.below(2) == 0) std::fill_n(payload.begin() + 2, 5, std::uint8_t{0});
  payload[2 + random.below(4)] = static_cast<std::uint8_t>(random.below(8));
  return payload;
}

const BackendRecord* slot_owner(const PoolView& pool, std::uint64_t hash) {
  const SlotEntry* entry = slot_entry(pool, hash);
  return entry != nullptr ? owner_of(pool, *entry) : nullptr;
}

std::uint64_t header_end(const OuterTemplate* outer) {
  return outer != nullptr ? outer->header[sizeof outer->header - 1] + outer->spare[sizeof outer->spare - 1] : 0U;
}

// Every kind of lookup; what comes back is read, so that a wild pointer would fault.
std::uint64_t look_everywhere(const TablesView& view, Random& random) {
  std::uint64_t sum = 0;
  const auto use_pool = [&](PoolId id) {
    const PoolView* pool = pool_view(view, id);
    if (pool == nullptr) return;
    for (int i = 0; i < 4; i++) {
      if (pool->slot_count > 0)
        if (const PastOwners* past = past_owners(*pool, slot_of(random.next(), pool->slot_count)); past != nullptr)
          for (const BackendId id_before : past->backends)
            if (const BackendRecord* before = backend_record(*pool, id_before); before != nullptr) sum += before->flags;
      for (const BackendRecord* backend :
           {slot_owner(*pool, random.next()), route_quic(*pool, quic_payload(random)).backend})
        if (backend != nullptr) sum += backend->port + header_end(outer_of(view, *backend));
    }
  };
  const auto use_match = [&](VipMatch match) {
    if (const VipRecord* vip = vip_record(view, match.vip)) sum += vip->spare;
    use_pool(match.pool);
  };
  for (std::uint32_t p = 0; p < 4; p++) {
    use_match(find_vip4(view, Be32::from_host(0xcb007100U + p), IpProto::tcp, Be16::from_host(80)));
    Block16 six{0x20, 1, 0xd, 0xb8};
    six[15] = static_cast<std::uint8_t>(p);
    use_match(find_vip6(view, six, IpProto::tcp, Be16::from_host(static_cast<std::uint16_t>(random.below(100)))));
    use_pool(static_cast<PoolId>(static_cast<std::uint16_t>(random.next())));
    use_pool(static_cast<PoolId>(p));
    const auto stats_index = static_cast<std::uint32_t>(random.below(8));
    if (const PoolView* pool = pool_view(view, static_cast<PoolId>(p)); pool != nullptr)
      if (const BackendRecord* found = living_backend(view, static_cast<PoolId>(p), *pool, stats_index);
          found != nullptr)
        sum += found->weight;
  }
  return sum;
}

class CorruptImage : public testing::Test {
 protected:
  CorruptImage() {
    auto writer = TablesWriter::create(kImageBytes);
    EXPECT_EQ(writer->publish(real_image()), PublishResult::published);
    std::memcpy(image_.bytes().data(), writer->memory().data(), kImageBytes);
    good_.assign(image_.bytes().begin(), image_.bytes().end());
    used_bytes_ = kImageBytes - writer->usage().free_bytes;
  }
  void restore() { std::memcpy(image_.bytes().data(), good_.data(), kImageBytes); }
  TablesError open(TablesView& view, const TablesView* before = nullptr) {
    pools_.resize(pool_count(image_.bytes(), image_.root()));
    return open_generation(image_.bytes(), image_.root(), pools_, before, view);
  }
  // One to four changes: a flipped bit, a random byte, or a number at the edge of its range.
  void corrupt(Random& random) {
    const std::uint32_t changes = 1 + random.below(4);
    for (std::uint32_t i = 0; i < changes; i++) {
      const std::uint32_t at = random.below(static_cast<std::uint32_t>(used_bytes_) - 8);
      std::byte* place = image_.bytes().data() + at;
      constexpr std::array<std::uint32_t, 6> kEdges{0, 1, 0x7fffffff, 0x80000000, 0xffffffff, kImageBytes / 64};
      switch (random.below(3)) {
        case 0:
          *place ^= static_cast<std::byte>(1U << random.below(8));
          break;
        case 1:
          *place = static_cast<std::byte>(random.below(256));
          break;
        default:
          std::memcpy(image_.bytes().data() + at / 4 * 4, &kEdges[random.below(kEdges.size())], 4);
      }
    }
  }

  GuardedImage image_;
  std::vector<std::byte> good_;
  std::size_t used_bytes_ = 0;
  std::vector<PoolView> pools_;
};

TEST_F(CorruptImage, IsRefusedOrTotal) {
  Random random(20261123);
  std::set<TablesError> seen;
  std::uint64_t opened = 0;
  std::uint64_t sum = 0;
  const std::uint64_t wanted = images_wanted();
  for (std::uint64_t i = 0; i < wanted; i++) {
    restore();
    corrupt(random);
    if (i % 4 != 0) reseal_all(image_.bytes(), image_.root());
    TablesView view;
    const TablesError error = open(view);
    seen.insert(error);
    if (error != TablesError::none) continue;
    opened++;
    sum += look_everywhere(view, random);
  }
  std::printf("%lu images: %lu opened, %zu kinds of answer, sum %lu\n", wanted, opened, seen.size(), sum);
  EXPECT_GE(seen.size(), 10U) << "the corruption does not reach the deeper checks";
  EXPECT_TRUE(seen.contains(TablesError::bad_quic));
  EXPECT_TRUE(seen.contains(TablesError::bad_outer));
  EXPECT_TRUE(seen.contains(TablesError::bad_backend));
}

struct QuicObject {
  QuicDecoders* decoders;
  QuicServerEntry* entries;
  ObjectHeader* header;
};

QuicObject quic_object(std::span<std::byte> image, RootWord word) {
  const auto& root = *reinterpret_cast<const GenerationRoot*>(image.data() + word.offset_bytes());
  const auto* pools = image.data() + std::uint64_t{root.pools.offset_units} * kObjectUnitBytes + kObjectUnitBytes;
  std::byte* object =
      image.data() + std::uint64_t{reinterpret_cast<const PoolRecord*>(pools)->quic.offset_units} * kObjectUnitBytes;
  return {reinterpret_cast<QuicDecoders*>(object + kObjectUnitBytes),
          reinterpret_cast<QuicServerEntry*>(object + elements_offset_bytes(ObjectKind::quic)),
          reinterpret_cast<ObjectHeader*>(object)};
}

TEST_F(CorruptImage, QuicObjectsThatCannotBeAreRefused) {
  using Change = void (*)(const QuicObject&);
  constexpr Change kChanges[] = {
      [](const QuicObject& quic) { quic.decoders->shapes[0].server_id_bytes = 16; },
      [](const QuicObject& quic) { quic.decoders->shapes[0].server_id_bytes = 0; },
      [](const QuicObject& quic) { quic.decoders->shapes[0].nonce_bytes = 255; },
      [](const QuicObject& quic) { quic.decoders->shapes[1].nonce_bytes = 14; },
      [](const QuicObject& quic) { quic.decoders->shapes[7].kind = static_cast<QuicLayoutKind>(7); },
      [](const QuicObject& quic) {
        quic.entries[0] = {katran_server_id(9), BackendId{5}};
      },
      [](const QuicObject& quic) { quic.header->probes_max = quic.header->count + 1; },
  };
  for (std::size_t i = 0; i < std::size(kChanges); i++) {
    restore();
    kChanges[i](quic_object(image_.bytes(), image_.root()));
    reseal_all(image_.bytes(), image_.root());
    TablesView view;
    EXPECT_EQ(open(view), TablesError::bad_quic) << "change " << i;
  }
}

TEST_F(CorruptImage, GoodOnesRouteSomeOfTheRandomPayloads) {
  Random random(4);
  TablesView view;
  ASSERT_EQ(open(view), TablesError::none);
  int named = 0;
  for (int i = 0; i < 1000; i++) named += route_quic(view.pools[0], quic_payload(random)).backend != nullptr ? 1 : 0;
  EXPECT_GT(named, 20);
}

TEST_F(CorruptImage, ChecksumsFindEveryFlippedBitOfTheTree) {
  Random random(1);
  std::uint64_t accepted = 0;
  for (std::size_t at = sizeof(TablesHeader); at < used_bytes_; at += 1 + random.below(7)) {
    restore();
    image_.bytes()[at] ^= static_cast<std::byte>(1U << random.below(8));
    TablesView view;
    if (open(view) == TablesError::none) accepted++;
  }
  // What no object covers is the padding behind each of the 12 objects, less than a unit each.
  EXPECT_LT(accepted, 12 * kObjectUnitBytes / 4);
}

TEST_F(CorruptImage, ScribblingAfterValidationMisdirectsAtMost) {
  Random random(2);
  TablesView view;
  ASSERT_EQ(open(view), TablesError::none);
  std::uint64_t sum = 0;
  for (std::uint64_t i = 0; i < images_wanted(); i++) {
    corrupt(random);
    sum += look_everywhere(view, random);
    if (i % 64 == 0) restore();
  }
  for (std::size_t i = 0; i < kImageBytes; i++) image_.bytes()[i] = static_cast<std::byte>(random.below(256));
  sum += look_everywhere(view, random);
  std::printf("sum %lu\n", sum);
}

TEST_F(CorruptImage, WhatTheViewBeforeSharesIsStillBounded) {
  Random random(3);
  TablesView before;
  ASSERT_EQ(open(before), TablesError::none);
  const std::vector<PoolView> pools_before = pools_;
  before.pools = pools_before;
  std::uint64_t sum = 0;
  for (std::uint64_t i = 0; i < images_wanted() / 4; i++) {
    restore();
    corrupt(random);
    TablesView view;
    if (open(view, &before) == TablesError::none) sum += look_everywhere(view, random);
  }
  std::printf("sum %lu\n", sum);
}

}  // namespace
}  // namespace guideway::shm
