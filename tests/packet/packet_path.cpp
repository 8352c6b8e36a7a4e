#include "tests/packet/packet_path.h"

#include <sys/mman.h>
#include <unistd.h>

#include <stdexcept>

namespace guideway::packet_text {
namespace {

// One packet at a time: its contiguous bytes in a buffer with a guard page behind it, the rest out of the path's sight.
class MemoryPort final : public Port {
 public:
  explicit MemoryPort(bool full) : full_(full) {
    page_bytes_ = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    buffer_bytes_ = 20 * page_bytes_;  // the largest IP packet, and headroom
    void* memory =
        mmap(nullptr, buffer_bytes_ + page_bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw std::runtime_error("no memory for a packet buffer");
    buffer_ = static_cast<std::uint8_t*>(memory);
    mprotect(buffer_ + buffer_bytes_, page_bytes_, PROT_NONE);
  }
  ~MemoryPort() override { munmap(buffer_, buffer_bytes_ + page_bytes_); }

  void put(const Step& step) {
    data_ = buffer_ + buffer_bytes_ - step.contiguous_bytes;
    std::copy_n(step.frame.begin(), step.contiguous_bytes, data_);
    rest_.assign(step.frame.begin() + step.contiguous_bytes, step.frame.end());
    step_ = &step;
  }
  void receive(Batch& batch) override {
    if (step_ == nullptr) return;
    Packet& packet = batch.packets[batch.count++];
    packet = {};
    packet.data = data_;
    packet.buffer = &rest_;
    packet.frame_bytes = static_cast<std::uint32_t>(step_->frame.size());
    packet.contiguous_bytes = static_cast<std::uint16_t>(step_->contiguous_bytes);
    packet.headroom_bytes = step_->headroom_bytes;
    step_ = nullptr;
    held_++;
  }
  std::uint32_t transmit(Packet* const* packets, std::uint32_t count) override {
    if (full_) return 0;
    for (const Packet* packet : std::span(packets, count)) {
      Bytes& frame = taken_.emplace_back(packet->data, packet->data + packet->contiguous_bytes);
      const auto& rest = *static_cast<const Bytes*>(packet->buffer);
      frame.insert(frame.end(), rest.begin(), rest.begin() + (packet->frame_bytes - packet->contiguous_bytes));
    }
    return count;
  }
  void release(Packet* const*, std::uint32_t count) override { held_ -= count; }

  std::vector<Bytes> taken() { return std::exchange(taken_, {}); }
  std::uint32_t held() const { return held_; }
  void sent_elsewhere(std::size_t count) { held_ -= static_cast<std::uint32_t>(count); }

 private:
  bool full_;
  std::size_t page_bytes_ = 0;
  std::size_t buffer_bytes_ = 0;
  std::uint8_t* buffer_ = nullptr;
  std::uint8_t* data_ = nullptr;
  Bytes rest_;
  const Step* step_ = nullptr;
  std::uint32_t held_ = 0;  // received, and neither sent nor released
  std::vector<Bytes> taken_;
};

// The counter of lost packets that rose; all of them, if several did.
std::string reason_of(const std::map<std::string, std::uint64_t>& before,
                      const std::map<std::string, std::uint64_t>& after) {
  std::string reason;
  for (const auto& [name, value] : after) {
    const auto old = before.find(name);
    const bool loss = name.starts_with("drop_") || name == "from_kernel_dropped_packets";
    if (loss && value != (old == before.end() ? 0 : old->second)) reason += reason.empty() ? name : " " + name;
  }
  return reason;
}

}  // namespace

struct PacketPath::Ports {
  MemoryPort network;
  MemoryPort kernel;
  std::array<WorkerPort, 1> of_worker;
};

PacketPath::PacketPath(const PacketCase& packet_case)
    : tables_(shm::TablesWriter::create(1 << 20)), stats_(std::make_unique<WorkerBlock>()) {
  if (tables_->publish(ImageBuilder{}.build(packet_case.tables)) != shm::PublishResult::published)
    throw std::runtime_error("the tables do not fit");
  pools_.resize(pool_count(tables_->memory(), tables_->root()));
  if (const auto error = open_generation(tables_->memory(), tables_->root(), pools_, nullptr, view_);
      error != TablesError::none)
    throw std::runtime_error(to_text(error));
  ports_.reset(
      new Ports{MemoryPort(packet_case.network_full), MemoryPort(packet_case.kernel_path == KernelPath::full), {}});
  Port* kernel = packet_case.kernel_path == KernelPath::none ? nullptr : &ports_->kernel;
  ports_->of_worker = {WorkerPort{&ports_->network, kernel, false}};
  worker_ = std::make_unique<Worker>(ports_->of_worker, WorkerStats{stats_.get(), vips_, backends_});
}
PacketPath::~PacketPath() = default;

Outcome PacketPath::run(const Step& step) {
  MemoryPort& from = step.from == From::network ? ports_->network : ports_->kernel;
  const auto before = counters();
  from.put(step);
  worker_->poll(&view_);
  const auto sent = ports_->network.taken();
  const auto handed_over = ports_->kernel.taken();
  from.sent_elsewhere(sent.size() + handed_over.size());
  if (!sent.empty()) return {Verdict::forward, "", sent.front()};
  if (!handed_over.empty()) return {Verdict::to_kernel, "", handed_over.front()};
  return {Verdict::drop, reason_of(before, counters()), {}};
}

std::map<std::string, std::uint64_t> PacketPath::counters() const {
  std::map<std::string, std::uint64_t> counters;
  for (std::size_t i = 0; i < kCounterCount; i++)
    if (const std::uint64_t value = stats_->counters[i].load(std::memory_order_relaxed); value != 0)
      counters[std::string(kCounters[i].name)] = value;
  return counters;
}

std::uint32_t PacketPath::lost() const {
  return ports_->network.held() + ports_->kernel.held();
}

}  // namespace guideway::packet_text
