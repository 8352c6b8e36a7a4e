#include "tests/fuzz/packet_machine.h"

#include <algorithm>
#include <utility>

#include "tests/fuzz/violation.h"

namespace guideway::fuzz {

namespace {

struct Buffer {
  std::unique_ptr<std::uint8_t[]> memory;
  std::size_t memory_bytes = 0;
  const Arrival* came = nullptr;  // nullptr: it was made for a new packet
  bool is_out = false;            // with the worker
};

// The fuzzer reads this section: so it keeps an input for each counter that a worker has.
__attribute__((section("__libfuzzer_extra_counters"))) std::uint8_t raised[kCounterCount];

std::unique_ptr<std::uint8_t[]> memory_of(std::size_t bytes) {
  return std::make_unique_for_overwrite<std::uint8_t[]>(bytes);
}

}  // namespace

// All buffers, and what was seen of their packets.
class PacketBuffers {
 public:
  Packet receive(const Arrival& arrival) {
    Buffer& buffer = take(arrival.headroom_bytes + std::size_t{arrival.contiguous_bytes});
    buffer.came = &arrival;
    Packet packet;
    packet.buffer = &buffer;
    packet.data = buffer.memory.get() + arrival.headroom_bytes;
    packet.frame_bytes = static_cast<std::uint32_t>(arrival.frame.size());
    packet.contiguous_bytes = static_cast<std::uint16_t>(arrival.contiguous_bytes);
    packet.headroom_bytes = arrival.headroom_bytes;
    std::copy_n(arrival.frame.begin(), arrival.contiguous_bytes, packet.data);
    return packet;
  }
  bool allocate(Packet& packet, std::uint32_t frame_bytes) {
    if (left_ == 0) return false;
    left_--;
    Buffer& buffer = take(std::size_t{kNewPacketHeadroom} + frame_bytes);
    buffer.came = nullptr;
    packet = {};
    packet.buffer = &buffer;
    packet.data = buffer.memory.get() + kNewPacketHeadroom;
    packet.headroom_bytes = kNewPacketHeadroom;
    return true;
  }
  void transmit(const Packet& packet, std::uint32_t port) {
    Buffer& buffer = check(packet);
    SentFrame sent{port, Bytes(packet.data, packet.data + packet.contiguous_bytes)};
    if (const Arrival* came = buffer.came) {
      const std::size_t elsewhere = packet.frame_bytes - packet.contiguous_bytes;
      require(elsewhere <= came->frame.size() - came->contiguous_bytes, "a packet claims bytes that nobody gave it");
      const auto rest = came->frame.begin() + came->contiguous_bytes;
      sent.bytes.insert(sent.bytes.end(), rest, rest + static_cast<std::ptrdiff_t>(elsewhere));
      left(*came, std::move(sent));
    } else {
      require(packet.frame_bytes == packet.contiguous_bytes, "a new packet claims bytes that it has not");
      fragments_.push_back(std::move(sent));
    }
    give_back(buffer);
  }
  void to_kernel(const Packet& packet, std::uint32_t port) {
    Buffer& buffer = check(packet);
    require(buffer.came != nullptr && buffer.came->port == port, "the kernel got a packet of another port");
    require(packet.frame_bytes == buffer.came->frame.size() &&
                packet.contiguous_bytes == buffer.came->contiguous_bytes &&
                std::equal(packet.data, packet.data + packet.contiguous_bytes, buffer.came->frame.begin()),
            "the kernel got a packet that is not as it came");
    kernel_frames++;
    give_back(buffer);
  }
  void release(const Packet& packet) {
    Buffer& buffer = check(packet);
    if (buffer.came == nullptr)
      some_refused_ = true;
    else if (!fragments_.empty() || some_refused_)
      left_in_fragments(*buffer.came);
    give_back(buffer);
  }

  void begin_turn(const FuzzTables& tables, std::uint32_t buffers) {
    tables_ = &tables;
    left_ = buffers;
  }
  void check_turn() const { require(fragments_.empty(), "fragments were sent of no packet"); }
  std::uint64_t out() const { return all_.size() - free_.size(); }
  std::vector<Answered> take_answers() { return std::exchange(answers_, {}); }

  std::uint64_t network_frames = 0;  // that left, the kernel's own among them
  std::uint64_t network_bytes = 0;   // without the kernel's own
  std::uint64_t kernel_frames = 0;

 private:
  Buffer& take(std::size_t bytes) {
    if (free_.empty()) free_.push_back(&all_.emplace_back());
    Buffer& buffer = *free_.back();
    free_.pop_back();
    buffer.memory = memory_of(bytes);
    buffer.memory_bytes = bytes;
    buffer.is_out = true;
    return buffer;
  }
  static Buffer& check(const Packet& packet) {
    auto& buffer = *static_cast<Buffer*>(packet.buffer);
    require(buffer.is_out, "a packet was sent or released twice");
    require(packet.data - buffer.memory.get() == packet.headroom_bytes,
            "a packet's headroom is not what is in front of it");
    require(packet.headroom_bytes + std::size_t{packet.contiguous_bytes} <= buffer.memory_bytes &&
                packet.contiguous_bytes <= packet.frame_bytes,
            "a packet claims more bytes than its buffer has");
    return buffer;
  }
  void give_back(Buffer& buffer) {
    buffer.is_out = false;
    buffer.memory.reset();
    free_.push_back(&buffer);
  }
  void left(const Arrival& came, SentFrame sent) {
    network_frames++;
    if (came.from_kernel) {
      require(sent.port == came.port && sent.bytes == came.frame,
              "a packet of the kernel's left otherwise than it came");
      return;
    }
    network_bytes += sent.bytes.size();
    check_sent(came, sent, *tables_);
    if (is_answer(came, sent)) answers_.push_back({&came, std::move(sent)});
  }
  void left_in_fragments(const Arrival& came) {
    for (const SentFrame& fragment : fragments_) {
      network_frames++;
      network_bytes += fragment.bytes.size();
    }
    check_sent_in_fragments(came, fragments_, some_refused_, *tables_);
    fragments_.clear();
    some_refused_ = false;
  }

  std::deque<Buffer> all_;
  std::vector<Buffer*> free_;
  std::uint32_t left_ = Arrivals::kNoLimit;  // for new packets
  const FuzzTables* tables_ = nullptr;
  std::vector<SentFrame> fragments_;  // that were sent since a packet was last done with
  bool some_refused_ = false;
  std::vector<Answered> answers_;
};

class CheckingPort final : public Port {
 public:
  enum class Kind { network, kernel };
  CheckingPort(PacketBuffers& buffers, std::uint32_t number, Kind kind)
      : buffers_(buffers), number_(number), kind_(kind) {}

  void put(const Arrival& arrival) { coming_.push_back(&arrival); }
  bool has_more() const { return !coming_.empty(); }
  void begin_turn(std::uint32_t room) { room_ = room; }

  void receive(Batch& batch) override {
    for (; !coming_.empty() && batch.count < kBatchMax; coming_.pop_front())
      batch.packets[batch.count++] = buffers_.receive(*coming_.front());
  }
  std::uint32_t transmit(Packet* const* packets, std::uint32_t count) override {
    const std::uint32_t taken = std::min(count, room_);
    room_ -= room_ == Arrivals::kNoLimit ? 0 : taken;
    for (const Packet* packet : std::span(packets, taken))
      kind_ == Kind::network ? buffers_.transmit(*packet, number_) : buffers_.to_kernel(*packet, number_);
    return taken;
  }
  bool allocate(Packet& packet, std::uint32_t frame_bytes) override { return buffers_.allocate(packet, frame_bytes); }
  void release(Packet* const* packets, std::uint32_t count) override {
    for (const Packet* packet : std::span(packets, count)) buffers_.release(*packet);
  }

 private:
  PacketBuffers& buffers_;
  std::uint32_t number_;
  Kind kind_;
  std::uint32_t room_ = Arrivals::kNoLimit;
  std::deque<const Arrival*> coming_;
};

PacketMachine::PacketMachine(const WorkerSettings& settings)
    : settings_(settings), buffers_(std::make_unique<PacketBuffers>()) {
  for (std::uint32_t set = 0; set < kTableSets; set++) tables_.emplace_back(set);
  for (std::uint32_t i = 0; i < kPorts; i++)
    network_.push_back(std::make_unique<CheckingPort>(*buffers_, i, CheckingPort::Kind::network));
  kernel_ = std::make_unique<CheckingPort>(*buffers_, 0, CheckingPort::Kind::kernel);
  ports_ = {WorkerPort{network_[0].get(), kernel_.get(), false, port_mac(0)},
            WorkerPort{network_[1].get(), nullptr, false, port_mac(1)},
            WorkerPort{network_[2].get(), nullptr, true, port_mac(2)}};
}
PacketMachine::~PacketMachine() = default;

// A fresh one now and then: its clock only goes on.
void PacketMachine::make_worker() {
  constexpr std::uint64_t kRunsOfAWorker = 1 << 16;
  if (runs_++ % kRunsOfAWorker != 0) return;
  worker_.reset();
  stats_ = std::make_unique<WorkerBlock>();
  buffers_->network_frames = buffers_->network_bytes = buffers_->kernel_frames = 0;
  worker_ = std::make_unique<Worker>(ports_, WorkerStats{stats_.get(), vips_, backends_, {}},
                                     WorkerFlows{flows_, flows_}, settings_);
  now_ = {};
}

std::vector<Answered> PacketMachine::run(const Arrivals& arrivals) {
  make_worker();
  // What other inputs have left is forgotten by then.
  constexpr Ns kApart = 2 * FragmentTable::kDatagramLifetime;
  now_ += kApart;
  const FuzzTables& tables = tables_[arrivals.tables];
  for (const Arrival& arrival : arrivals.all) {
    now_ += arrival.later;
    if (arrival.from_kernel && arrival.port != 0) continue;  // there is no such kernel path
    (arrival.from_kernel ? *kernel_ : *network_[arrival.port]).put(arrival);
    if (arrival.ends_turn) turn(tables, arrivals);
  }
  turn(tables, arrivals);
  while (kernel_->has_more() || std::ranges::any_of(network_, [](const auto& port) { return port->has_more(); }))
    turn(tables, arrivals);
  now_ += kApart;
  turn(tables, arrivals);
  require(counter(Counter::waiting_packets) == 0, "a fragment waits for longer than it may");
  return buffers_->take_answers();
}

void PacketMachine::turn(const FuzzTables& tables, const Arrivals& arrivals) {
  for (const auto& port : network_) port->begin_turn(arrivals.room);
  kernel_->begin_turn(arrivals.room);
  buffers_->begin_turn(tables, arrivals.buffers);
  const auto before = counters();
  worker_->poll(&tables.view(), now_);
  const auto after = counters();
  for (std::size_t i = 0; i < kCounterCount; i++)
    if (after[i] > before[i]) raised[i] = 1;
  buffers_->check_turn();
  check_counters();
}

// The equations of counters.def, and what the ports have seen.
void PacketMachine::check_counters() const {
  const auto all = counters();
  std::uint64_t ends =
      counter(Counter::tx_packets) + counter(Counter::to_kernel_packets) + counter(Counter::waiting_packets);
  for (std::size_t i = 0; i < kCounterCount; i++) ends += kCounters[i].is_drop ? all[i] : 0;
  require(counter(Counter::rx_packets) == ends, "received packets are not the sum of all ends");
  require(counter(Counter::from_kernel_packets) ==
              counter(Counter::from_kernel_tx_packets) + counter(Counter::from_kernel_dropped_packets),
          "packets of the kernel are not the sum of their ends");
  require(buffers_->network_frames ==
              counter(Counter::tx_packets) + counter(Counter::tx_fragments) + counter(Counter::from_kernel_tx_packets),
          "other frames left than were counted");
  require(buffers_->network_bytes == counter(Counter::tx_bytes), "other bytes left than were counted");
  require(buffers_->kernel_frames <= counter(Counter::to_kernel_packets), "the kernel got more than was counted");
  require(buffers_->out() == counter(Counter::waiting_packets), "a buffer was neither sent nor released");
}

std::array<std::uint64_t, kCounterCount> PacketMachine::counters() const {
  std::array<std::uint64_t, kCounterCount> all;
  for (std::size_t i = 0; i < kCounterCount; i++) all[i] = stats_->counters[i].load(std::memory_order_relaxed);
  return all;
}

std::uint64_t PacketMachine::counter(Counter counter) const {
  return stats_->counters[index(counter)].load(std::memory_order_relaxed);
}

}  // namespace guideway::fuzz
