// The stages of the packet path, in order. Each is one function over a batch; they do not include each other.
// docs/packet_policy.md says what becomes of which packet, and why.
//
// Thread-safety: functions over the batch and the worker's own state; the view is immutable.
#pragma once

#include "dataplane/batch.h"
#include "dataplane/stages/answers.h"
#include "dataplane/stages/fragment_table.h"
#include "dataplane/stages/track.h"

namespace guideway {

// Finds the IP and L4 headers and bounds, behind VLAN tags. Promises: family none, or data[l3_offset] is an IP header
// whose addresses lie inside the frame; reason is kNothing or what is wrong. Never reads outside `contiguous_bytes`.
void parse(Batch& batch);

// Which service? Promises: every packet still pending is sound and for a served VIP, and has vip, pool and ports; or it
// is a fragment to a VIP. Not for a VIP → to_kernel, untouched however odd. Unsound → drop. Unserved → as the VIP says.
void classify(Batch& batch, const TablesView& view);

// To which flow do fragments belong? Promises: every packet still pending has vip, pool and ports. Fragments ahead of
// their first one → held.
void reunite(Batch& batch, const TablesView& view, FragmentTable& table, Ns now);
// What reunite does with a fragment whose ports are known.
void serve_fragment(Batch& batch, Packet& packet, const TablesView& view);

// Which backend? By its flow, if that is remembered, else by its slot. Promises: every packet still pending has a
// reachable backend.
void select(Batch& batch, const TablesView& view, Tracker& tracker, Seconds now);

// Puts the outer headers in front. Promises: every packet still pending becomes `forward`, or `split_…` if it is too
// big; inner bytes are untouched. Too big and not to be fragmented → answer.
void encap(Batch& batch, const TablesView& view);
// The same for one packet that is known to fit.
void encap_packet(Packet& packet, const OuterTemplate& outer);

// Turns what is to be answered into answers, within the limits. Promises: no packet is `answer` any more. Returns how
// many resets and errors the limit has kept from being sent.
std::uint32_t answer(Batch& batch, const TablesView& view, Answers& answers, Ns now);

// The part of a worker's state that stages keep from batch to batch.
struct StagesState {
  FragmentTable fragments;
  Tracker tracker;
  Answers answers;
};

// All of them. Promises: no packet is pending. Returns what answer() does.
inline std::uint32_t run_stages(Batch& batch, const TablesView& view, StagesState& state, Ns now) {
  parse(batch);
  classify(batch, view);
  if (batch.has_fragments) [[unlikely]]
    reunite(batch, view, state.fragments, now);
  select(batch, view, state.tracker, std::chrono::duration_cast<Seconds>(now));
  encap(batch, view);
  return batch.has_answers ? answer(batch, view, state.answers, now) : 0;
}

// For what the fragment table gives back: the stages behind it.
inline std::uint32_t run_stages_of_ready(Batch& batch, const TablesView& view, StagesState& state, Ns now) {
  for (Packet& packet : batch.all())
    if (packet.verdict == Verdict::pending) serve_fragment(batch, packet, view);
  select(batch, view, state.tracker, std::chrono::duration_cast<Seconds>(now));
  encap(batch, view);
  return batch.has_answers ? answer(batch, view, state.answers, now) : 0;
}

}  // namespace guideway
