// The protocol in threads of one process, for ThreadSanitizer: a writer flat out, a gatekeeper, two workers that
// follow, detach and come back, and a successor of the writer in a fresh segment now and then. ThreadSanitizer ends the
// program with an error if any access is not ordered by the protocol.
//
//   threads_test            must be clean
//   threads_test no-grace   the writer ignores the pins: ThreadSanitizer must object
//
// Speaks TAP itself for the first case; tsan_test.sh runs both.

#include <cstdio>
#include <cstring>
#include <string>
#include <thread>

#include "common/shm/tables_reader.h"
#include "common/shm/tables_writer.h"
#include "tests/shm/pattern.h"
#include "tests/shm/stats_region.h"

namespace {

using namespace guideway;
using namespace guideway::shm;

constexpr std::size_t kSegmentBytes = 128 << 10;
constexpr std::uint32_t kWorkers = 2;
constexpr int kSegments = 3;
constexpr int kPublishes = 400;

struct Shared {
  StatsRegion stats{kWorkers};
  std::atomic<bool> stop = false;
  std::atomic<int> wrong = 0;
  std::atomic<std::uint64_t> bursts = 0;
};

void work(Gatekeeper& gatekeeper, std::uint32_t w, Shared& shared) {
  auto reader = gatekeeper.worker(WorkerId{w});
  Random random(w);
  while (!shared.stop) {
    const TablesView* view = reader.follow();
    if (view != nullptr && !check_pattern(*view).empty()) shared.wrong++;
    shared.bursts++;
    if (random.below(8) == 0) reader.detach();
  }
  reader.detach();
}

void publish_all(TablesWriter& writer, Shared& shared, bool grace) {
  writer.set_reader_pins([&, grace] { return grace ? oldest_pin(shared.stats.header()) : kPinNone; });
  PatternBuilder builder(127);
  Random random(3);
  std::vector<PoolSeed> pools{1, 2, 3};
  for (int i = 0; i < kPublishes; i++) {
    pools[random.below(3)] = static_cast<PoolSeed>(random.next());
    const TableImage image = builder.build(pools);
    while (writer.publish(image) == PublishResult::no_room) std::this_thread::yield();
  }
}

}  // namespace

int main(int argc, char** argv) {
  const bool grace = argc < 2 || std::strcmp(argv[1], "no-grace") != 0;
  Shared shared;
  Gatekeeper gatekeeper(shared.stats.header());
  std::vector<std::unique_ptr<TablesWriter>> writers;
  for (int i = 0; i < kSegments; i++) writers.push_back(TablesWriter::create(kSegmentBytes));
  std::atomic<int> writing = 0;
  std::thread writer([&] {
    for (auto& one : writers) {
      publish_all(*one, shared, grace);
      writing++;
    }
  });
  std::vector<std::thread> workers;
  for (std::uint32_t w = 0; w < kWorkers; w++) workers.emplace_back([&, w] { work(gatekeeper, w, shared); });
  for (int attached = -1, now = 0; (now = writing) < kSegments;) {
    if (now != attached) gatekeeper.attach(writers[static_cast<std::size_t>(attached = now)]->read_only_descriptor());
    gatekeeper.poll();
  }
  writer.join();
  gatekeeper.poll();
  shared.stop = true;
  for (std::thread& worker : workers) worker.join();
  std::printf("%lu bursts, %d wrong\n", shared.bursts.load(), shared.wrong.load());
  return shared.wrong == 0 ? 0 : 1;
}
