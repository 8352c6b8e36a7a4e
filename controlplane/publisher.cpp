#include "controlplane/publisher.h"

#include "controlplane/log.h"

namespace guideway::controlplane {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kGather{1};
constexpr milliseconds kRetryNoRoom{10};
constexpr milliseconds kReclaim{100};

}  // namespace

Publisher::Publisher(EventLoop& loop, std::function<DesiredTables()> desired, std::function<void()> on_published)
    : desired_(std::move(desired)),
      on_published_(std::move(on_published)),
      timer_(loop, [this] { publish_now(); }),
      reclaim_timer_(loop, [this] {
        writer_->reclaim();
        reclaim_timer_.start(kReclaim);
      }) {}

void Publisher::set_writer(std::unique_ptr<shm::TablesWriter> writer) {
  writer_ = std::move(writer);
  reclaim_timer_.start(kReclaim);
}

void Publisher::request() {
  if (!timer_.pending()) timer_.start(kGather);
}

void Publisher::publish_now() {
  timer_.stop();
  const DesiredTables desired = desired_();
  if (!writer_) return;
  const TableImage image = builder_.build(desired);
  const shm::PublishResult result = writer_->publish(image);
  if (result == shm::PublishResult::no_room) {
    if (!no_room_)
      log(Level::warning, "no room for a new generation: {} of {} bytes are held for readers; trying again",
          writer_->usage().limbo_bytes, writer_->usage().size_bytes);
    no_room_ = true;
    return timer_.start(kRetryNoRoom);
  }
  no_room_ = false;
  slots_digest_ = image.slots_digest();
  slots_.clear();
  for (const TableImage::Pool& pool : image.pools)
    slots_.push_back({pool.unsettled_slots, pool.crowded_slots, pool.kept_slots});
  if (result == shm::PublishResult::published) on_published_();
}

}  // namespace guideway::controlplane
