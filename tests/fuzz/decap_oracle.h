// What must become of a frame on a backend, written down plainly from docs/backend.md and include/guideway/abi: the
// other implementation that bpf/backend_decap.bpf.c is held against.
#pragma once

#include "bpf/decap_program.h"
#include "tests/fuzz/hop_oracle.h"
#include "tests/fuzz/ip_packet.h"

namespace guideway::fuzz {

struct Decapsulated {
  guideway_decap_counter counter;
  Bytes frame;  // what the stack gets, or the next hop; empty: nothing
};

Decapsulated decapsulate(BytesView frame, const bpf::DecapSettings& settings,
                         const std::vector<KnownGeneration>& known);

}  // namespace guideway::fuzz
