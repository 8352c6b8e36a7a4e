#include "dataplane/replay/replay_port.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace guideway::replay {

Exchange::Buffer& Exchange::add(Packet& packet, std::uint32_t frame_bytes) {
  auto buffer = std::make_unique<Buffer>();
  buffer->bytes.resize(kNewPacketHeadroom + frame_bytes);
  packet = {};
  packet.data = buffer->bytes.data() + kNewPacketHeadroom;
  packet.headroom_bytes = kNewPacketHeadroom;
  packet.buffer = buffer.get();
  return *(buffers_[buffer.get()] = std::move(buffer));
}

std::unique_ptr<Exchange::Buffer> Exchange::take(const Packet& packet) {
  const auto found = buffers_.find(packet.buffer);
  std::unique_ptr<Buffer> buffer = std::move(found->second);
  buffers_.erase(found);
  return buffer;
}

void Exchange::receive(Packet& packet, std::span<const std::uint8_t> frame, std::uint32_t number) {
  const auto frame_bytes = static_cast<std::uint32_t>(frame.size());
  add(packet, frame_bytes).number = number;
  std::memcpy(packet.data, frame.data(), frame.size());
  packet.frame_bytes = frame_bytes;
  packet.contiguous_bytes = static_cast<std::uint16_t>(std::min<std::uint32_t>(frame_bytes, 0xffff));
}

void Exchange::allocate(Packet& packet, std::uint32_t frame_bytes) {
  add(packet, frame_bytes);
}

void Exchange::send(const Packet& packet, Way way) {
  if (PcapWriter* out = way == Way::network ? network_ : kernel_) out->write({now_, {packet.data, packet.frame_bytes}});
  const auto buffer = take(packet);
  if (buffer->number != 0)
    on_end_({buffer->number, 1, way, packet});
  else
    fragments_sent_++;
}

// A packet that was sent in fragments is released after them.
void Exchange::release(const Packet& packet) {
  const auto buffer = take(packet);
  if (buffer->number != 0) on_end_({buffer->number, std::exchange(fragments_sent_, 0), Way::network, packet});
}

void ReplayPort::receive(Batch& batch) {
  if (number_ == 0) return;
  exchange_.receive(batch.packets[batch.count++], frame_, std::exchange(number_, 0));
}

std::uint32_t ReplayPort::transmit(Packet* const* packets, std::uint32_t count) {
  for (const Packet* packet : std::span(packets, count)) exchange_.send(*packet, way_);
  return count;
}

bool ReplayPort::allocate(Packet& packet, std::uint32_t frame_bytes) {
  exchange_.allocate(packet, frame_bytes);
  return true;
}

void ReplayPort::release(Packet* const* packets, std::uint32_t count) {
  for (const Packet* packet : std::span(packets, count)) exchange_.release(*packet);
}

}  // namespace guideway::replay
