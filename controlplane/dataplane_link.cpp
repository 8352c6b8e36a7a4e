#include "controlplane/dataplane_link.h"

#include <sys/socket.h>

#include <algorithm>

#include "common/shm/tables_writer.h"
#include "controlplane/log.h"

namespace guideway::controlplane {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kRetry{100};
// A data plane that accepts but does not greet costs us the wait for its greeting: not ten times a second for long.
constexpr milliseconds kRetryMax{5000};
constexpr milliseconds kGreetingIsSlow{100};

}  // namespace

DataplaneLink::DataplaneLink(EventLoop& loop, std::string socket_path, std::function<void()> on_connected,
                             std::function<void()> on_lost)
    : loop_(loop),
      path_(std::move(socket_path)),
      on_connected_(std::move(on_connected)),
      on_lost_(std::move(on_lost)),
      retry_timer_(loop, [this] { attempt(); }),
      retry_after_(kRetry) {}

void DataplaneLink::start() {
  attempt();
}

void DataplaneLink::attempt() {
  const auto begun = steady_clock::now();
  std::string why;
  auto greeting = shm::greet(path_, why);
  const bool costly = greeting.has_value() || steady_clock::now() - begun > kGreetingIsSlow;
  if (!greeting || !take(std::move(*greeting), why)) {
    retry_after_ = costly ? std::min(2 * retry_after_, kRetryMax) : kRetry;
    return retry(why);
  }
  retry_after_ = kRetry;
  why_not_.clear();
  log(Level::info, "data plane connected, pid {}", pid());
  on_connected_();
}

bool DataplaneLink::take(shm::Greeting greeting, std::string& why) {
  if (!greeting.process.valid()) {
    why = "the data plane ended while it greeted";
    return false;
  }
  Dataplane dataplane{std::move(greeting), {}, {}, {}};
  const AttachError error = [&] {
    if (!shm::is_sealed(dataplane.greeting.stats)) return AttachError::not_sealed;
    dataplane.memory = shm::map_whole(dataplane.greeting.stats, shm::Access::read_only);
    return dataplane.memory.valid() ? check_stats(dataplane.memory.bytes()) : AttachError::no_memory;
  }();
  if (error != AttachError::none) {
    why = std::string("the data plane's stats cannot be attached: ") + to_text(error);
    return false;
  }
  // Of one that was met before, its pins are in the same memory.
  dataplanes_.remove_if(
      [&](const Dataplane& each) { return same_file(each.greeting.stats, dataplane.greeting.stats); });
  current_ = &dataplanes_.emplace_back(std::move(dataplane));
  const Dataplane* taken = current_;
  current_->process_watch.emplace(loop_, current_->greeting.process.get(), [this, taken] { forget_dead(taken); });
  current_->connection_watch.emplace(loop_, current_->greeting.connection.get(), [this] { connection_ended(); });
  return true;
}

// The data plane says nothing unasked: whatever is readable here is the end.
void DataplaneLink::connection_ended() {
  current_->connection_watch.reset();
  current_->greeting.connection = {};
  current_ = nullptr;
  on_lost_();
  retry("the data plane closed the connection: it ended or restarts");
}

void DataplaneLink::forget_dead(const Dataplane* dataplane) {
  const bool was_current = dataplane == current_;
  if (was_current) current_ = nullptr;
  log(Level::info, "data plane pid {} is dead", dataplane->greeting.pid);
  dataplanes_.remove_if([&](const Dataplane& each) { return &each == dataplane; });
  if (!was_current) return;
  on_lost_();
  retry("the data plane died");
}

void DataplaneLink::retry(std::string why) {
  if (why != why_not_) log(Level::warning, "{}; trying again until it is there", why);
  why_not_ = std::move(why);
  retry_timer_.start(retry_after_);
}

bool DataplaneLink::offer(const Descriptor& tables_read_only, std::string& why) {
  return shm::offer(current_->greeting, tables_read_only, why) == AttachError::none;
}

std::uint64_t DataplaneLink::oldest_pin() const {
  std::uint64_t oldest = kPinNone;
  for (const Dataplane& dataplane : dataplanes_) oldest = std::min(oldest, shm::oldest_pin(dataplane.stats()));
  return oldest;
}

}  // namespace guideway::controlplane
