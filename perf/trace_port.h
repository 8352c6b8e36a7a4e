// A port that costs next to nothing: its packets are prepared in memory, one behind the other in a ring, and what is
// sent comes round again.
//
//   buffer:  headroom (64) │ frame                      the frame begins on a cache line, as behind a NIC
//
// receive() does what the DPDK port does with the buffers of a burst (prefetch, fill the Packets in). transmit() and
// release() put the Ethernet header back, which outer headers overwrite; all other bytes that the packet path writes
// lie in the headroom. It is still in cache then, so that this is two stores.
//
// Thread-safety: one thread.
#pragma once

#include <compare>
#include <memory>
#include <string>

#include "dataplane/port.h"
#include "guideway/address.h"
#include "guideway/wire.h"

namespace guideway::perf {

enum class TraceKind { tcp, syn, udp, not_vip };

struct TraceSpec {
  Family family = Family::ipv4;
  TraceKind kind = TraceKind::tcp;
  std::uint32_t flows = 1;         // with random sources
  std::uint32_t vips = 1;          // destinations
  std::uint32_t frame_bytes = 64;  // or more, if the headers need it
  friend auto operator<=>(const TraceSpec&, const TraceSpec&) = default;
};

// The destination with number `i`: a VIP, or an address that is nobody's.
IpAddress destination_of(Family family, bool is_vip, std::uint32_t i);
inline constexpr std::uint16_t kVipPort = 80;

// Where IPv4 clients are: anywhere that unicast addresses are routed, but for the networks of destinations. None is
// refused. IPv6 clients are in 2001:db8:1::/48.
constexpr bool may_be_source4(std::uint32_t address) {
  const std::uint32_t network = address >> 24;
  return network >= 1 && network <= 223 && network != 10 && network != 127 && network != 169 && network != 198 &&
         network != 203;
}

// The frames of a trace; any number of ports may hand them out, one after the other.
class Trace {
 public:
  explicit Trace(const TraceSpec& spec);

  static constexpr std::uint32_t kHeadroomBytes = 64;

  std::uint8_t* frame(std::uint32_t i) const {
    return buffers_.get() + std::size_t{i} * buffer_bytes_ + kHeadroomBytes;
  }
  std::uint32_t frames() const { return frames_; }
  std::uint16_t frame_bytes() const { return frame_bytes_; }
  const EthernetHeader& ethernet() const { return ethernet_; }

 private:
  struct Free {
    void operator()(std::uint8_t* memory) const;
  };
  std::uint32_t frames_;
  std::uint16_t frame_bytes_;
  std::uint32_t buffer_bytes_;
  EthernetHeader ethernet_;
  std::unique_ptr<std::uint8_t, Free> buffers_;
};

// Counts what became of its packets; what comes round again cannot be counted by looking.
class LoopPort : public Port {
 public:
  std::uint64_t sent() const { return sent_; }
  std::uint64_t released() const { return released_; }

 protected:
  std::uint64_t sent_ = 0;
  std::uint64_t released_ = 0;
};

class TracePort final : public LoopPort {
 public:
  explicit TracePort(const Trace& trace) : trace_(trace) {}

  void receive(Batch& batch) override;
  std::uint32_t transmit(Packet* const* packets, std::uint32_t count) override;
  void release(Packet* const* packets, std::uint32_t count) override;
  bool allocate(Packet&, std::uint32_t) override { return false; }

 private:
  void put_back(Packet* const* packets, std::uint32_t count);

  const Trace& trace_;
  std::uint32_t next_ = 0;
};

}  // namespace guideway::perf
