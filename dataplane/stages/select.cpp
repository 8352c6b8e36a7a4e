#include "dataplane/stages/hops.h"
#include "dataplane/stages/parse_icmp.h"
#include "dataplane/stages/service.h"
#include "dataplane/stages/stages.h"
#include "dataplane/stages/track.h"
#include "guideway/quic_route.h"

namespace guideway {
namespace {

std::uint64_t hash_of(const Packet& packet, const TablesView& view) {
  const std::uint8_t* ip = packet.l3();
  if (packet.kind == PacketKind::icmp_error) [[unlikely]] {  // what is quoted went the other way
    const std::uint8_t* quote = quoted_packet(packet);
    if (packet.family == Family::ipv4)
      return flow_hash(view.hash_keys,
                       FlowKey4{ipv4_destination(quote), ipv4_source(quote), packet.ports, packet.protocol});
    return flow_hash(view.hash_keys,
                     FlowKey6{ipv6_destination(quote), ipv6_source(quote), packet.ports, packet.protocol});
  }
  if (packet.family == Family::ipv4)
    return flow_hash(view.hash_keys, FlowKey4{ipv4_source(ip), ipv4_destination(ip), packet.ports, packet.protocol});
  return flow_hash(view.hash_keys, FlowKey6{ipv6_source(ip), ipv6_destination(ip), packet.ports, packet.protocol});
}

// What encap will write: the line in front of the frame, which no NIC has touched. Where there is none, nothing
// happens.
void prefetch_front(const Packet& packet) {
  __builtin_prefetch(packet.data - kCacheLineBytes, 1);
}

// What encap will read of a packet besides its first line: further on the processor sees by itself where it goes.
// Not a loop: one that only fetches ahead is one that does nothing, says g++ 12.
[[gnu::always_inline]] inline void prefetch_rest(const Packet& packet) {
  const auto line = [&](std::size_t i) {
    if (packet.contiguous_bytes > i * kCacheLineBytes) __builtin_prefetch(packet.data + i * kCacheLineBytes);
  };
  line(1);
  line(2);
  line(3);
}

// QUIC: a packet may name its backend; then nothing else counts. True: it does.
bool follow_connection_id(Packet& packet, const PoolView& pool, const TablesView& view) {
  const VipRecord* vip = vip_record(view, packet.vip);
  if (vip == nullptr || (vip->flags & kVipQuic) == 0 || packet.kind != PacketKind::flow) return false;
  const QuicRoute route = route_quic(pool, udp_payload(packet));
  if (route.kind == QuicRouteKind::unknown_id) packet.reason = Counter::quic_unknown_id;
  if (route.kind != QuicRouteKind::by_server_id) return false;
  packet.backend = route.backend;
  packet.reason = Counter::quic_by_server_id;
  return true;
}

// Only TCP can be asked for: docs/second_chance.md. A flow that was kept may have been kept by mistake, if it began on
// another load balancer; then the owner has it, and that is so also when the slot is settled.
bool has_hops(const Packet& packet, const SlotChoice& choice) {
  return (choice.pool->flags & kPoolSecondChance) != 0 && packet.protocol == IpProto::tcp &&
         packet.backend != nullptr && choice.pool->encap == Encap::gue0 &&
         (choice.unsettled || packet.backend != choice.owner);
}

void refuse_without_backend(Batch& batch, Packet& packet, const TablesView& view) {
  const VipRecord* vip = vip_record(view, packet.vip);
  if (vip != nullptr && vip->no_backend == NoBackend::reject)
    ask_for_answer(batch, packet, Counter::drop_no_backend);
  else
    drop(packet, Counter::drop_no_backend);
}

// The choice for a whole batch, step by step: tables of many pools do not fit the cache, so what the next step reads is
// fetched for all packets side by side.
class Selection {
 public:
  Selection(Batch& batch, const TablesView& view, Tracker& tracker, Seconds now)
      : batch_(batch), view_(view), tracker_(tracker), now_(now) {}

  void find_slots() {
    for_each_pending([&](Packet& packet, Place& place) {
      packet.hash = hash_of(packet, view_);
      prefetch_front(packet);
      if (packet.tracking == Tracking::all) tracker_.flows.prefetch(packet.hash);
      const PoolView* pool = pool_view(view_, packet.pool);
      if (pool != nullptr && pool->sums_packets) prefetch_rest(packet);
      place.pool = pool;
      place.entry = pool != nullptr ? slot_entry(*pool, slot_hash(packet, view_, *pool)) : nullptr;
      __builtin_prefetch(place.entry);
    });
  }

  void find_owners() {
    for_each_pending([&](Packet& packet, Place& place) {
      const PoolView* pool = place.pool;
      packet.backend = place.entry != nullptr ? owner_of(*pool, *place.entry) : nullptr;
      place.is_tracked = pool != nullptr && is_tracked(packet, entry_of(place), tracker_);
      if (pool != nullptr && pool->quic.entries != nullptr) [[unlikely]]
        place.is_tracked &= !follow_connection_id(packet, *pool, view_);
      any_tracked_ |= place.is_tracked;
      if (place.is_tracked) prefetch_flow(packet);
      __builtin_prefetch(packet.backend);
    });
  }

  void follow_flows() {
    if (!any_tracked_) return;
    for_each_pending([&](const Packet& packet, const Place& place) {
      if (place.is_tracked && packet.backend != nullptr)
        tracker_.flows.prefetch_counts(packet.hash, packet.backend->stats_index);
    });
    for_each_pending([&](Packet& packet, Place& place) {
      if (!place.is_tracked) return;
      const SlotEntry entry = entry_of(place);
      const Slot slot{place.entry != nullptr ? static_cast<std::uint32_t>(place.entry - place.pool->slots) : 0};
      const SlotChoice choice{place.pool, packet.backend, slot, (entry & kSlotUnsettled) != 0};
      packet.backend = track(packet, choice, view_, tracker_, now_);
      packet.has_hops = has_hops(packet, choice);
      __builtin_prefetch(packet.backend);
    });
  }

  void judge() {
    for_each_pending([&](Packet& packet, Place&) {
      if (packet.backend == nullptr || !is_reachable(*packet.backend)) [[unlikely]]
        refuse_without_backend(batch_, packet, view_);
    });
  }

 private:
  struct Place {
    const PoolView* pool;    // nullptr: no such pool, only a scribbled index can say so
    const SlotEntry* entry;  // nullptr: the pool has no slots
    bool is_tracked;
  };

  void prefetch_flow(const Packet& packet) {
    tracker_.flows.prefetch(packet.hash);
    if (may_be_of_peers(packet, tracker_.peers)) [[unlikely]]
      tracker_.peers.prefetch(packet.hash);
  }

  static SlotEntry entry_of(const Place& place) { return place.entry != nullptr ? *place.entry : kSlotOwnerMask; }

  template <typename Step>
  void for_each_pending(Step step) {
    Place* place = places_.data();
    for (Packet& packet : batch_.all()) {
      if (packet.verdict == Verdict::pending) step(packet, *place);
      place++;
    }
  }

  Batch& batch_;
  const TablesView& view_;
  Tracker& tracker_;
  Seconds now_;
  bool any_tracked_ = false;
  std::array<Place, kBatchMax> places_;
};

}  // namespace

void select(Batch& batch, const TablesView& view, Tracker& tracker, Seconds now) {
  Selection selection(batch, view, tracker, now);
  selection.find_slots();
  selection.find_owners();
  selection.follow_flows();
  selection.judge();
}

}  // namespace guideway
