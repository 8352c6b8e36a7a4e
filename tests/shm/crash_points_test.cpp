// Every instruction of a publish as a crash point: the writer runs single-stepped under ptrace, and each distinct state
// that it leaves in the segment is handed to a successor, which must find a whole generation (the one before or the one
// after) and be able to carry on. Production code needs no hooks for it.

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstring>

#include "common/shm/tables_writer.h"
#include "tests/shm/pattern.h"

namespace guideway::shm {
namespace {

constexpr std::size_t kSegmentBytes = 16 << 10;

struct Stepped {
  std::uint64_t instructions = 0;
  std::uint64_t images = 0;
  std::uint64_t before = 0;  // images whose root still led to the generation before
};

class CrashPoints : public testing::Test {
 protected:
  CrashPoints() {
    // Each step is two switches between two processes; on a busy machine each would wait in line.
    const sched_param first{.sched_priority = 1};
    sched_setscheduler(0, SCHED_FIFO, &first);
  }
  // Stops itself around one call of `publish`, which the parent steps through.
  static void run_stepped(const Descriptor& memory, const TableImage& image) {
    std::string why;
    auto writer = TablesWriter::attach(memory, why);
    if (!writer) _exit(1);
    writer->set_reader_pins([] { return kPinNone; });
    writer->reclaim();
    ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
    raise(SIGSTOP);
    const bool published = writer->publish(image) == PublishResult::published;
    raise(SIGUSR1);
    _exit(published ? 0 : 2);
  }

  // What a successor makes of `image`; empty if all is well.
  static std::string recover(std::span<const std::byte> image, const TableImage& next, Generation& found) {
    const Descriptor memory = create_sealed_memory("crash-point", image.size());
    const Mapping mapping = map_whole(memory, Access::read_write);
    std::memcpy(mapping.bytes().data(), image.data(), image.size());
    std::string why;
    auto successor = TablesWriter::attach(memory, why);
    if (!successor) return why;
    found = successor->generation();
    successor->set_reader_pins([] { return kPinNone; });
    const PublishResult result = successor->publish(next);
    if (result == PublishResult::no_room) return "the successor finds no room";
    std::vector<PoolView> pools(pool_count(successor->memory(), successor->root()));
    TablesView view;
    if (const auto e = open_generation(successor->memory(), successor->root(), pools, nullptr, view);
        e != TablesError::none)
      return to_text(e);
    return check_pattern(view);
  }

  static Stepped step_through(const Descriptor& memory, const TableImage& image, const TableImage& next) {
    Stepped stepped;
    const pid_t writer = fork();
    if (writer == 0) run_stepped(memory, image);
    int status = 0;
    waitpid(writer, &status, 0);
    EXPECT_TRUE(WIFSTOPPED(status)) << "the writer could not attach";
    const Mapping segment = map_whole(memory, Access::read_only);
    std::vector<std::byte> last(segment.bytes().begin(), segment.bytes().end());
    std::string wrong;
    while (wrong.empty()) {
      ptrace(PTRACE_SINGLESTEP, writer, nullptr, nullptr);
      waitpid(writer, &status, 0);
      if (!WIFSTOPPED(status) || WSTOPSIG(status) != SIGTRAP) break;
      stepped.instructions++;
      if (std::memcmp(last.data(), segment.bytes().data(), last.size()) == 0) continue;
      last.assign(segment.bytes().begin(), segment.bytes().end());
      stepped.images++;
      Generation found{};
      wrong = recover(last, next, found);
      if (number(found) == 1) stepped.before++;
    }
    EXPECT_EQ(wrong, "") << "after instruction " << stepped.instructions;
    EXPECT_TRUE(WIFSTOPPED(status) && WSTOPSIG(status) == SIGUSR1) << "the writer did not come to the end";
    kill(writer, SIGKILL);
    waitpid(writer, nullptr, 0);
    std::printf("%lu instructions, %lu distinct images, %lu of them before the root moved\n", stepped.instructions,
                stepped.images, stepped.before);
    return stepped;
  }

  // A segment in which `image` is in force, without its writer.
  static Descriptor left_behind(const TableImage& image) {
    auto writer = TablesWriter::create(kSegmentBytes);
    writer->publish(image);
    return writer->read_only_descriptor();
  }
};

TEST_F(CrashPoints, OfAPublishThatChangesOnePoolOfTwo) {
  PatternBuilder builder(127);
  const Descriptor memory = left_behind(builder.build({1, 2}));
  const TableImage changed = builder.build({1, 3});
  const Stepped stepped = step_through(memory, changed, builder.build({4, 3}));
  EXPECT_GT(stepped.images, 30U);
  EXPECT_GE(stepped.before + 1, stepped.images) << "the root is the last thing that is stored";
}

TEST_F(CrashPoints, OfTheFirstPublish) {
  PatternBuilder builder(127);
  auto writer = TablesWriter::create(kSegmentBytes);
  const Descriptor memory = writer->read_only_descriptor();
  writer.reset();
  const TableImage first = builder.build({1});
  const Stepped stepped = step_through(memory, first, builder.build({2}));
  EXPECT_GT(stepped.images, 30U);
}

}  // namespace
}  // namespace guideway::shm
