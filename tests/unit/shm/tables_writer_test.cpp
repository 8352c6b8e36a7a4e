#include "common/shm/tables_writer.h"

#include <gtest/gtest.h>

#include <set>

#include "common/shm/image_bytes.h"
#include "common/shm/tables_reader.h"
#include "tests/shm/pattern.h"
#include "tests/shm/stats_region.h"

namespace guideway::shm {
namespace {

constexpr std::size_t kSegmentBytes = 1 << 20;

struct Opened {
  std::vector<PoolView> pools;
  TablesView view;
  TablesError error;
  explicit Opened(const TablesWriter& writer)
      : pools(pool_count(writer.memory(), writer.root())),
        error(open_generation(writer.memory(), writer.root(), pools, nullptr, view)) {}
};

std::set<std::uint32_t> offsets_of(const TablesView& view) {
  std::set<std::uint32_t> offsets{view.vips_ref.offset_units, view.index4_ref.offset_units,
                                  view.index6_ref.offset_units};
  for (const PoolView& pool : view.pools) {
    offsets.insert(pool.slots_ref.offset_units);
    offsets.insert(pool.backends_ref.offset_units);
  }
  return offsets;
}

std::unique_ptr<TablesWriter> writer_without_readers(std::size_t size_bytes = kSegmentBytes) {
  auto writer = TablesWriter::create(size_bytes);
  writer->set_reader_pins([] { return kPinNone; });
  return writer;
}

TEST(TablesWriter, PublishesWhatTheImageSays) {
  auto writer = writer_without_readers();
  EXPECT_TRUE(writer->root().empty());
  EXPECT_EQ(writer->publish(PatternBuilder().build({1, 2, 3})), PublishResult::published);
  const Opened opened(*writer);
  ASSERT_EQ(opened.error, TablesError::none) << to_text(opened.error);
  EXPECT_EQ(number(opened.view.generation), 1U);
  EXPECT_EQ(check_pattern(opened.view), "");
}

TEST(TablesWriter, AnImageWithoutNewsIsUnchanged) {
  auto writer = writer_without_readers();
  writer->publish(PatternBuilder().build({1, 2}));
  const auto used = writer->usage();
  EXPECT_EQ(writer->publish(PatternBuilder().build({1, 2})), PublishResult::unchanged);
  EXPECT_EQ(number(writer->generation()), 1U);
  EXPECT_EQ(writer->usage().free_bytes, used.free_bytes);
}

TEST(TablesWriter, AChangedPoolLeavesTheOthersWhereTheyAre) {
  auto writer = writer_without_readers();
  PatternBuilder builder;
  writer->publish(builder.build({1, 2, 3}));
  const Opened before(*writer);
  writer->publish(builder.build({1, 7, 3}));
  const Opened after(*writer);
  for (const std::size_t same : {0U, 2U}) {
    EXPECT_EQ(after.view.pools[same].slots_ref, before.view.pools[same].slots_ref);
    EXPECT_EQ(after.view.pools[same].backends_ref, before.view.pools[same].backends_ref);
  }
  EXPECT_NE(after.view.pools[1].slots_ref, before.view.pools[1].slots_ref);
  EXPECT_EQ(after.view.index4_ref, before.view.index4_ref);
  EXPECT_EQ(check_pattern(after.view), "");
}

TEST(TablesWriter, APoolKeepsItsPlaceWhenItMovesInTheList) {
  auto writer = writer_without_readers();
  writer->publish(PatternBuilder().build({1, 2, 3}));
  const Opened before(*writer);
  writer->publish(PatternBuilder().build({3, 2}));
  const Opened after(*writer);
  EXPECT_EQ(after.view.pools[0].slots_ref, before.view.pools[2].slots_ref);
  EXPECT_EQ(check_pattern(after.view), "");
}

TEST(TablesWriter, MemoryIsReusedOnlyAfterTheSlowestReader) {
  auto writer = TablesWriter::create(kSegmentBytes);
  std::uint64_t pin = 1;
  writer->set_reader_pins([&] { return pin; });
  PatternBuilder builder;
  writer->publish(builder.build({1}));
  const std::uint64_t free_before = writer->usage().free_bytes;
  writer->publish(builder.build({2}));
  writer->reclaim();
  EXPECT_GT(writer->usage().limbo_bytes, 0U);
  pin = kPinAttaching;
  writer->reclaim();
  EXPECT_GT(writer->usage().limbo_bytes, 0U);
  pin = 2;
  writer->reclaim();
  EXPECT_EQ(writer->usage().limbo_bytes, 0U);
  EXPECT_GT(writer->usage().free_bytes, free_before - 64 * 1024);
}

TEST(TablesWriter, NothingIsFreedBeforePinsAreSet) {
  auto writer = TablesWriter::create(kSegmentBytes);
  PatternBuilder builder;
  writer->publish(builder.build({1}));
  writer->publish(builder.build({2}));
  writer->reclaim();
  EXPECT_GT(writer->usage().limbo_bytes, 0U);
}

TEST(TablesWriter, NoRoomLeavesTheGenerationInForceAndPasses) {
  auto writer = TablesWriter::create(128 * 1024);
  std::uint64_t pin = 1;
  writer->set_reader_pins([&] { return pin; });
  PatternBuilder builder;
  PoolSeed seed = 1;
  while (writer->publish(builder.build({seed, seed + 1})) == PublishResult::published) seed++;
  const auto stuck = writer->usage();
  const Generation in_force = writer->generation();
  EXPECT_EQ(writer->publish(builder.build({seed, seed + 1})), PublishResult::no_room);
  EXPECT_EQ(writer->generation(), in_force);
  EXPECT_EQ(writer->usage().free_bytes, stuck.free_bytes);
  const Opened opened(*writer);
  EXPECT_EQ(opened.error, TablesError::none);
  EXPECT_EQ(check_pattern(opened.view), "");
  pin = number(in_force);
  EXPECT_EQ(writer->publish(builder.build({seed, seed + 1})), PublishResult::published);
}

TEST(TablesWriter, AnImageTooLargeForTheSegmentIsRefusedForGood) {
  auto writer = writer_without_readers(64 * 1024);
  PatternBuilder builder(65521);
  EXPECT_EQ(writer->publish(builder.build({1})), PublishResult::no_room);
  EXPECT_TRUE(writer->root().empty());
  EXPECT_EQ(writer->usage().live_bytes, 0U);
}

TEST(TablesWriter, SaysWhatAnImageTakes) {
  constexpr std::size_t kPageBytes = 4096;  // segments are of whole pages
  const TableImage image = PatternBuilder(65521).build({1, 2, 2, 3});
  const std::uint64_t bytes = segment_bytes_for(image);
  EXPECT_EQ(writer_without_readers(bytes - kPageBytes)->publish(image), PublishResult::no_room);
  auto writer = writer_without_readers(bytes);
  EXPECT_EQ(writer->publish(image), PublishResult::published);
  EXPECT_LT(writer->usage().largest_free_bytes, kPageBytes);
}

TEST(TablesWriter, GenerationsOfAReplacementCountOn) {
  const Generation before{41};
  auto writer = TablesWriter::create(kSegmentBytes, before);
  writer->set_reader_pins([] { return kPinNone; });
  for (const PoolSeed seed : {1U, 2U, 3U})
    EXPECT_EQ(writer->publish(PatternBuilder().build({seed})), PublishResult::published);
  const Opened opened(*writer);
  EXPECT_EQ(opened.error, TablesError::none) << to_text(opened.error);
  EXPECT_EQ(number(opened.view.generation), 44U);
  EXPECT_EQ(check_pattern(opened.view), "");
}

// Tables fill the segment to 70 %, of all sizes and in random order, with a reader that follows each generation. The
// array of pools is larger than any other object: the holes that there are must not end up too small for a new one.
TEST(TablesWriter, ManyPublishesNeitherLeakNorStall) {
  constexpr std::size_t kRoomyBytes = 2 << 20;
  auto writer = TablesWriter::create(kRoomyBytes);
  writer->set_reader_pins([&] { return number(writer->generation()); });
  PatternBuilder builder;
  Random random(20261123);
  std::vector<PoolSeed> seeds;
  unsigned retries_max = 0;
  for (int i = 0; i < 20000; i++) {
    const auto used = writer->usage();
    if (used.live_bytes < kRoomyBytes * 7 / 10 || seeds.empty())
      seeds.push_back(static_cast<PoolSeed>(random.next()));
    else
      seeds.erase(seeds.begin() + random.below(static_cast<std::uint32_t>(seeds.size())));
    if (!seeds.empty())
      seeds[random.below(static_cast<std::uint32_t>(seeds.size()))] = static_cast<PoolSeed>(random.next());
    const TableImage image = builder.build(seeds);
    unsigned retries = 0;
    while (writer->publish(image) == PublishResult::no_room && retries < 100) retries++;
    ASSERT_LT(retries, 100U) << "stalled after " << i << " publishes with " << used.free_bytes << " bytes free";
    retries_max = std::max(retries_max, retries);
  }
  const Opened opened(*writer);
  EXPECT_EQ(check_pattern(opened.view), "");
  writer->reclaim();
  const auto used = writer->usage();
  EXPECT_EQ(used.limbo_bytes, 0U);
  EXPECT_EQ(used.live_bytes + used.free_bytes + sizeof(TablesHeader), used.size_bytes);
  EXPECT_GT(used.relocations, 0U);
  RecordProperty("relocations", static_cast<int>(used.relocations));
  RecordProperty("retries_max", static_cast<int>(retries_max));
}

TEST(TablesWriter, ASecondWriterIsRefusedWithAReason) {
  auto writer = writer_without_readers();
  std::string why;
  EXPECT_EQ(TablesWriter::attach(writer->read_only_descriptor(), why), nullptr);
  EXPECT_NE(why.find("another control plane is writing them"), std::string::npos) << why;
}

TEST(TablesWriter, ASuccessorCarriesOnWithWhatItFinds) {
  auto writer = writer_without_readers();
  PatternBuilder builder;
  writer->publish(builder.build({1, 2, 3}));
  const auto before = offsets_of(Opened(*writer).view);
  const Descriptor custody = writer->read_only_descriptor();
  writer.reset();

  std::string why;
  auto successor = TablesWriter::attach(custody, why);
  ASSERT_NE(successor, nullptr) << why;
  EXPECT_EQ(number(successor->generation()), 1U);
  EXPECT_EQ(successor->publish(builder.build({1, 2, 3})), PublishResult::unchanged);
  // Readers may still be at any earlier generation: there is no room until they say that they are not.
  EXPECT_EQ(successor->usage().free_bytes, 0U);
  EXPECT_EQ(successor->publish(builder.build({1, 2, 4})), PublishResult::no_room);
  successor->set_reader_pins([] { return std::uint64_t{1}; });
  EXPECT_EQ(successor->publish(builder.build({1, 2, 4})), PublishResult::published);
  EXPECT_EQ(number(successor->generation()), 2U);
  const Opened opened(*successor);
  EXPECT_EQ(check_pattern(opened.view), "");
  EXPECT_TRUE(before.contains(opened.view.pools[0].slots_ref.offset_units));
}

TEST(TablesWriter, ASuccessorOfAWriterThatPublishedNothingStartsAtOnce) {
  auto writer = writer_without_readers();
  const Descriptor custody = writer->read_only_descriptor();
  writer.reset();
  std::string why;
  auto successor = TablesWriter::attach(custody, why);
  ASSERT_NE(successor, nullptr) << why;
  EXPECT_EQ(successor->publish(PatternBuilder().build({1})), PublishResult::published);
}

}  // namespace
}  // namespace guideway::shm
