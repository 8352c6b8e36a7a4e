#include "tests/shm/torture.h"

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstring>
#include <thread>

#include "common/shm/tables_reader.h"

namespace guideway::shm {
namespace {

constexpr std::size_t kImages = 96;
constexpr std::uint32_t kPoolsOfAnImage = 8;

template <typename T>
T* shared(std::size_t size_bytes) {
  void* at = mmap(nullptr, size_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  return at == MAP_FAILED ? nullptr : static_cast<T*>(at);
}

// Each image differs from the one before in some pools, in their number, or in their order.
std::vector<TableImage> make_images(std::uint64_t seed) {
  Random random(seed);
  PatternBuilder builder;
  std::vector<PoolSeed> pools(kPoolsOfAnImage);
  for (PoolSeed& pool : pools) pool = static_cast<PoolSeed>(random.next());
  std::vector<TableImage> images;
  while (images.size() < kImages) {
    const std::uint32_t changes = 1 + random.below(3);
    for (std::uint32_t i = 0; i < changes; i++)
      pools[random.below(static_cast<std::uint32_t>(pools.size()))] = static_cast<PoolSeed>(random.next());
    if (random.below(4) == 0) pools.resize(kPoolsOfAnImage / 2 + random.below(kPoolsOfAnImage), pools.front());
    if (random.below(4) == 0) std::swap(pools.front(), pools.back());
    images.push_back(builder.build(pools));
  }
  return images;
}

bool checksum_fits(const void* object, const ObjectRef& ref) {
  return object_checksum({static_cast<const std::byte*>(object), ref.size_bytes}) == ref.checksum;
}

// A burst's worth of looking at one pool, with the checksums of its objects.
std::string check_pool_objects(const TablesView& view, std::uint32_t which) {
  const PoolView& pool = view.pools[which % view.pools.size()];
  const auto* slots = reinterpret_cast<const std::byte*>(pool.slots) - elements_offset_bytes(ObjectKind::slots);
  const auto* backends =
      reinterpret_cast<const std::byte*>(pool.backends) - elements_offset_bytes(ObjectKind::backends);
  if (!checksum_fits(slots, pool.slots_ref)) return "a slots object does not match its checksum";
  if (!checksum_fits(backends, pool.backends_ref)) return "a backends object does not match its checksum";
  return {};
}

}  // namespace

Torture::Torture(std::size_t segment_bytes, std::uint64_t seed)
    : notes_(shared<Notes>(sizeof(Notes))),
      stats_(shared<StatsHeader>(stats_bytes(kWorkers, 0, 0))),
      images_(make_images(seed)) {
  stats_->worker_count = kWorkers;
  auto writer = TablesWriter::create(segment_bytes);
  writer->publish(images_[0]);
  custody_ = writer->read_only_descriptor();
}

Torture::~Torture() {
  munmap(notes_, sizeof(Notes));
  munmap(stats_, stats_bytes(kWorkers, 0, 0));
}

pid_t Torture::start(const std::function<void()>& body) {
  const pid_t child = fork();
  if (child != 0) return child;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  body();
  _exit(0);
}

pid_t Torture::start_reader() {
  // No pin is valid before the new gatekeeper has set it: the writer sees "attaching" until then.
  stats_->gatekeeper_pin = kPinAttaching;
  notes_->reader_follows = 0;
  notes_->reader_alive = 1;
  return start([this] { read_until_stopped(); });
}

pid_t Torture::start_writer(std::uint64_t seed, const Pins& pins) {
  return start([this, seed, pins] {
    std::string why;
    auto writer = TablesWriter::attach(custody_, why);
    if (!writer) return complain("the writer cannot carry on: " + why);
    writer->set_reader_pins([&] { return reader_pin(pins); });
    Random random(seed);
    while (notes_->stop == 0) {
      const TableImage& image = images_[random.below(kImages)];
      notes_->publishing = 1;
      const PublishResult result = writer->publish(image);
      notes_->publishing = 0;
      if (result == PublishResult::published) notes_->published++;
      if (result == PublishResult::no_room) std::this_thread::yield();
    }
  });
}

void Torture::end(pid_t child) {
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
}

void Torture::end_reader(pid_t reader) {
  end(reader);
  notes_->reader_alive = 0;
}

bool Torture::wait_until(const std::function<bool()>& happened, int timeout_ms) const {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout_ms);
  while (!happened()) {
    if (notes_->complaints != 0 || std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

void Torture::wait_for_publish_and(std::uint32_t spins) const {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(5);
  while (notes_->publishing == 0 && std::chrono::steady_clock::now() < deadline) {
  }
  for (std::uint32_t i = 0; i < spins; i++) std::atomic_signal_fence(std::memory_order_seq_cst);
}

std::string Torture::complaint() const {
  return notes_->complaints == 0 ? "" : std::string(notes_->complaint);
}

void Torture::complain(const std::string& what) {
  if (notes_->complaints.fetch_add(1) == 0) std::strncpy(notes_->complaint, what.c_str(), sizeof notes_->complaint - 1);
}

void Torture::read_until_stopped() {
  Gatekeeper gatekeeper(*stats_);
  stats_->rejected_generation = 0;
  if (const auto e = gatekeeper.attach(custody_.duplicate()); e != AttachError::none)
    return complain(std::string("the gatekeeper cannot attach: ") + to_text(e));
  const auto work = [&](std::uint32_t w) {
    auto reader = gatekeeper.worker(WorkerId{w});
    Random random(w);
    Generation verified = Generation::none;
    while (notes_->stop == 0) {
      const TablesView* view = reader.follow();
      if (view->generation != verified) {
        if (const auto wrong = check_pattern(*view); !wrong.empty()) complain(wrong);
        verified = view->generation;
        notes_->reader_follows = number(verified);
      }
      if (const auto wrong = check_pool_objects(*view, random.below(1024)); !wrong.empty()) complain(wrong);
      notes_->checks++;
      if (random.below(64) == 0) reader.detach();
    }
    reader.detach();
  };
  std::vector<std::thread> workers;
  for (std::uint32_t w = 0; w < kWorkers; w++) workers.emplace_back(work, w);
  while (notes_->stop == 0) {
    gatekeeper.poll();
    // An honest writer's generations are never refused.
    if (stats_->rejected_generation != 0) complain("refused: " + get_text(stats_->rejected_reason));
  }
  for (std::thread& worker : workers) worker.join();
}

}  // namespace guideway::shm
