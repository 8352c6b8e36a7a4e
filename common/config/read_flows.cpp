#include "common/config/kinds.h"
#include "common/config/sections.h"
#include "common/config/words.h"

namespace guideway::config {
namespace {

using namespace std::chrono_literals;

constexpr std::uint32_t kFlowsPerWorkerMax = 1U << 26;
// The flow table's clock has 16 bits of seconds: half of its range can be told from the other half.
constexpr Milliseconds kTimeoutMax = 8h;

}  // namespace

void read_flows(Section& root, Flows& flows) {
  root.in("flows", [&](Section& section) {
    const auto timeout = duration(1s, kTimeoutMax);
    section.optional("max_per_worker", flows.max_per_worker, integer(1U, kFlowsPerWorkerMax));
    section.optional("probation_timeout", flows.probation_timeout, timeout);
    section.optional("idle_timeout", flows.idle_timeout, timeout);
    section.optional("closing_timeout", flows.closing_timeout, timeout);
    section.optional("datagram_timeout", flows.datagram_timeout, timeout);
    flows.settle_after = flows.idle_timeout;
    section.optional("settle_after", flows.settle_after, duration(0s, kTimeoutMax));
    if (flows.settle_after < flows.idle_timeout)
      section.review().warning(section.place_of("settle_after"),
                               "settle_after is shorter than idle_timeout: connections that are silent for longer than "
                               "that during a change of backends break");
  });
}

}  // namespace guideway::config
