#include "dataplane/replay/report.h"

#include <fmt/format.h>

#include "common/net/address_text.h"
#include "dataplane/stages/parse_icmp.h"
#include "dataplane/stages/service.h"
#include "dataplane/stages/stages.h"

namespace guideway::replay {
namespace {

std::string protocol_text(const Packet& packet) {
  switch (packet.protocol) {
    case IpProto::tcp:
      return "tcp";
    case IpProto::udp:
      return "udp";
    case IpProto::icmp:
      return "icmp";
    case IpProto::icmpv6:
      return "icmpv6";
    default:
      return fmt::format("protocol {}", static_cast<unsigned>(packet.protocol));
  }
}

std::string kind_text(const Packet& packet) {
  switch (packet.kind) {
    case PacketKind::first_fragment:
      return protocol_text(packet) + ", first fragment";
    case PacketKind::later_fragment:
      return protocol_text(packet) + ", later fragment";
    case PacketKind::echo_request:
      return protocol_text(packet) + " echo request";
    case PacketKind::icmp_error:
      return fmt::format("icmp error about {} port {} > {}", protocol_text(packet), packet.ports.destination.host(),
                         packet.ports.source.host());
    case PacketKind::flow:
    case PacketKind::other:
      return protocol_text(packet);
  }
  return "";
}

IpAddress source_of(const Packet& packet) {
  return packet.family == Family::ipv4 ? IpAddress::from_v4(ipv4_source(packet.l3()))
                                       : IpAddress{ipv6_source(packet.l3())};
}
IpAddress destination_of(const Packet& packet) {
  return packet.family == Family::ipv4 ? IpAddress::from_v4(ipv4_destination(packet.l3()))
                                       : IpAddress{ipv6_destination(packet.l3())};
}

// A frame as the parse stage sees it.
class Parsed {
 public:
  explicit Parsed(std::span<const std::uint8_t> frame) : bytes_(frame.begin(), frame.end()) {
    Packet& packet = batch_.packets[batch_.count++];
    packet.data = bytes_.data();
    packet.frame_bytes = static_cast<std::uint32_t>(bytes_.size());
    packet.contiguous_bytes = static_cast<std::uint16_t>(std::min<std::size_t>(bytes_.size(), 0xffff));
    parse(batch_);
  }
  const Packet& packet() const { return batch_.packets[0]; }

 private:
  std::vector<std::uint8_t> bytes_;
  Batch batch_;
};

std::string describe(const Packet& packet) {
  if (packet.family == Family::none) return fmt::format("no IP, {} bytes", packet.frame_bytes);
  std::string source = to_text(source_of(packet), packet.family);
  std::string destination = to_text(destination_of(packet), packet.family);
  if (packet.kind == PacketKind::flow) {
    source = with_port(source, std::to_string(packet.ports.source.host()));
    destination = with_port(destination, std::to_string(packet.ports.destination.host()));
  }
  return fmt::format("{} > {} {}, {} bytes", source, destination, kind_text(packet), packet.frame_bytes);
}

// Whose packet it is; of an ICMP error, to whom the quoted one went.
IpAddress client_of(const Packet& packet) {
  if (packet.family == Family::none) return {};
  if (packet.kind != PacketKind::icmp_error) return source_of(packet);
  const std::uint8_t* quote = quoted_packet(packet);
  return packet.family == Family::ipv4 ? IpAddress::from_v4(ipv4_destination(quote))
                                       : IpAddress{ipv6_destination(quote)};
}

std::string counter_text(Counter counter) {
  return fmt::format("{}: {}", kCounters[index(counter)].name, kCounters[index(counter)].sentence);
}

}  // namespace

void Report::received(Ns time, std::span<const std::uint8_t> frame) {
  const double seconds = std::chrono::duration<double>(time).count();
  const Parsed parsed(frame);
  lines_.push_back({fmt::format("{:5} {:12.6f} {}", lines_.size() + 1, seconds, describe(parsed.packet())),
                    {parsed.packet().family, client_of(parsed.packet())},
                    Line{}.end});
}

void Report::ended(const End& end) {
  Line& line = lines_[end.number - 1];
  line.end = text_of(end, line.client);
}

std::string Report::text_of(const End& end, const Client& client) const {
  const Packet& packet = end.packet;
  if (end.way == Way::kernel) return "to the kernel";
  switch (packet.verdict) {
    case Verdict::forward:
      return "sent to " + backend_text(packet, client);
    case Verdict::split_outer:
    case Verdict::split_inner:
      if (end.frames == 1) return "sent to " + backend_text(packet, client);
      return fmt::format("sent in {} fragments to {}", end.frames, backend_text(packet, client));
    case Verdict::reply:
      return "answered, " + counter_text(answered_as(packet.reason));
    case Verdict::to_kernel:
      return "to the kernel, but there is no way to it";
    default:
      return "dropped, " + counter_text(packet.reason);
  }
}

std::string Report::backend_text(const Packet& packet, const Client& client) const {
  const config::Vip& vip = config_.vips[index(packet.vip)];
  const config::Pool& pool = config_.pools[index(packet.pool)];
  const PoolView& slots = view_.pools[index(packet.pool)];
  const std::uint64_t hash = slot_hash(view_.hash_keys, slots, packet.hash, client.family, client.address);
  const Slot slot = slot_of(hash, slots.slot_count);
  const config::Backend& backend = pool.backends[static_cast<std::size_t>(packet.backend - slots.backends)];
  const std::string also = packet.reason == kNothing ? "" : ", " + std::string(kCounters[index(packet.reason)].name);
  return fmt::format("{}/{} {} (vip {}, slot {} of {}, {}{})", pool.name, backend.name, to_text(backend.address),
                     vip.name, index(slot), slots.slot_count, to_text(pool.encap), also);
}

void Report::print(std::FILE* out) const {
  for (const Line& line : lines_) fmt::print(out, "{}: {}\n", line.what, line.end);
}

}  // namespace guideway::replay
