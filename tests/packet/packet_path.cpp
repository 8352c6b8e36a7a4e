#include "tests/packet/packet_path.h"

#include <sys/mman.h>
#include <unistd.h>

#include <deque>
#include <stdexcept>

#include "tests/packet/packet_tables.h"

namespace guideway::packet_text {
namespace {

// Memory for one packet: its contiguous bytes lie in front of a guard page, the rest out of the path's sight.
class Buffer {
 public:
  Buffer() : page_bytes_(static_cast<std::size_t>(sysconf(_SC_PAGESIZE))), bytes_(20 * page_bytes_) {
    void* memory = mmap(nullptr, bytes_ + page_bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw std::runtime_error("no memory for a packet buffer");
    memory_ = static_cast<std::uint8_t*>(memory);
    mprotect(memory_ + bytes_, page_bytes_, PROT_NONE);
  }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer() { munmap(memory_, bytes_ + page_bytes_); }

  std::uint8_t* end() const { return memory_ + bytes_; }

  Bytes rest;
  bool is_out = false;  // with the path

 private:
  std::size_t page_bytes_;
  std::size_t bytes_;  // the largest IP packet, and headroom
  std::uint8_t* memory_ = nullptr;
};

class Buffers {
 public:
  Buffer& take() {
    if (free_.empty()) free_.push_back(&all_.emplace_back());
    Buffer& buffer = *free_.back();
    free_.pop_back();
    buffer.is_out = true;
    buffer.rest.clear();
    return buffer;
  }
  void give_back(const Packet& packet) {
    auto& buffer = *static_cast<Buffer*>(packet.buffer);
    if (!buffer.is_out) throw std::logic_error("a packet was sent or released twice");
    buffer.is_out = false;
    free_.push_back(&buffer);
  }
  std::uint64_t out() const { return all_.size() - free_.size(); }

 private:
  std::deque<Buffer> all_;
  std::vector<Buffer*> free_;
};

class MemoryPort final : public Port {
 public:
  MemoryPort(Buffers& buffers, bool full, bool no_buffers) : buffers_(buffers), full_(full), no_buffers_(no_buffers) {}

  void put(const Step& step) { coming_.push_back(&step); }
  bool has_more() const { return !coming_.empty(); }
  std::vector<Bytes> taken() { return std::exchange(taken_, {}); }

  void receive(Batch& batch) override {
    for (; !coming_.empty() && batch.count < kBatchMax; coming_.pop_front())
      fill(batch.packets[batch.count++], *coming_.front());
  }
  std::uint32_t transmit(Packet* const* packets, std::uint32_t count) override {
    if (full_) return 0;
    for (const Packet* packet : std::span(packets, count)) {
      Bytes& frame = taken_.emplace_back(packet->data, packet->data + packet->contiguous_bytes);
      const Bytes& rest = static_cast<const Buffer*>(packet->buffer)->rest;
      frame.insert(frame.end(), rest.begin(), rest.begin() + (packet->frame_bytes - packet->contiguous_bytes));
      buffers_.give_back(*packet);
    }
    return count;
  }
  void release(Packet* const* packets, std::uint32_t count) override {
    for (const Packet* packet : std::span(packets, count)) buffers_.give_back(*packet);
  }
  bool allocate(Packet& packet, std::uint32_t frame_bytes) override {
    if (no_buffers_) return false;
    Buffer& buffer = buffers_.take();
    packet = {};
    packet.buffer = &buffer;
    packet.data = buffer.end() - frame_bytes;
    packet.headroom_bytes = kNewPacketHeadroom;
    return true;
  }

 private:
  void fill(Packet& packet, const Step& step) {
    Buffer& buffer = buffers_.take();
    const Bytes& frame = step.frame.bytes;
    packet = {};
    packet.buffer = &buffer;
    packet.data = buffer.end() - step.contiguous_bytes;
    packet.frame_bytes = static_cast<std::uint32_t>(frame.size());
    packet.contiguous_bytes = static_cast<std::uint16_t>(step.contiguous_bytes);
    packet.headroom_bytes = step.headroom_bytes;
    std::copy_n(frame.begin(), step.contiguous_bytes, packet.data);
    buffer.rest.assign(frame.begin() + step.contiguous_bytes, frame.end());
  }

  Buffers& buffers_;
  bool full_;
  bool no_buffers_;
  std::deque<const Step*> coming_;
  std::vector<Bytes> taken_;
};

bool is_loss(const std::string& counter) {
  return counter.starts_with("drop_") || counter == "from_kernel_dropped_packets";
}

}  // namespace

struct PacketPath::Ports {
  explicit Ports(const PacketCase& packet_case) {
    const bool kernel_full = packet_case.kernel_path == KernelPath::full;
    for (std::uint32_t i = 0; i < kPorts; i++) {
      network.push_back(std::make_unique<MemoryPort>(buffers, packet_case.network_full, packet_case.no_buffers));
      kernel.push_back(std::make_unique<MemoryPort>(buffers, kernel_full, packet_case.no_buffers));
      Port* path = packet_case.kernel_path == KernelPath::none ? nullptr : kernel[i].get();
      of_worker[i] = WorkerPort{network[i].get(), path, false, port_mac(i)};
    }
  }
  MemoryPort& that_brings(const Step& step) {
    return *(step.from == From::network ? network : kernel)[step.frame.port];
  }
  bool have_more() const {
    const auto has_more = [](const auto& port) { return port->has_more(); };
    return std::any_of(network.begin(), network.end(), has_more) || std::any_of(kernel.begin(), kernel.end(), has_more);
  }

  Buffers buffers;
  std::vector<std::unique_ptr<MemoryPort>> network;
  std::vector<std::unique_ptr<MemoryPort>> kernel;
  std::array<WorkerPort, kPorts> of_worker;
};

PacketPath::PacketPath(const PacketCase& packet_case)
    : case_(packet_case),
      tables_(shm::TablesWriter::create(1 << 20)),
      stats_(std::make_unique<WorkerBlock>()),
      flows_(packet_case.flow_buckets) {
  use_tables(0);
  ports_ = std::make_unique<Ports>(packet_case);
  worker_ = std::make_unique<Worker>(
      ports_->of_worker, WorkerStats{stats_.get(), vips_, backends_, flows_of_backend_}, WorkerFlows{flows_, flows_},
      WorkerSettings{packet_case.echo_per_second, packet_case.errors_per_second, {}, {}});
}
PacketPath::~PacketPath() = default;

void PacketPath::use_tables(std::size_t which) {
  const DesiredTables& tables = which == 0 ? case_.tables : case_.later_tables[which - 1];
  if (tables_->publish(ImageBuilder{}.build(tables)) == shm::PublishResult::no_room)
    throw std::runtime_error("the tables do not fit");
  pools_.resize(pool_count(tables_->memory(), tables_->root()));
  if (const auto error = open_generation(tables_->memory(), tables_->root(), pools_, nullptr, view_);
      error != TablesError::none)
    throw std::runtime_error(to_text(error));
  which_tables_ = which;
}

Ends PacketPath::turn(std::chrono::nanoseconds now) {
  const auto before = counters();
  worker_->poll(&view_, now);
  Ends ends;
  for (std::uint32_t i = 0; i < kPorts; i++) {
    for (Bytes& frame : ports_->network[i]->taken()) ends.sent.push_back({i, std::move(frame)});
    for (Bytes& frame : ports_->kernel[i]->taken()) ends.to_kernel.push_back({i, std::move(frame)});
  }
  for (const auto& [name, value] : counters()) {
    const auto old = before.find(name);
    const std::uint64_t more = value - (old == before.end() ? 0 : old->second);
    if (is_loss(name) && more > 0) ends.lost[name] = more;
  }
  return ends;
}

Ends PacketPath::run(const Step& step) {
  if (step.tables != which_tables_) use_tables(step.tables);
  if (step.has_packet) ports_->that_brings(step).put(step);
  return turn(step.now);
}

Ends PacketPath::run_in_batches(std::span<const Step> steps) {
  for (const Step& step : steps) ports_->that_brings(step).put(step);
  Ends all;
  while (ports_->have_more()) {
    Ends ends = turn({});
    std::move(ends.sent.begin(), ends.sent.end(), std::back_inserter(all.sent));
    std::move(ends.to_kernel.begin(), ends.to_kernel.end(), std::back_inserter(all.to_kernel));
    for (const auto& [name, packets] : ends.lost) all.lost[name] += packets;
  }
  return all;
}

std::map<std::string, std::uint64_t> PacketPath::counters() const {
  std::map<std::string, std::uint64_t> counters;
  for (std::size_t i = 0; i < kCounterCount; i++)
    if (const std::uint64_t value = stats_->counters[i].load(std::memory_order_relaxed); value != 0)
      counters[std::string(kCounters[i].name)] = value;
  return counters;
}

std::uint64_t PacketPath::leaked() const {
  const auto all = counters();
  const auto waiting = all.find("waiting_packets");
  return ports_->buffers.out() - (waiting == all.end() ? 0 : waiting->second);
}

}  // namespace guideway::packet_text
