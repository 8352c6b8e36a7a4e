#include "common/shm/segment_memory.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include <csignal>

#include "common/shm/unit_allocator.h"
#include "tests/shm/pattern.h"

namespace guideway::shm {
namespace {

TEST(SegmentMemory, CanNeitherShrinkNorGrow) {
  const Descriptor fd = create_sealed_memory("test", 5000);
  EXPECT_TRUE(is_sealed(fd));
  EXPECT_EQ(memory_bytes(fd), 8192U);
  EXPECT_NE(ftruncate(fd.get(), 4096), 0);
  EXPECT_NE(ftruncate(fd.get(), 16384), 0);
  EXPECT_NE(fcntl(fd.get(), F_ADD_SEALS, F_SEAL_WRITE), 0);
}

TEST(SegmentMemory, BelongsToItsUserOnly) {
  const Descriptor fd = create_sealed_memory("test", 4096);
  struct stat status {};
  ASSERT_EQ(fstat(fd.get(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
  EXPECT_NE(fcntl(fd.get(), F_GETFD) & FD_CLOEXEC, 0);
}

TEST(SegmentMemory, AReadOnlyDescriptorDoesNotWrite) {
  const Descriptor fd = create_sealed_memory("test", 4096);
  const Descriptor shown = reopen(fd, Access::read_only);
  EXPECT_FALSE(map_whole(shown, Access::read_write).valid());
  const Mapping reader = map_whole(shown, Access::read_only);
  const Mapping writer = map_whole(fd, Access::read_write);
  ASSERT_TRUE(reader.valid() && writer.valid());
  writer.bytes()[7] = std::byte{42};
  EXPECT_EQ(reader.bytes()[7], std::byte{42});
}

// SIGHUP reloads, and a reload may make a segment.
TEST(SegmentMemory, IsReservedThoughSignalsCome) {
  struct sigaction noted {};
  noted.sa_handler = [](int) {};
  struct sigaction before {};
  ASSERT_EQ(sigaction(SIGALRM, &noted, &before), 0);
  for (int ms = 1; ms <= 5; ms++) {
    const itimerval once{{}, {0, 1000 * ms}};
    ASSERT_EQ(setitimer(ITIMER_REAL, &once, nullptr), 0);
    EXPECT_NO_THROW(create_sealed_memory("test", 64 << 20)) << ms << " ms";
  }
  ASSERT_EQ(sigaction(SIGALRM, &before, nullptr), 0);
}

// A large page can only be where address and offset are multiples of its size.
TEST(SegmentMemory, BeginsWhereALargePageCan) {
  constexpr std::size_t kLargePageBytes = std::size_t{2} << 20;
  for (const std::size_t bytes : {kLargePageBytes, 2 * kLargePageBytes + 1, 3 * kLargePageBytes}) {
    const Descriptor memory = create_sealed_memory("large", bytes);
    for (const Access access : {Access::read_write, Access::read_only}) {
      const Mapping mapping = map_whole(memory, access);
      ASSERT_TRUE(mapping.valid()) << bytes;
      EXPECT_EQ(reinterpret_cast<std::uintptr_t>(mapping.bytes().data()) % kLargePageBytes, 0U) << bytes;
      EXPECT_EQ(mapping.bytes().size(), memory_bytes(memory)) << bytes;
      EXPECT_EQ(mapping.bytes().back(), std::byte{0}) << bytes;
    }
  }
}

TEST(SegmentMemory, DescriptorsMoveAndClose) {
  Descriptor first = create_sealed_memory("test", 4096);
  const int number = first.get();
  Descriptor second = std::move(first);
  EXPECT_EQ(second.get(), number);
  second = {};
  EXPECT_EQ(fcntl(number, F_GETFD), -1);
}

TEST(UnitAllocator, TakesTheSmallestHoleThatFitsAndJoinsNeighbours) {
  UnitAllocator space({10, 100});
  const auto a = space.allocate(10);
  const auto b = space.allocate(20);
  const auto c = space.allocate(10);
  ASSERT_TRUE(a && b && c);
  space.release(*b);
  EXPECT_EQ(space.allocate(15)->offset_units, b->offset_units);
  space.release({b->offset_units, 15});
  space.release(*a);
  EXPECT_EQ(space.holes().begin()->second, 30U);
  space.release(*c);
  EXPECT_EQ(space.largest_units(), 100U);
  EXPECT_EQ(space.free_units(), 100U);
}

TEST(UnitAllocator, RefusesWhatIsNotFree) {
  UnitAllocator space({10, 100});
  EXPECT_FALSE(space.allocate(101));
  EXPECT_FALSE(space.take({5, 10}));
  EXPECT_FALSE(space.take({105, 10}));
  EXPECT_TRUE(space.take({20, 10}));
  EXPECT_FALSE(space.take({25, 10}));
  EXPECT_FALSE(space.allocate_below(11, 20));
  EXPECT_EQ(space.allocate_below(10, 20)->offset_units, 10U);
}

// Against the simplest model: a flag per unit.
TEST(UnitAllocator, AgreesWithAMapOfUnits) {
  constexpr std::uint32_t kUnits = 500;
  UnitAllocator space({0, kUnits});
  std::vector<bool> used(kUnits);
  std::vector<Extent> held;
  Random random(7);
  for (int i = 0; i < 20000; i++) {
    if (held.empty() || random.below(2) == 0) {
      const std::uint32_t units = 1 + random.below(40);
      const auto part = random.below(2) == 0 ? space.allocate(units) : space.allocate_below(units, kUnits);
      if (!part) continue;
      for (std::uint32_t u = part->offset_units; u < part->end(); u++) {
        ASSERT_FALSE(used[u]);
        used[u] = true;
      }
      held.push_back(*part);
    } else {
      std::swap(held[random.below(static_cast<std::uint32_t>(held.size()))], held.back());
      for (std::uint32_t u = held.back().offset_units; u < held.back().end(); u++) used[u] = false;
      space.release(held.back());
      held.pop_back();
    }
    ASSERT_EQ(space.free_units(), static_cast<std::uint64_t>(std::count(used.begin(), used.end(), false)));
  }
}

}  // namespace
}  // namespace guideway::shm
