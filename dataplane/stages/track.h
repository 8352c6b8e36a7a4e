// Which backend a flow goes to where the owner of its slot is not all that counts: what is remembered of flows, and who
// owned the slot before. docs/continuity.md is the rule.
//
// Thread-safety: over the worker's own table; those of the others are read.
#pragma once

#include "dataplane/batch.h"
#include "dataplane/flows/flow_table.h"
#include "dataplane/flows/peer_flows.h"

namespace guideway {

// What select knows of a packet's slot.
struct SlotChoice {
  const PoolView* pool = nullptr;
  const BackendRecord* owner = nullptr;  // nullptr: no backend takes new flows
  Slot slot{};
  bool unsettled = false;
};

// The part of a worker's state that decides about flows.
struct Tracker {
  FlowTable flows;
  PeerFlows peers{};
  std::uint32_t turn = 0;        // of round robin
  std::uint64_t kept_flows = 0;  // packets that went to another backend than their slot's owner
};

// Whether another worker may know the packet's flow, and this one not.
inline bool may_be_of_peers(const Packet& packet, const PeerFlows& peers) {
  return packet.kind != PacketKind::flow && peers.any();
}

// Whether the flow has to be looked up at all.
inline bool is_tracked(const Packet& packet, SlotEntry entry, const Tracker& tracker) {
  if (packet.tracking != Tracking::moved) return packet.tracking == Tracking::all;
  return (entry & kSlotUnsettled) != 0 || tracker.flows.may_have(packet.hash) || may_be_of_peers(packet, tracker.peers);
}

// The backend for the packet, remembered if it has to be. nullptr: there is none.
const BackendRecord* track(const Packet& packet, const SlotChoice& choice, const TablesView& view, Tracker& tracker,
                           Seconds now);

}  // namespace guideway
