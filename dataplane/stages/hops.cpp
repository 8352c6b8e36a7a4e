#include "dataplane/stages/hops.h"

#include "dataplane/stages/parse_icmp.h"
#include "dataplane/stages/service.h"

namespace guideway {
namespace {

// Distinct backends other than the packet's own, as far as they can be reached by its outer header's family.
class Hops {
 public:
  explicit Hops(const BackendRecord& first) : first_(first), family_(first.address.family()) {}

  void add(const BackendRecord* backend) {
    if (!can_take(backend) || backend == &first_ || count_ == hops_max(family_) || backend->address.family() != family_)
      return;
    for (std::size_t i = 0; i < count_; i++)
      if (addresses_[i] == backend->address) return;
    addresses_[count_++] = backend->address;
  }
  std::span<const IpAddress> all() const { return {addresses_.data(), count_}; }

 private:
  const BackendRecord& first_;
  Family family_;
  std::array<IpAddress, kHopsMax> addresses_;
  std::size_t count_ = 0;
};

}  // namespace

std::uint64_t source_slot_hash(const Packet& packet, const TablesView& view, const PoolView& pool) {
  const bool quoted = packet.kind == PacketKind::icmp_error;  // and went the other way
  const std::uint8_t* ip = quoted ? quoted_packet(packet) : packet.l3();
  if (packet.family == Family::ipv4)
    return source_hash(view.hash_keys, quoted ? ipv4_destination(ip) : ipv4_source(ip), pool.source_bits4);
  return source_hash(view.hash_keys, quoted ? ipv6_destination(ip) : ipv6_source(ip), pool.source_bits6);
}

// The owner has all that is new; of the owners before it the newer ones have more left.
HopList hop_list_of(const Packet& packet, const TablesView& view) {
  HopList list;
  const PoolView* pool = pool_view(view, packet.pool);
  if (pool == nullptr || pool->slot_count == 0) return list;
  const Slot slot = slot_of(slot_hash(packet, view, *pool), pool->slot_count);
  Hops hops(*packet.backend);
  hops.add(owner_of(*pool, pool->slots[index(slot)]));
  if (const PastOwners* past = past_owners(*pool, slot); past != nullptr)
    for (std::size_t i = past->backends.size(); i-- > 0;) hops.add(backend_record(*pool, past->backends[i]));
  if (!hops.all().empty())
    list.bytes = write_hop_list(list.data.data(), packet.backend->address.family(), hops.all(), view.generation);
  return list;
}

}  // namespace guideway
