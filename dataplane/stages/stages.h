// The stages of the packet path, in order. Each is one function over a batch; they do not include each other.
// Thread-safety: pure functions over the batch; the view is immutable.
#pragma once

#include "dataplane/batch.h"

namespace guideway {

// Finds the IP and L4 headers and bounds. Promises: family none, or data[l3_offset] is an IP header whose addresses lie
// inside the frame; reason is rx_packets (nothing wrong) or what is wrong. Never reads outside `contiguous_bytes`.
void parse(Batch& batch);

// Which service? Promises: every packet still pending is for a served VIP, sound, and has vip, pool and ports.
// Not for a VIP → to_kernel, untouched however odd. For a VIP but unsound or unserved → drop.
void classify(Batch& batch, const TablesView& view);

// Which backend? Promises: every packet still pending has a reachable backend.
void select(Batch& batch, const TablesView& view);

// Puts the outer headers in front. Promises: every packet still pending becomes `forward`; inner bytes are untouched.
void encap(Batch& batch);

// All of them. Promises: no packet is pending.
inline void run_stages(Batch& batch, const TablesView& view) {
  parse(batch);
  classify(batch, view);
  select(batch, view);
  encap(batch);
}

}  // namespace guideway
