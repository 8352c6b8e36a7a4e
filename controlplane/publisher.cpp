#include "controlplane/publisher.h"

#include <fmt/format.h>

#include <algorithm>
#include <system_error>

#include "common/shm/image_bytes.h"
#include "controlplane/log.h"

namespace guideway::controlplane {
namespace {

using shm::PublishResult;
using shm::TablesWriter;
using std::chrono::milliseconds;

constexpr milliseconds kGather{1};
constexpr milliseconds kRetryNoRoom{10};
constexpr milliseconds kReclaim{100};

std::size_t history_bytes(const TableImage::Pool& pool) {
  return pool.history == nullptr ? 0 : pool.history->bytes.size();
}

// Settles the pools with the largest histories, until `excess_bytes` less are needed. Returns how many.
std::size_t settle_largest(const TableImage& image, std::uint64_t excess_bytes, DesiredTables& desired) {
  std::vector<std::size_t> largest_first;
  for (std::size_t p = 0; p < image.pools.size(); p++)
    if (history_bytes(image.pools[p]) > 0) largest_first.push_back(p);
  std::ranges::stable_sort(largest_first, std::greater(), [&](std::size_t p) { return history_bytes(image.pools[p]); });
  std::size_t settled = 0;
  for (std::uint64_t saved = 0; settled < largest_first.size() && saved < excess_bytes; settled++) {
    saved += history_bytes(image.pools[largest_first[settled]]);
    desired.pools[largest_first[settled]].past = {};
  }
  return settled;
}

}  // namespace

Publisher::Publisher(EventLoop& loop, Hooks hooks)
    : hooks_(std::move(hooks)), timer_(loop, [this] { publish_now(); }), reclaim_timer_(loop, [this] {
        writer_->reclaim();
        reclaim_timer_.start(kReclaim);
      }) {}

void Publisher::set_writer(std::unique_ptr<TablesWriter> writer) {
  writer_ = std::move(writer);
  writer_->set_reader_pins(hooks_.oldest_pin);
  reclaim_timer_.start(kReclaim);
}

void Publisher::request() {
  if (!timer_.pending()) timer_.start(kGather);
}

void Publisher::publish_now() {
  timer_.stop();
  DesiredTables desired = hooks_.desired();
  if (!writer_) return;
  const TableImage image = fitting_image(std::move(desired));
  const PublishResult result = publish(image);
  if (result == PublishResult::no_room) {
    const auto usage = writer_->usage();
    return wait(no_memory_.empty()
                    ? fmt::format("readers hold {} of {} bytes that a new generation needs; is a worker stuck?",
                                  usage.limbo_bytes, usage.size_bytes)
                    : no_memory_);
  }
  waits_for_.clear();
  slots_digest_ = image.slots_digest();
  slots_.clear();
  for (const TableImage::Pool& pool : image.pools)
    slots_.push_back({pool.unsettled_slots, pool.crowded_slots, pool.kept_slots});
  if (result == PublishResult::published) hooks_.on_published();
}

void Publisher::wait(std::string why) {
  if (waits_for_.empty()) log(Level::warning, "{}; trying again", why);
  waits_for_ = std::move(why);
  timer_.start(kRetryNoRoom);
}

// Without their history slots count as settled: connections that began elsewhere break, but a dead backend goes.
TableImage Publisher::fitting_image(DesiredTables desired) {
  TableImage image = builder_.build(desired);
  pools_without_history_ = 0;
  for (;;) {
    const std::uint64_t bytes = shm::segment_bytes_for(image);
    const std::size_t settled = bytes <= size_bytes_ ? 0 : settle_largest(image, bytes - size_bytes_, desired);
    if (settled == 0) return image;
    pools_without_history_ += settled;
    image = small_builder_.build(desired);
  }
}

PublishResult Publisher::publish(const TableImage& image) {
  no_memory_.clear();
  if (writer_->memory().size() != size_bytes_) return publish_afresh(image);
  const PublishResult result = writer_->publish(image);
  if (result != PublishResult::no_room) return result;
  const auto usage = writer_->usage();
  const bool readers_make_room =
      usage.limbo_bytes > 0 && writer_->bytes_beside(image) <= usage.limbo_bytes + usage.free_bytes;
  return readers_make_room ? result : publish_afresh(image);
}

PublishResult Publisher::publish_afresh(const TableImage& image) {
  try {
    auto fresh = TablesWriter::create(size_bytes_, writer_->generation());
    const PublishResult result = fresh->publish(image);
    if (result != PublishResult::published) return result;
    set_writer(std::move(fresh));
  } catch (const std::system_error& error) {
    no_memory_ = error.what();
    return PublishResult::no_room;
  }
  log(Level::info, "generation {} is the first of a fresh segment of {} bytes", number(writer_->generation()),
      size_bytes_);
  hooks_.on_replaced();
  return PublishResult::published;
}

}  // namespace guideway::controlplane
