#include "common/tables/image.h"

#include <algorithm>
#include <bit>

#include "common/tables/slot_table.h"
#include "guideway/tables_view.h"

namespace guideway {
namespace {

template <typename Element>
ImageObjectPtr make_object(ObjectKind kind, const std::vector<Element>& elements, std::uint32_t probes_max = 0) {
  const std::uint32_t elements_at = elements_offset_bytes(kind);
  auto object = std::make_shared<ImageObject>(
      ImageObject{kind, std::vector<std::byte>(elements_at + elements.size() * sizeof(Element))});
  std::vector<std::byte>& bytes = object->bytes;
  ObjectHeader header{0, kind, static_cast<std::uint32_t>(elements.size()), static_cast<std::uint32_t>(bytes.size()),
                      probes_max};
  std::memcpy(bytes.data(), &header, sizeof header);
  if (!elements.empty()) std::memcpy(bytes.data() + elements_at, elements.data(), elements.size() * sizeof(Element));
  header.checksum = object_checksum(bytes);
  std::memcpy(bytes.data(), &header.checksum, sizeof header.checksum);
  return object;
}

// ---- VIPs and their indexes ----------------------------------------------------------------------------------------

ImageObjectPtr make_vips(const std::vector<DesiredVip>& vips) {
  std::vector<VipRecord> records;
  for (const DesiredVip& vip : vips) {
    VipRecord record{};
    record.address = vip.address;
    record.port = Be16::from_host(vip.port);
    record.protocol = vip.protocol;
    record.flags = vip.announce ? kVipAnnounce : 0;
    record.pool = static_cast<PoolId>(vip.pool);
    record.stats_index = vip.stats_index;
    record.unserved = vip.unserved;
    records.push_back(record);
  }
  return make_object(ObjectKind::vips, records);
}

VipIndex4Key key_of(const DesiredVip& vip, VipIndex4Key) {
  return {vip.address.v4(), Be16::from_host(vip.port), static_cast<std::uint8_t>(vip.protocol), 1};
}
VipIndex6Key key_of(const DesiredVip& vip, VipIndex6Key) {
  return {vip.address.bytes, Be16::from_host(vip.port), static_cast<std::uint8_t>(vip.protocol), 1, {}};
}

// Open addressing with linear probing, at most half full; `probes_max` is the longest way to any entry, so a lookup
// that has found nothing by then will not.
template <typename Entry>
class IndexBuilder {
 public:
  explicit IndexBuilder(std::size_t entries) : entries_(std::bit_ceil(std::max<std::size_t>(2 * entries, 2))) {}

  // The first entry of a key stays.
  void insert(const Entry& entry) {
    std::uint64_t at = index_hash(entry.key);
    for (std::uint32_t probes = 1;; probes++, at++) {
      Entry& place = entries_[at & (entries_.size() - 1)];
      if (place.key == entry.key) return;
      if (place.key.used != 0) continue;
      place = entry;
      probes_max_ = std::max(probes_max_, probes);
      return;
    }
  }
  ImageObjectPtr object(ObjectKind kind) const { return make_object(kind, entries_, probes_max_); }

 private:
  std::vector<Entry> entries_;
  std::uint32_t probes_max_ = 1;
};

template <typename Entry>
ImageObjectPtr make_index(const std::vector<DesiredVip>& vips, Family family, ObjectKind kind) {
  const auto of_family = [&](const DesiredVip& vip) { return vip.address.family() == family; };
  IndexBuilder<Entry> index(2 * static_cast<std::size_t>(std::count_if(vips.begin(), vips.end(), of_family)));
  for (std::uint32_t i = 0; i < vips.size(); i++) {
    if (!of_family(vips[i])) continue;
    auto key = key_of(vips[i], decltype(Entry::key){});
    index.insert({key, static_cast<VipId>(i), static_cast<PoolId>(vips[i].pool)});
    key.port = {};
    key.protocol = 0;
    index.insert({key, static_cast<VipId>(i), PoolId::none});
  }
  return index.object(kind);
}

// ---- Backends and their outer headers ------------------------------------------------------------------------------

constexpr std::uint8_t kOuterTtl = 64;

class HeaderWriter {
 public:
  explicit HeaderWriter(BackendRecord& record) : record_(record) {}
  template <typename Header>
  void append(const Header& header) {
    std::memcpy(record_.outer + record_.outer_bytes, &header, sizeof header);
    record_.outer_bytes = static_cast<std::uint8_t>(record_.outer_bytes + sizeof header);
  }

 private:
  BackendRecord& record_;
};

std::uint32_t ipv4_sum(const Ipv4Header& header) {
  const auto words = std::bit_cast<std::array<std::uint16_t, sizeof(Ipv4Header) / 2>>(header);
  std::uint32_t sum = 0;
  for (const std::uint16_t word : words) sum += word;
  return sum;
}

// Everything in front of the inner packet; what the encap stage fills in stays zero (tables.h, BackendRecord::outer).
void write_outer(BackendRecord& record, Encap encap, const IpAddress& to, const Egress& egress) {
  HeaderWriter writer(record);
  const bool ipv4 = to.is_v4();
  writer.append(EthernetHeader{egress.next_hop_mac, egress.source_mac,
                               Be16::from_host(static_cast<std::uint16_t>(ipv4 ? EtherType::ipv4 : EtherType::ipv6))});
  if (ipv4) {
    Ipv4Header ip{};
    ip.version_ihl = 0x45;
    ip.flags_fragment = Be16::from_host(kIpv4DontFragment);
    ip.ttl = kOuterTtl;
    ip.source = egress.source.v4();
    ip.destination = to.v4();
    record.outer_sum = ipv4_sum(ip);
    writer.append(ip);
  } else {
    Ipv6Header ip{};
    ip.version_class_label = Be32::from_host(0x6U << 28);
    ip.hop_limit = kOuterTtl;
    ip.source = egress.source.bytes;
    ip.destination = to.bytes;
    writer.append(ip);
  }
  if (encap == Encap::ipip) return;
  UdpHeader udp{};
  udp.ports.destination = Be16::from_host(kGuePort);
  writer.append(udp);
  if (encap == Encap::gue0) writer.append(GueHeader{});
}

BackendRecord make_backend(const DesiredBackend& backend, Encap encap) {
  BackendRecord record{};
  record.address = backend.address;
  record.stats_index = backend.stats_index;
  record.encap = encap;
  record.outer_family = backend.address.family();
  if (!backend.egress) return record;
  record.path_mtu_bytes = backend.egress->path_mtu_bytes;
  record.port = backend.egress->port;
  record.flags = kBackendReachable;
  write_outer(record, encap, backend.address, *backend.egress);
  return record;
}

ImageObjectPtr make_backends(const DesiredPool& pool) {
  std::vector<BackendRecord> records;
  for (const DesiredBackend& backend : pool.backends) records.push_back(make_backend(backend, pool.encap));
  return make_object(ObjectKind::backends, records);
}

// What a pool's slot table depends on, and nothing else.
std::vector<WeightedBackend> weights_of(const DesiredPool& pool) {
  std::vector<WeightedBackend> weights;
  for (const DesiredBackend& backend : pool.backends)
    weights.push_back({backend.address, backend.egress ? backend.weight : 0});
  return weights;
}

TableImage::Pool make_pool(const DesiredPool& pool) {
  TableImage::Pool made;
  made.encap = pool.encap;
  made.backend_count = static_cast<std::uint32_t>(pool.backends.size());
  if (!pool.backends.empty()) made.backends = make_backends(pool);
  const std::vector<SlotEntry> slots = build_slot_table(weights_of(pool), pool.slot_count);
  made.slot_count = static_cast<std::uint32_t>(slots.size());
  if (!slots.empty()) made.slots = make_object(ObjectKind::slots, slots);
  return made;
}

// Takes over from `before` what did not change.
TableImage::Pool make_pool_from(const DesiredPool& pool, const DesiredPool& before,
                                const TableImage::Pool& made_before) {
  if (pool == before) return made_before;
  if (pool.slot_count != before.slot_count || weights_of(pool) != weights_of(before)) return make_pool(pool);
  TableImage::Pool made = made_before;
  made.encap = pool.encap;
  if (!pool.backends.empty()) made.backends = make_backends(pool);
  return made;
}

}  // namespace

std::uint64_t ImageObject::checksum() const {
  std::uint64_t checksum = 0;
  std::memcpy(&checksum, bytes.data(), sizeof checksum);
  return checksum;
}

std::uint64_t TableImage::slots_digest() const {
  std::vector<std::uint64_t> checksums;
  for (const Pool& pool : pools) checksums.push_back(pool.slots ? pool.slots->checksum() : 0);
  return XXH3_64bits(checksums.data(), checksums.size() * sizeof(std::uint64_t));
}

TableImage ImageBuilder::build(const DesiredTables& desired) {
  TableImage image;
  image.hash_keys = expand_flow_hash_keys(desired.hash_secret);
  image.config_digest = desired.config_digest;
  if (last_image_.vips && desired.vips == last_desired_.vips) {
    image.vips = last_image_.vips;
    image.index4 = last_image_.index4;
    image.index6 = last_image_.index6;
  } else {
    image.vips = make_vips(desired.vips);
    image.index4 = make_index<VipIndex4Entry>(desired.vips, Family::ipv4, ObjectKind::index4);
    image.index6 = make_index<VipIndex6Entry>(desired.vips, Family::ipv6, ObjectKind::index6);
  }
  for (std::size_t i = 0; i < desired.pools.size(); i++) {
    const DesiredPool& pool = desired.pools[i];
    image.pools.push_back(i < last_image_.pools.size()
                              ? make_pool_from(pool, last_desired_.pools[i], last_image_.pools[i])
                              : make_pool(pool));
  }
  last_desired_ = desired;
  last_image_ = image;
  return image;
}

}  // namespace guideway
