#include "perf/trace_port.h"

#include <sys/mman.h>

#include <cstdlib>
#include <cstring>
#include <new>
#include <random>

namespace guideway::perf {
namespace {

// A ring of one flow is still larger than a core's own caches: a NIC leaves frames in the shared one.
constexpr std::uint32_t kFramesMin = 16384;
constexpr std::size_t kHugepageBytes = std::size_t{2} << 20;

std::uint32_t l4_bytes_of(TraceKind kind) {
  return kind == TraceKind::udp ? sizeof(UdpHeader) : sizeof(TcpHeader);
}
std::uint32_t ip_bytes_of(Family family) {
  return family == Family::ipv4 ? sizeof(Ipv4Header) : sizeof(Ipv6Header);
}

struct Endpoints {
  IpAddress source, destination;
  Be16 source_port;
};

Endpoints random_flow(const TraceSpec& spec, std::uint32_t i, std::mt19937& random) {
  Endpoints flow;
  flow.destination = destination_of(spec.family, spec.kind != TraceKind::not_vip, i % spec.vips);
  flow.source_port = Be16::from_host(static_cast<std::uint16_t>(1024 + random() % 60000));
  auto address = static_cast<std::uint32_t>(random());
  if (spec.family == Family::ipv4) {
    while (!may_be_source4(address)) address = static_cast<std::uint32_t>(random());
    flow.source = IpAddress::from_v4(Be32::from_host(address));
  } else {
    flow.source.bytes = {0x20, 0x01, 0x0d, 0xb8, 0x00, 0x01};
    store(&flow.source.bytes[12], Be32::from_host(address));
  }
  return flow;
}

void write_ip(std::uint8_t* at, const TraceSpec& spec, const Endpoints& flow, std::uint16_t bytes) {
  const auto protocol = static_cast<std::uint8_t>(spec.kind == TraceKind::udp ? IpProto::udp : IpProto::tcp);
  if (spec.family == Family::ipv4) {
    Ipv4Header ip{};
    ip.version_ihl = 0x45;
    ip.total_length = Be16::from_host(bytes);
    ip.ttl = 64;
    ip.protocol = protocol;
    ip.source = flow.source.v4();
    ip.destination = flow.destination.v4();
    store(at, ip);
  } else {
    Ipv6Header ip{};
    ip.version_class_label = Be32::from_host(0x60000000);
    ip.payload_length = Be16::from_host(static_cast<std::uint16_t>(bytes - sizeof ip));
    ip.next_header = protocol;
    ip.hop_limit = 64;
    ip.source = flow.source.bytes;
    ip.destination = flow.destination.bytes;
    store(at, ip);
  }
}

void write_l4(std::uint8_t* at, TraceKind kind, Be16 source_port, std::uint16_t bytes) {
  const Ports ports{source_port, Be16::from_host(kVipPort)};
  if (kind == TraceKind::udp) {
    UdpHeader udp{};
    udp.ports = ports;
    udp.length = Be16::from_host(bytes);
    store(at, udp);
  } else {
    TcpHeader tcp{};
    tcp.ports = ports;
    tcp.data_offset = 0x50;
    tcp.flags = kind == TraceKind::syn ? kTcpSyn : kTcpAck;
    store(at, tcp);
  }
}

std::uint8_t* allocate_buffers(std::size_t bytes) {
  bytes = (bytes + kHugepageBytes - 1) / kHugepageBytes * kHugepageBytes;
  void* memory = std::aligned_alloc(kHugepageBytes, bytes);
  if (memory == nullptr) throw std::bad_alloc();
  madvise(memory, bytes, MADV_HUGEPAGE);  // buffers lie in hugepages behind a NIC, too
  std::memset(memory, 0, bytes);
  return static_cast<std::uint8_t*>(memory);
}

}  // namespace

IpAddress destination_of(Family family, bool is_vip, std::uint32_t i) {
  if (family == Family::ipv4) return IpAddress::from_v4(Be32::from_host((is_vip ? 0xcb007100 : 0xc6120000) + i));
  IpAddress address{{0x20, 0x01, 0x0d, 0xb8, 0x00, static_cast<std::uint8_t>(is_vip ? 2 : 3)}};
  store(&address.bytes[12], Be32::from_host(i + 1));
  return address;
}

void Trace::Free::operator()(std::uint8_t* memory) const {
  std::free(memory);
}

Trace::Trace(const TraceSpec& spec)
    : frames_(std::max(spec.flows, kFramesMin)),
      frame_bytes_(static_cast<std::uint16_t>(std::max<std::uint32_t>(
          spec.frame_bytes,
          static_cast<std::uint32_t>(sizeof(EthernetHeader)) + ip_bytes_of(spec.family) + l4_bytes_of(spec.kind)))),
      buffer_bytes_(kHeadroomBytes + (frame_bytes_ + kCacheLineBytes - 1) / kCacheLineBytes * kCacheLineBytes),
      ethernet_{
          {{2, 0, 0, 0, 0, 1}},
          {{2, 0, 0, 0, 0, 2}},
          Be16::from_host(static_cast<std::uint16_t>(spec.family == Family::ipv4 ? EtherType::ipv4 : EtherType::ipv6))},
      buffers_(allocate_buffers(std::size_t{frames_} * buffer_bytes_)) {
  std::mt19937 random(1);
  std::vector<Endpoints> flows;
  for (std::uint32_t i = 0; i < spec.flows; i++) flows.push_back(random_flow(spec, i, random));
  const auto l3_bytes = static_cast<std::uint16_t>(frame_bytes_ - sizeof ethernet_);
  for (std::uint32_t i = 0; i < frames_; i++) {
    const Endpoints& flow = flows[i % spec.flows];
    std::uint8_t* ip = frame(i) + sizeof ethernet_;
    const std::uint32_t ip_bytes = ip_bytes_of(spec.family);
    store(frame(i), ethernet_);
    write_ip(ip, spec, flow, l3_bytes);
    write_l4(ip + ip_bytes, spec.kind, flow.source_port, static_cast<std::uint16_t>(l3_bytes - ip_bytes));
  }
}

void TracePort::receive(Batch& batch) {
  batch.count = kBatchMax;
  for (std::uint32_t i = 0; i < kBatchMax; i++) __builtin_prefetch(trace_.frame(next_ + i));
  for (std::uint32_t i = 0; i < kBatchMax; i++) {
    Packet& packet = batch.packets[i];
    packet = {};
    packet.data = trace_.frame(next_ + i);
    packet.buffer = packet.data;
    packet.frame_bytes = trace_.frame_bytes();
    packet.contiguous_bytes = trace_.frame_bytes();
    packet.headroom_bytes = Trace::kHeadroomBytes;
  }
  next_ = next_ + 2 * kBatchMax <= trace_.frames() ? next_ + kBatchMax : 0;
}

std::uint32_t TracePort::transmit(Packet* const* packets, std::uint32_t count) {
  put_back(packets, count);
  sent_ += count;
  return count;
}

void TracePort::release(Packet* const* packets, std::uint32_t count) {
  put_back(packets, count);
  released_ += count;
}

void TracePort::put_back(Packet* const* packets, std::uint32_t count) {
  const EthernetHeader ethernet = trace_.ethernet();
  for (std::uint32_t i = 0; i < count; i++) store(static_cast<std::uint8_t*>(packets[i]->buffer), ethernet);
}

}  // namespace guideway::perf
