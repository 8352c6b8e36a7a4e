// The rules of docs/packet_policy.md, section 8: our own answers.
#pragma once

#include "tests/fuzz/sent_frames.h"

namespace guideway::fuzz {

// REQUIRES: both are read from these frames.
void check_answer(const Arrival& came, const IpPacket& asked, const SentFrame& sent, const IpPacket& answer,
                  const FuzzTables& tables);

}  // namespace guideway::fuzz
