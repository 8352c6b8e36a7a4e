// Ports over buffers in memory, which tell what becomes of each packet.
//
//   ReplayPort (network) ─┐
//   ReplayPort (kernel)  ─┴─► Exchange: all buffers, the capture files, and the number of each packet
//
// Thread-safety: one thread.
#pragma once

#include <functional>
#include <memory>
#include <unordered_map>
#include <vector>

#include "dataplane/port.h"
#include "dataplane/replay/pcap_file.h"

namespace guideway::replay {

enum class Way { network, kernel };

// A packet's end. `packet` describes it, but its bytes may have changed.
struct End {
  std::uint32_t number = 0;  // in the capture, from 1
  std::uint32_t frames = 0;  // sent for it; 0: it was dropped
  Way way = Way::network;
  const Packet& packet;
};

class Exchange {
 public:
  // `network`, `kernel`: where frames sent are written; nullptr: nowhere. Both outlive it.
  Exchange(PcapWriter* network, PcapWriter* kernel, std::function<void(const End&)> on_end)
      : network_(network), kernel_(kernel), on_end_(std::move(on_end)) {}

  void set_time(Ns now) { now_ = now; }  // since 1970
  void receive(Packet& packet, std::span<const std::uint8_t> frame, std::uint32_t number);
  void allocate(Packet& packet, std::uint32_t frame_bytes);
  void send(const Packet& packet, Way way);
  void release(const Packet& packet);

 private:
  struct Buffer {
    std::vector<std::uint8_t> bytes;
    std::uint32_t number = 0;  // 0: of a fragment that we made
  };
  Buffer& add(Packet& packet, std::uint32_t frame_bytes);
  std::unique_ptr<Buffer> take(const Packet& packet);

  PcapWriter* network_;
  PcapWriter* kernel_;
  std::function<void(const End&)> on_end_;
  Ns now_{};
  std::unordered_map<void*, std::unique_ptr<Buffer>> buffers_;
  std::uint32_t fragments_sent_ = 0;  // of the packet that is being sent in fragments
};

class ReplayPort final : public Port {
 public:
  ReplayPort(Exchange& exchange, Way way) : exchange_(exchange), way_(way) {}

  // What the next receive() gives. The frame's bytes have to be there until then.
  void put(std::span<const std::uint8_t> frame, std::uint32_t number) {
    frame_ = frame;
    number_ = number;
  }

  void receive(Batch& batch) override;
  std::uint32_t transmit(Packet* const* packets, std::uint32_t count) override;
  bool allocate(Packet& packet, std::uint32_t frame_bytes) override;
  void release(Packet* const* packets, std::uint32_t count) override;

 private:
  Exchange& exchange_;
  Way way_;
  std::span<const std::uint8_t> frame_;
  std::uint32_t number_ = 0;  // 0: nothing to receive
};

}  // namespace guideway::replay
