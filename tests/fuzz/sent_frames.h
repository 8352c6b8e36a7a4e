// What a frame that left must be like, given the one that came: docs/packet_policy.md, sections 6 to 8, as checks. Each
// ends the process with a sentence if a rule was broken.
#pragma once

#include "tests/fuzz/arrivals.h"
#include "tests/fuzz/fuzz_tables.h"

namespace guideway::fuzz {

struct SentFrame {
  std::uint32_t port = 0;
  Bytes bytes;
};

// `sent` left in the buffer of `came`: it is our answer, or the packet on its way to a backend.
void check_sent(const Arrival& came, const SentFrame& sent, const FuzzTables& tables);

// `sent` left in new buffers: the fragments of the packet that came, all of them unless `some_refused`.
void check_sent_in_fragments(const Arrival& came, const std::vector<SentFrame>& sent, bool some_refused,
                             const FuzzTables& tables);

// Whether it is an answer to it: from whom it was sent to, to whom it came from.
bool is_answer(const Arrival& came, const SentFrame& sent);

}  // namespace guideway::fuzz
