#include "dataplane/stages/track.h"

#include <optional>

#include "dataplane/stages/schedule.h"
#include "dataplane/stages/service.h"
#include "guideway/quic_packet.h"

namespace guideway {
namespace {

// What a packet says about its flow.
enum class Sign {
  opens,      // it is the first: SYN, QUIC Initial or 0-RTT
  goes_on,    // it is not
  closes,     // FIN or RST
  datagram,   // nobody can tell
  bystander,  // not of the flow itself, or without its flags: it looks, and leaves no trace
};

Sign sign_of_tcp(const Packet& packet) {
  const std::uint8_t flags = packet.l4()[offsetof(TcpHeader, flags)];
  if ((flags & (kTcpFin | kTcpRst)) != 0) return Sign::closes;
  return (flags & (kTcpSyn | kTcpAck)) == kTcpSyn ? Sign::opens : Sign::goes_on;
}

Sign sign_of(const Packet& packet, const TablesView& view) {
  if (packet.kind != PacketKind::flow && packet.kind != PacketKind::first_fragment) return Sign::bystander;
  if (packet.protocol == IpProto::tcp) return sign_of_tcp(packet);
  const VipRecord* vip = vip_record(view, packet.vip);
  if (vip == nullptr || (vip->flags & kVipQuic) == 0 || packet.tracking == Tracking::all) return Sign::datagram;
  return read_quic_packet(udp_payload(packet)).kind == QuicPacketKind::new_flow ? Sign::opens : Sign::goes_on;
}

FlowState state_after(Sign sign, FlowState before) {
  switch (sign) {
    case Sign::opens:
      return before;
    case Sign::closes:
      return FlowState::closing;
    case Sign::datagram:
      return FlowState::datagram;
    case Sign::goes_on:
    case Sign::bystander:
      break;
  }
  return before == FlowState::closing ? FlowState::closing : FlowState::established;
}

FlowState state_at_first(Sign sign) {
  if (sign == Sign::opens) return FlowState::probation;
  return state_after(sign, FlowState::established);
}

// Nobody knows the flow, so it is older than anything that is remembered of its slot: it began at the oldest owner.
const BackendRecord* oldest_owner(const SlotChoice& choice) {
  const PastOwners* past = choice.unsettled ? past_owners(*choice.pool, choice.slot) : nullptr;
  const BackendRecord* oldest = past != nullptr ? backend_record(*choice.pool, past->backends[0]) : nullptr;
  return can_take(oldest) ? oldest : choice.owner;
}

bool begins(Sign sign) {
  return sign == Sign::opens || sign == Sign::datagram;
}

// A settled slot of tracking `moved` is only looked up for what it remembers from before.
bool is_to_be_remembered(const Packet& packet, const SlotChoice& choice) {
  return packet.tracking == Tracking::all || choice.unsettled;
}

// The backend of a flow that goes on, wherever its slot belongs by now.
const BackendRecord* keep(const BackendRecord* backend, const SlotChoice& choice, Tracker& tracker) {
  if (backend != choice.owner) tracker.kept_flows++;
  return backend;
}

const BackendRecord* take_new(const Packet& packet, Sign sign, const SlotChoice& choice, Tracker& tracker,
                              Seconds now) {
  const BackendRecord* backend = begins(sign) ? schedule(choice, tracker) : keep(oldest_owner(choice), choice, tracker);
  if (backend == nullptr || sign == Sign::bystander || !is_to_be_remembered(packet, choice)) return backend;
  if (backend->stats_index >= kDirectorySizeMax) return backend;
  tracker.flows.insert(packet.hash, static_cast<std::uint16_t>(backend->stats_index), state_at_first(sign), now);
  return backend;
}

// The backend that a flow was given, if it can take it still. It nearly always owns the flow's slot, and then its
// record is at hand.
const BackendRecord* backend_of(FlowTable::Flow flow, const Packet& packet, const SlotChoice& choice,
                                const TablesView& view) {
  if (choice.owner != nullptr && choice.owner->stats_index == flow.backend()) [[likely]]
    return can_take(choice.owner) ? choice.owner : nullptr;
  return living_backend(view, packet.pool, *choice.pool, flow.backend());
}

const BackendRecord* take_known(const Packet& packet, Sign sign, FlowTable::Flow flow, const SlotChoice& choice,
                                const TablesView& view, Tracker& tracker, Seconds now) {
  const BackendRecord* known = backend_of(flow, packet, choice, view);
  if (begins(sign) && (flow.state() == FlowState::closing || known == nullptr)) {
    tracker.flows.erase(flow);
    return take_new(packet, sign, choice, tracker, now);
  }
  // Its backend is down, perhaps only for a moment: what is remembered stays.
  if (known == nullptr) return choice.owner;
  if (sign != Sign::bystander) tracker.flows.touch(flow, state_after(sign, flow.state()), now);
  return keep(known, choice, tracker);
}

// Whether another worker knows the flow, and better than this one: it met it later.
bool knows_better(const PeerFlows::Flow& peers, FlowTable::Flow own, Seconds now) {
  return !own || (peers.backend != own.backend() && peers.silent_s < FlowTable::silent_s(own, now));
}

// The backend that another worker gave the flow, and knows better; else nullptr. The worker that meets a flow's whole
// packets decides. A first fragment is remembered like that, since there may be nothing but fragments from now on.
[[gnu::noinline]] const BackendRecord* ask_peers(const Packet& packet, Sign sign, FlowTable::Flow own,
                                                 const SlotChoice& choice, const TablesView& view, Tracker& tracker,
                                                 Seconds now) {
  const std::optional<PeerFlows::Flow> known = tracker.peers.find(packet.hash, now);
  if (!known || !knows_better(*known, own, now)) return nullptr;
  const BackendRecord* backend = living_backend(view, packet.pool, *choice.pool, known->backend);
  if (backend == nullptr || sign == Sign::bystander) return backend;
  if (own) tracker.flows.erase(own);
  tracker.flows.insert(packet.hash, known->backend, state_after(sign, known->state), now);
  return backend;
}

}  // namespace

const BackendRecord* track(const Packet& packet, const SlotChoice& choice, const TablesView& view, Tracker& tracker,
                           Seconds now) {
  const Sign sign = sign_of(packet, view);
  const FlowTable::Flow flow = tracker.flows.find(packet.hash, now);
  if (may_be_of_peers(packet, tracker.peers)) [[unlikely]]
    if (const BackendRecord* backend = ask_peers(packet, sign, flow, choice, view, tracker, now))
      return keep(backend, choice, tracker);
  return flow ? take_known(packet, sign, flow, choice, view, tracker, now)
              : take_new(packet, sign, choice, tracker, now);
}

}  // namespace guideway
