#include "common/shm/tables_reader.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>

#include "common/shm/tables_writer.h"
#include "tests/shm/pattern.h"
#include "tests/shm/stats_region.h"

namespace guideway::shm {
namespace {

constexpr std::size_t kSegmentBytes = 512 << 10;

// A data plane of two workers, and writers that it may follow.
class GatekeeperTest : public testing::Test {
 protected:
  std::unique_ptr<TablesWriter> make_writer() {
    auto writer = TablesWriter::create(kSegmentBytes);
    writer->set_reader_pins([this] { return oldest_pin(stats()); });
    return writer;
  }
  StatsHeader& stats() { return region_.header(); }
  std::uint64_t pin_of(std::uint32_t w) { return stats_of(stats(), WorkerId{w}).block->pin; }

  StatsRegion region_{2};
  Gatekeeper gatekeeper_{region_.header()};
  PatternBuilder builder_;
};

TEST_F(GatekeeperTest, WorkersFollowWhatItAdopted) {
  auto writer = make_writer();
  EXPECT_EQ(gatekeeper_.attach(writer->read_only_descriptor()), AttachError::none);
  auto worker = gatekeeper_.worker(WorkerId{0});
  EXPECT_EQ(worker.follow(), nullptr);
  EXPECT_EQ(oldest_pin(stats()), kPinNone);

  writer->publish(builder_.build({1, 2}));
  EXPECT_EQ(worker.follow(), nullptr) << "not before the gatekeeper looked";
  EXPECT_TRUE(gatekeeper_.poll());
  EXPECT_FALSE(gatekeeper_.poll());
  const TablesView* view = worker.follow();
  ASSERT_NE(view, nullptr);
  EXPECT_EQ(check_pattern(*view), "");
  EXPECT_EQ(stats().active_generation, 1U);
  EXPECT_EQ(stats().gatekeeper_pin, 1U);
  EXPECT_EQ(pin_of(0), 1U);
  EXPECT_TRUE(gatekeeper_.all_workers_follow());
}

TEST_F(GatekeeperTest, TheSlowestWorkerHoldsTheOldestPin) {
  auto writer = make_writer();
  writer->publish(builder_.build({1}));
  gatekeeper_.attach(writer->read_only_descriptor());
  auto slow = gatekeeper_.worker(WorkerId{0});
  auto quick = gatekeeper_.worker(WorkerId{1});
  const TablesView* old_view = slow.follow();
  writer->publish(builder_.build({2}));
  gatekeeper_.poll();
  quick.follow();
  EXPECT_EQ(pin_of(1), 2U);
  EXPECT_EQ(oldest_pin(stats()), 1U);
  EXPECT_FALSE(gatekeeper_.all_workers_follow());
  writer->reclaim();
  EXPECT_GT(writer->usage().limbo_bytes, 0U);
  gatekeeper_.poll();
  EXPECT_EQ(check_pattern(*old_view), "") << "a view in use stays readable";
  slow.follow();
  EXPECT_TRUE(gatekeeper_.all_workers_follow());
  writer->reclaim();
  EXPECT_EQ(writer->usage().limbo_bytes, 0U);
}

TEST_F(GatekeeperTest, AWorkerThatDetachedHoldsNothing) {
  auto writer = make_writer();
  writer->publish(builder_.build({1}));
  gatekeeper_.attach(writer->read_only_descriptor());
  auto worker = gatekeeper_.worker(WorkerId{0});
  worker.follow();
  worker.detach();
  EXPECT_EQ(pin_of(0), kPinNone);
  writer->publish(builder_.build({2}));
  gatekeeper_.poll();
  EXPECT_TRUE(gatekeeper_.all_workers_follow());
  EXPECT_EQ(oldest_pin(stats()), 2U);
  EXPECT_EQ(check_pattern(*worker.follow()), "") << "and may come back";
}

TEST_F(GatekeeperTest, ACorruptGenerationIsRefusedAndAGoodOneAfterItAdopted) {
  auto writer = make_writer();
  writer->publish(builder_.build({1}));
  gatekeeper_.attach(writer->read_only_descriptor());
  auto worker = gatekeeper_.worker(WorkerId{0});
  worker.follow();

  writer->publish(builder_.build({2}));
  const auto corrupt = map_whole(writer->descriptor(), Access::read_write);
  std::byte& first = corrupt.bytes()[writer->root().offset_bytes() + sizeof(ObjectHeader)];
  first ^= std::byte{1};
  EXPECT_FALSE(gatekeeper_.poll());
  EXPECT_EQ(number(worker.follow()->generation), 1U);
  EXPECT_EQ(check_pattern(*worker.follow()), "");
  EXPECT_EQ(stats().rejected_generation, 2U);
  EXPECT_EQ(get_text(stats().rejected_reason), to_text(TablesError::bad_checksum));
  EXPECT_EQ(oldest_pin(stats()), 1U);

  writer->publish(builder_.build({3}));
  EXPECT_TRUE(gatekeeper_.poll());
  EXPECT_EQ(number(worker.follow()->generation), 3U);
  EXPECT_EQ(check_pattern(*worker.follow()), "");
}

TEST_F(GatekeeperTest, ARootThatGoesBackIsRefused) {
  auto writer = make_writer();
  writer->publish(builder_.build({1}));
  const RootWord old_root = writer->root();
  gatekeeper_.attach(writer->read_only_descriptor());
  writer->publish(builder_.build({2}));
  EXPECT_TRUE(gatekeeper_.poll());
  const auto mad = map_whole(writer->descriptor(), Access::read_write);
  reinterpret_cast<TablesHeader*>(mad.bytes().data())->root.store(old_root.value);
  EXPECT_FALSE(gatekeeper_.poll());
  EXPECT_EQ(number(gatekeeper_.active()->generation), 2U);
  EXPECT_EQ(get_text(stats().rejected_reason), to_text(TablesError::generation_not_newer));
}

TEST_F(GatekeeperTest, AReplacementWithLowerGenerationsTakesOver) {
  auto old_writer = make_writer();
  for (const PoolSeed seed : {1U, 2U, 3U}) old_writer->publish(builder_.build({seed}));
  gatekeeper_.attach(old_writer->read_only_descriptor());
  auto slow = gatekeeper_.worker(WorkerId{0});
  auto quick = gatekeeper_.worker(WorkerId{1});
  const TablesView* old_view = slow.follow();
  quick.follow();
  EXPECT_EQ(number(old_view->generation), 3U);

  old_writer.reset();
  auto writer = make_writer();
  EXPECT_EQ(gatekeeper_.attach(writer->read_only_descriptor()), AttachError::none);
  gatekeeper_.poll();
  EXPECT_EQ(slow.follow(), old_view) << "in force until the replacement has published";
  EXPECT_EQ(stats().gatekeeper_pin, 3U);

  writer->publish(builder_.build({4}));
  EXPECT_TRUE(gatekeeper_.poll());
  EXPECT_EQ(number(quick.follow()->generation), 1U);
  EXPECT_EQ(check_pattern(*quick.follow()), "");
  EXPECT_EQ(oldest_pin(stats()), 1U);
  EXPECT_FALSE(gatekeeper_.all_workers_follow());
  EXPECT_EQ(check_pattern(*old_view), "") << "its mapping stays while a worker uses it";
  slow.follow();
  gatekeeper_.poll();
  EXPECT_TRUE(gatekeeper_.all_workers_follow());
}

// The same number in both segments must not make a view of the old one look followed.
TEST_F(GatekeeperTest, EqualGenerationsOfTwoSegmentsAreNotMixedUp) {
  auto old_writer = make_writer();
  old_writer->publish(builder_.build({1}));
  gatekeeper_.attach(old_writer->read_only_descriptor());
  auto worker = gatekeeper_.worker(WorkerId{0});
  const TablesView* old_view = worker.follow();
  auto writer = make_writer();
  writer->publish(builder_.build({2}));
  gatekeeper_.attach(writer->read_only_descriptor());
  EXPECT_FALSE(gatekeeper_.all_workers_follow());
  gatekeeper_.poll();
  EXPECT_EQ(check_pattern(*old_view), "");
  EXPECT_EQ(worker.follow()->config_digest, gatekeeper_.active()->config_digest);
}

TEST_F(GatekeeperTest, TheSameMemoryOfferedAgainChangesNothing) {
  auto writer = make_writer();
  writer->publish(builder_.build({1}));
  gatekeeper_.attach(writer->read_only_descriptor());
  const TablesView* view = gatekeeper_.active();
  EXPECT_EQ(gatekeeper_.attach(writer->read_only_descriptor()), AttachError::none);
  EXPECT_EQ(gatekeeper_.active(), view);
}

// ---- Why a segment is refused --------------------------------------------------------------------------------------

// A sealed segment of one page that begins like a good one, with something changed.
Descriptor segment_with(const std::function<void(TablesHeader&)>& change) {
  Descriptor fd = create_sealed_memory("test", 4096);
  const auto mapping = map_whole(fd, Access::read_write);
  auto& header = *reinterpret_cast<TablesHeader*>(mapping.bytes().data());
  header.segment.magic = kSegmentMagic;
  header.segment.kind = SegmentKind::tables;
  header.segment.layout_version = kTablesLayoutVersion;
  header.segment.layout_hash = tables_layout_hash();
  header.segment.size_bytes = 4096;
  change(header);
  return fd;
}

using AttachRefusals = GatekeeperTest;

TEST_F(AttachRefusals, NothingWrongIsAttached) {
  EXPECT_EQ(gatekeeper_.attach(segment_with([](TablesHeader&) {})), AttachError::none);
}

TEST_F(AttachRefusals, EachHasItsName) {
  const struct {
    AttachError expected;
    std::function<void(TablesHeader&)> change;
  } cases[] = {
      {AttachError::not_ready, [](TablesHeader& h) { h.segment.magic = 0; }},
      {AttachError::bad_magic, [](TablesHeader& h) { h.segment.magic = 1; }},
      {AttachError::wrong_kind, [](TablesHeader& h) { h.segment.kind = SegmentKind::stats; }},
      {AttachError::version_mismatch, [](TablesHeader& h) { h.segment.layout_version++; }},
      {AttachError::layout_mismatch, [](TablesHeader& h) { h.segment.layout_hash ^= 1; }},
      {AttachError::truncated, [](TablesHeader& h) { h.segment.size_bytes = 4097; }},
      {AttachError::truncated, [](TablesHeader& h) { h.segment.size_bytes = 127; }},
      {AttachError::bad_root, [](TablesHeader& h) { h.root = RootWord::make(Generation{1}, 1024).value; }},
      {AttachError::bad_root, [](TablesHeader& h) { h.root = ~std::uint64_t{0}; }},
  };
  for (const auto& test : cases)
    EXPECT_EQ(gatekeeper_.attach(segment_with(test.change)), test.expected) << to_text(test.expected);
  EXPECT_FALSE(gatekeeper_.custody().valid());
}

TEST_F(AttachRefusals, MemoryThatCouldShrinkIsNotSealed) {
  const int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  ASSERT_EQ(ftruncate(fd, 4096), 0);
  EXPECT_EQ(gatekeeper_.attach(Descriptor(fd)), AttachError::not_sealed);
  EXPECT_EQ(gatekeeper_.attach(Descriptor(open("/dev/null", O_RDWR | O_CLOEXEC))), AttachError::not_sealed);
}

TEST_F(AttachRefusals, MemoryWithoutEndIsTooLarge) {
  Descriptor fd(memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  ASSERT_EQ(ftruncate(fd.get(), off_t{1} << 40), 0);
  ASSERT_EQ(fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL), 0);
  EXPECT_EQ(gatekeeper_.attach(std::move(fd)), AttachError::too_large);
}

TEST_F(AttachRefusals, ARefusedSegmentLeavesCustodyAndViewAlone) {
  auto writer = make_writer();
  writer->publish(builder_.build({1}));
  gatekeeper_.attach(writer->read_only_descriptor());
  const int custody = gatekeeper_.custody().get();
  const TablesView* view = gatekeeper_.active();
  EXPECT_EQ(gatekeeper_.attach(segment_with([](TablesHeader& h) { h.root = ~std::uint64_t{0}; })),
            AttachError::bad_root);
  EXPECT_EQ(gatekeeper_.custody().get(), custody);
  EXPECT_EQ(stats().gatekeeper_pin, 1U);
  writer->publish(builder_.build({2}));
  EXPECT_TRUE(gatekeeper_.poll());
  EXPECT_NE(gatekeeper_.active(), view);
}

TEST(WriterRefusals, EachIsASentence) {
  const struct {
    const char* expected;
    std::function<void(TablesHeader&)> change;
  } cases[] = {
      {"not ready", [](TablesHeader& h) { h.segment.magic = 0; }},
      {"version mismatch", [](TablesHeader& h) { h.segment.layout_version++; }},
      {"does not fit", [](TablesHeader& h) { h.root = ~std::uint64_t{0}; }},
  };
  for (const auto& test : cases) {
    std::string why;
    EXPECT_EQ(TablesWriter::attach(segment_with(test.change), why), nullptr);
    EXPECT_NE(why.find(test.expected), std::string::npos) << why;
    EXPECT_EQ(why.find("cannot carry on with the tables in shared memory: "), 0U) << why;
  }
}

}  // namespace
}  // namespace guideway::shm
