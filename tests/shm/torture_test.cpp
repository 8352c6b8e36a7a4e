// SIGKILL at random moments, for writers and readers, while readers verify all they use; then the same readers against
// writers with a seeded bug each, which they must catch.
//
//   GUIDEWAY_TORTURE_KILLS=10000 GUIDEWAY_TORTURE_SEED=7 build/tests/shm/shm_torture

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "tests/shm/torture.h"

namespace guideway::shm {
namespace {

constexpr std::size_t kSegmentBytes = 1 << 20;

std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
}
std::uint64_t torture_seed() {
  return from_environment("GUIDEWAY_TORTURE_SEED", 20261123);
}

TEST(Torture, KilledWritersAndReadersLeaveWholeGenerations) {
  const std::uint64_t kills_wanted = from_environment("GUIDEWAY_TORTURE_KILLS", 250);
  Torture torture(kSegmentBytes, torture_seed());
  Notes& notes = torture.notes();
  Random random(torture_seed());
  std::uint64_t kills_mid_publish = 0;
  std::uint64_t reader_kills = 0;
  pid_t reader = torture.start_reader();
  // On a busy machine fewer kills hit a publish: it goes on until a tenth of those wanted did.
  const std::uint64_t kills_max = 4 * kills_wanted;
  std::uint64_t kills = 0;
  for (; (kills < kills_wanted || kills_mid_publish <= kills_wanted / 10) && kills < kills_max; kills++) {
    if (!torture.complaint().empty()) break;
    const std::uint64_t published_before = notes.published;
    const pid_t writer = torture.start_writer(random.next());
    // Most are killed at work; some before they have attached.
    if (kills % 8 != 0) torture.wait_until([&] { return notes.published > published_before; }, 2000);
    usleep(random.below(1500));
    // Every second one within a publish, at a random point of it.
    if (kills % 2 == 0) torture.wait_for_publish_and(random.below(20000));
    torture.end(writer);
    kills_mid_publish += notes.publishing.exchange(0);
    if (kills % 20 == 19) {
      torture.end_reader(reader);
      reader = torture.start_reader();
      reader_kills++;
    }
  }
  // After all that, a writer and a reader still find each other.
  const pid_t writer = torture.start_writer(random.next());
  const std::uint64_t published = notes.published;
  EXPECT_TRUE(torture.wait_until([&] { return notes.published > published + 10 && notes.reader_follows > 0; }, 10000));
  torture.end(writer);
  torture.end_reader(reader);
  std::printf("seed %lu: %lu kills of writers (%lu mid-publish), %lu kills of readers, %lu generations, %lu checks\n",
              torture_seed(), kills, kills_mid_publish, reader_kills, notes.published.load(), notes.checks.load());
  EXPECT_EQ(torture.complaint(), "");
  EXPECT_GT(kills_mid_publish, kills_wanted / 10);
  EXPECT_GT(notes.checks, kills_wanted);
}

// ---- Seeded bugs: each must be caught, or the torture proves nothing -----------------------------------------------

constexpr int kCaughtWithinMs = 60000;  // seconds at most, but for a build with sanitizers on a busy machine

// Runs a writer against a verifying reader until the reader complains.
std::string complaint_about(const std::function<pid_t(Torture&)>& start_writer) {
  Torture torture(kSegmentBytes, torture_seed());
  const pid_t reader = torture.start_reader();
  torture.wait_until([&] { return torture.notes().reader_follows > 0; }, kCaughtWithinMs);
  const pid_t writer = start_writer(torture);
  torture.wait_until([] { return false; }, kCaughtWithinMs);
  torture.end(writer);
  torture.end_reader(reader);
  return torture.complaint();
}

TEST(TortureBites, AWriterWithoutGracePeriodIsCaught) {
  EXPECT_NE(complaint_about(
                [](Torture& torture) { return torture.start_writer(1, [](const StatsHeader&) { return kPinNone; }); }),
            "");
}

TEST(TortureBites, AWriterThatForgetsTheWorkersIsCaught) {
  EXPECT_NE(complaint_about([](Torture& torture) {
              return torture.start_writer(1, [](const StatsHeader& stats) { return stats.gatekeeper_pin.load(); });
            }),
            "");
}

// Writes a generation that a real writer made in a segment of its own into the public one, in an order of its choice.
class Copier {
 public:
  Copier(Torture& torture, std::function<void(std::byte*, const TablesWriter&)> copy)
      : torture_(torture), copy_(std::move(copy)) {}
  void run() {
    const Descriptor fd = reopen(torture_.custody(), Access::read_write);
    const Mapping target = map_whole(fd, Access::read_write);
    auto source = TablesWriter::create(kSegmentBytes);
    source->set_reader_pins([&] { return torture_.reader_pin(oldest_pin); });
    source->publish(torture_.images()[0]);  // what the public segment holds already
    for (std::size_t i = 1; torture_.notes().stop == 0; i++) {
      if (source->publish(torture_.images()[i % torture_.images().size()]) != PublishResult::published) continue;
      copy_(target.bytes().data(), *source);
      torture_.notes().published++;
      usleep(100);
    }
  }

  static std::atomic<std::uint64_t>& root_of(std::byte* target) {
    return reinterpret_cast<TablesHeader*>(target)->root;
  }
  static void copy_objects(std::byte* target, const TablesWriter& source) {
    std::memcpy(target + sizeof(TablesHeader), source.memory().data() + sizeof(TablesHeader),
                source.memory().size() - sizeof(TablesHeader));
  }

 private:
  Torture& torture_;
  std::function<void(std::byte*, const TablesWriter&)> copy_;
};

pid_t start_copier(Torture& torture, std::function<void(std::byte*, const TablesWriter&)> copy) {
  return torture.start([&torture, copy = std::move(copy)] { Copier(torture, copy).run(); });
}

// The control: the copier itself is not what the others are caught for.
TEST(TortureBites, ACopierInTheRightOrderIsNotCaught) {
  Torture torture(kSegmentBytes, torture_seed());
  const pid_t reader = torture.start_reader();
  const pid_t writer = start_copier(torture, [](std::byte* target, const TablesWriter& source) {
    Copier::copy_objects(target, source);
    Copier::root_of(target).store(source.root().value, std::memory_order_seq_cst);
  });
  torture.wait_until([&] { return torture.notes().published > 200 && torture.notes().reader_follows > 100; }, 10000);
  torture.end(writer);
  torture.end_reader(reader);
  EXPECT_EQ(torture.complaint(), "");
  EXPECT_GT(torture.notes().reader_follows, 1U);
}

TEST(TortureBites, AWriterThatStoresTheRootFirstIsCaught) {
  EXPECT_NE(complaint_about([](Torture& torture) {
              return start_copier(torture, [](std::byte* target, const TablesWriter& source) {
                Copier::root_of(target).store(source.root().value, std::memory_order_seq_cst);
                Copier::copy_objects(target, source);
              });
            }),
            "");
}

TEST(TortureBites, AWriterThatChangesAnObjectInPlaceIsCaught) {
  EXPECT_NE(complaint_about([](Torture& torture) {
              return start_copier(torture, [slot = 0U](std::byte* target, const TablesWriter&) mutable {
                // One slot of one pool, as "only a weight changed" would have it.
                auto bytes = std::span<std::byte>(target, kSegmentBytes);
                const RootWord word{Copier::root_of(target).load()};
                std::vector<PoolView> pools(pool_count(bytes, word));
                TablesView view;
                if (open_generation(bytes, word, pools, nullptr, view) != TablesError::none) return;
                auto* slots = const_cast<SlotEntry*>(pools[0].slots);
                slots[++slot % pools[0].slot_count] = 0;
              });
            }),
            "");
}

}  // namespace
}  // namespace guideway::shm
