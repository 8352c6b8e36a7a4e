#include "common/tables/backends_image.h"

#include <algorithm>
#include <bit>

#include "common/tables/image_object.h"

namespace guideway {
namespace {

constexpr std::uint8_t kOuterTtl = 64;

class HeaderWriter {
 public:
  explicit HeaderWriter(OuterTemplate& outer) : outer_(outer) {}
  template <typename Header>
  void append(const Header& header) {
    std::memcpy(outer_.header + outer_.header_bytes, &header, sizeof header);
    outer_.header_bytes = static_cast<std::uint8_t>(outer_.header_bytes + sizeof header);
  }

 private:
  OuterTemplate& outer_;
};

std::uint32_t ipv4_sum(const Ipv4Header& header) {
  const auto words = std::bit_cast<std::array<std::uint16_t, sizeof(Ipv4Header) / 2>>(header);
  std::uint32_t sum = 0;
  for (const std::uint16_t word : words) sum += word;
  return sum;
}

// The Ethernet header and the port's VLAN tags. 802.1ad has the outer of two tags announced by a type of its own.
void write_ethernet(HeaderWriter& writer, const Egress& egress, EtherType carried) {
  const auto type = [](EtherType value) { return Be16::from_host(static_cast<std::uint16_t>(value)); };
  const std::vector<std::uint16_t>& vlans = egress.vlans;
  const EtherType first = vlans.empty() ? carried : vlans.size() == 1 ? EtherType::vlan : EtherType::qinq;
  writer.append(EthernetHeader{MacAddress{}, egress.source_mac, type(first)});
  for (std::size_t i = 0; i < vlans.size(); i++)
    writer.append(VlanTag{Be16::from_host(vlans[i]), type(i + 1 < vlans.size() ? EtherType::vlan : carried)});
}

// Which of the last 32 bits of an outer source vary by flow.
Be32 source_entropy(const IpPrefix& prefix) {
  const std::uint32_t bits = prefix.address.is_v4() ? prefix.bits : std::max(prefix.bits, std::uint8_t{96}) - 96U;
  return Be32::from_host(static_cast<std::uint32_t>((std::uint64_t{1} << (32 - bits)) - 1));
}

// Destinations are the backend's, not the template's.
void write_ip(OuterTemplate& outer, HeaderWriter& writer, const IpAddress& source) {
  if (outer.family == Family::ipv4) {
    Ipv4Header ip{};
    ip.version_ihl = 0x45;
    ip.flags_fragment = Be16::from_host(kIpv4DontFragment);
    ip.ttl = kOuterTtl;
    ip.source = source.v4();
    outer.ipv4_sum = ipv4_sum(ip);
    writer.append(ip);
  } else {
    Ipv6Header ip{};
    ip.version_class_label = Be32::from_host(0x6U << 28);
    ip.hop_limit = kOuterTtl;
    ip.source = source.bytes;
    writer.append(ip);
  }
}

// Everything in front of the inner packet; what the encap stage fills in stays zero (tables.h, OuterTemplate::header).
void write_header(OuterTemplate& outer, const Egress& egress) {
  HeaderWriter writer(outer);
  const bool varies = egress.source_prefix && (outer.encap == Encap::ipip || outer.encap == Encap::gre);
  write_ethernet(writer, egress, outer.family == Family::ipv4 ? EtherType::ipv4 : EtherType::ipv6);
  outer.ip_at = outer.header_bytes;
  if (outer.encap == Encap::l2dsr) return;
  write_ip(outer, writer, varies ? egress.source_prefix->address : egress.source);
  if (varies) outer.source_entropy = source_entropy(*egress.source_prefix);
  if (outer.encap == Encap::ipip) return;
  if (outer.encap == Encap::gre) return writer.append(GreHeader{});
  UdpHeader udp{};
  udp.ports.destination = Be16::from_host(kGuePort);
  writer.append(udp);
  if (outer.encap == Encap::gue0) writer.append(GueHeader{});
}

OuterTemplate make_outer(const DesiredPool& pool, const Egress& egress, Family family) {
  OuterTemplate outer{};
  outer.path_mtu_bytes = egress.path_mtu_bytes;
  outer.encap = pool.encap;
  outer.family = family;
  outer.oversize = pool.oversize;
  // RFC 6040, section 4.1: ECN is always copied. The class is DSCP (6 bits) and ECN (2).
  outer.tos_keep = pool.dscp ? 0x03 : 0xff;
  outer.tos_set = static_cast<std::uint8_t>(pool.dscp.value_or(0) << 2);
  write_header(outer, egress);
  return outer;
}

BackendRecord make_backend(const DesiredBackend& backend, const DesiredPool& pool, OuterTemplates& outers) {
  BackendRecord record{};
  record.address = backend.address;
  record.stats_index = backend.stats_index;
  record.weight = static_cast<std::uint16_t>(backend.weight);
  if (backend.alive) record.flags |= kBackendAlive;
  record.outer = kNoOuter;
  if (!backend.egress) return record;
  record.port = backend.egress->port;
  record.next_hop = backend.egress->next_hop_mac;
  record.outer = outers.number_of(make_outer(pool, *backend.egress, backend.address.family()));
  return record;
}

}  // namespace

std::uint16_t OuterTemplates::number_of(const OuterTemplate& outer) {
  const auto [known, is_new] = numbers_.try_emplace(
      std::bit_cast<Bytes>(outer), static_cast<std::uint16_t>(std::min<std::size_t>(all_.size(), kOutersMax)));
  if (is_new && all_.size() < kOutersMax) all_.push_back(outer);
  return known->second;
}

BackendsDraft draft_backends(const DesiredPool& pool) {
  BackendsDraft draft;
  OuterTemplates outers;
  for (const DesiredBackend& backend : pool.backends) draft.records.push_back(make_backend(backend, pool, outers));
  draft.outers = outers.all();
  return draft;
}

ImageObjectPtr make_backends(const BackendsDraft& draft, const std::vector<std::uint16_t>& numbers) {
  std::vector<BackendRecord> records = draft.records;
  for (BackendRecord& record : records) {
    if (is_reachable(record)) record.outer = numbers[record.outer];
  }
  return make_object(ObjectKind::backends, records);
}

}  // namespace guideway
