#include "common/config/tables_size.h"

#include <algorithm>
#include <bit>

#include "guideway/quic_tables.h"
#include "guideway/tables.h"

namespace guideway::config {
namespace {

constexpr std::uint64_t kMiB = 1 << 20;
constexpr std::uint64_t kTablesMibMax = kTablesBytesMax / kMiB;

std::uint64_t object_bytes(ObjectKind kind, std::uint64_t elements, std::uint64_t element_bytes) {
  const std::uint64_t bytes = elements_offset_bytes(kind) + elements * element_bytes;
  return (bytes + kObjectUnitBytes - 1) / kObjectUnitBytes * kObjectUnitBytes;
}

// At most half full, and a power of two.
std::uint64_t index_bytes(ObjectKind kind, std::uint64_t entries, std::uint64_t entry_bytes) {
  return object_bytes(kind, std::bit_ceil(std::max<std::uint64_t>(2 * entries, 2)), entry_bytes);
}

std::uint64_t history_bytes(const Pool& pool) {
  return object_bytes(ObjectKind::history, std::uint64_t{history_blocks(pool.slots)} + pool.slots, sizeof(HistoryWord));
}

std::uint64_t pool_bytes(const Pool& pool) {
  std::uint64_t bytes = object_bytes(ObjectKind::slots, pool.slots, sizeof(SlotEntry)) +
                        object_bytes(ObjectKind::backends, pool.backends.size(), sizeof(BackendRecord));
  if (!pool.quic) return bytes;
  std::uint64_t ids = 0;
  for (const Backend& backend : pool.backends) ids += backend.server_ids.size();
  return bytes + index_bytes(ObjectKind::quic, ids, sizeof(QuicServerEntry));
}

// Ways out are of the kernel: each backend may have one that no other has.
std::uint64_t outers_bytes(const Config& config) {
  std::uint64_t backends = 0;
  for (const Pool& pool : config.pools) backends += pool.backends.size();
  return object_bytes(ObjectKind::outers, std::min<std::uint64_t>(backends, kOutersMax), sizeof(OuterTemplate));
}

// The sources of outer headers: the kernel may know another one for each backend.
std::uint64_t sources_max(const Config& config, Family family) {
  std::uint64_t sources = 0;
  for (const Port& port : config.dataplane.ports)
    sources += port.source_addresses.size() + port.ipip_source_prefixes.size();
  for (const Pool& pool : config.pools)
    for (const Backend& backend : pool.backends) sources += backend.address.family() == family ? 1U : 0U;
  return sources;
}

// A VIP has an entry for its service, and one for its prefix.
std::uint64_t vips_bytes(const Config& config) {
  const auto entries = [&](Family family) {
    const auto of_family = [&](const Vip& vip) { return vip.prefix.address.family() == family; };
    return 2 * static_cast<std::uint64_t>(std::ranges::count_if(config.vips, of_family)) + sources_max(config, family);
  };
  return object_bytes(ObjectKind::vips, config.vips.size(), sizeof(VipRecord)) +
         index_bytes(ObjectKind::index4, entries(Family::ipv4), sizeof(VipIndex4Entry)) +
         index_bytes(ObjectKind::index6, entries(Family::ipv6), sizeof(VipIndex6Entry));
}

std::uint64_t mib_of(std::uint64_t bytes) {
  return (bytes + kMiB - 1) / kMiB;
}

std::string in_mib(std::uint64_t mib) {
  return std::to_string(mib) + "MiB";
}

std::string fix_for(std::uint64_t bytes) {
  const std::uint64_t mib = mib_of(bytes);
  if (mib <= kTablesMibMax) return "write tables_memory = \"" + in_mib(mib) + "\"";
  return "no more than " + in_mib(kTablesMibMax) + " is possible, so give pools fewer slots";
}

}  // namespace

TablesSize tables_size(const Config& config) {
  TablesSize size;
  std::uint64_t history = 0;
  for (const Pool& pool : config.pools) {
    size.settled_bytes += pool_bytes(pool);
    history += history_bytes(pool);
  }
  const std::uint64_t root_and_pools =
      sizeof(GenerationRoot) + object_bytes(ObjectKind::pools, config.pools.size(), sizeof(PoolRecord));
  size.settled_bytes += sizeof(TablesHeader) + vips_bytes(config) + outers_bytes(config) +
                        object_bytes(ObjectKind::directory, config.dataplane.backends_max, sizeof(BackendPlace)) +
                        2 * root_and_pools;
  size.unsettled_bytes = size.settled_bytes + history;
  return size;
}

void review_tables_size(const Config& config, Place place, Review& review) {
  const TablesSize size = tables_size(config);
  const std::uint64_t memory_bytes = config.control.tables_mib * kMiB;
  const std::string memory = "tables_memory is " + in_mib(config.control.tables_mib);
  if (size.settled_bytes > memory_bytes)
    review.error(place, memory + ", but these pools, backends and VIPs take up to " +
                            in_mib(mib_of(size.settled_bytes)) + "; " + fix_for(size.settled_bytes));
  else if (size.unsettled_bytes > memory_bytes)
    review.warning(place, memory + ", but with the history of slots that have moved the tables take up to " +
                              in_mib(mib_of(size.unsettled_bytes)) +
                              "; where it does not fit it is left out, and connections of such slots break; " +
                              fix_for(size.unsettled_bytes));
}

}  // namespace guideway::config
