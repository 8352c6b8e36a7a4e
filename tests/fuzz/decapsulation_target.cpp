// A frame through the backends' BPF program (BPF_PROG_TEST_RUN), against an oracle (decap_oracle.h): the same end, the
// same counter, the same bytes. Needs root.
#include <bpf/bpf.h>
#include <linux/bpf.h>

#include <ctime>

#include "bpf/map_key.h"
#include "common/net/address_text.h"
#include "tests/bpf/decap_runner.h"
#include "tests/fuzz/decap_oracle.h"
#include "tests/fuzz/violation.h"

namespace guideway::fuzz {
namespace {

// Of the golden cases of tests/packet and of tests/bpf/decap_packets.h, whose frames are the corpus' first.
bpf::DecapSettings settings() {
  bpf::DecapSettings settings;
  std::string why;
  for (const char* source :
       {"192.0.2.1", "2001:db8:ff::1", "198.18.0.0/16", "2001:db8:ee::/64", "10.2.0.0/24", "2001:db8:2::2"})
    settings.sources.push_back(parse_prefix(source, why).value());
  for (const char* local : {"10.0.0.1", "10.0.0.2", "10.0.0.3", "10.3.0.3", "2001:db8:2::1", "2001:db8:3::3"})
    settings.locals.push_back(parse_ip(local).value());
  settings.hop_rate = bpf::kHopRateMax;  // more than we run
  return settings;
}

// Two of the load balancers have been heard of.
std::vector<KnownGeneration> known_generations() {
  std::vector<KnownGeneration> known;
  for (const char* source : {"10.2.0.2", "2001:db8:2::2"}) known.push_back({parse_ip(source).value(), 1000});
  return known;
}

// An input shall end alike whatever ran before it.
void forget_all_but(int generations, const std::vector<KnownGeneration>& known) {
  guideway_address source{};
  while (bpf_map_get_next_key(generations, nullptr, &source) == 0) bpf_map_delete_elem(generations, &source);
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  for (const KnownGeneration& each : known) {
    source = bpf::key_of(each.source);
    const std::uint64_t confirmed = std::uint64_t{each.generation} << 32 | static_cast<std::uint32_t>(now.tv_sec);
    require(bpf_map_update_elem(generations, &source, &confirmed, BPF_ANY) == 0, "a generation could not be noted");
  }
}

std::uint32_t verdict_of(const Decapsulated& expected) {
  if (expected.counter == GUIDEWAY_DECAP_HOP_REFLECTED) return XDP_TX;
  return expected.frame.empty() ? XDP_DROP : XDP_PASS;
}

void run(BytesView frame) {
  static const bpf::DecapSettings kSettings = settings();
  static const std::vector<KnownGeneration> kKnown = known_generations();
  static bpf::XdpRunner runner = bpf::decap_runner(kSettings);
  static const Descriptor kGenerations = runner.program().map("generations");
  if (frame.size() < bpf::XdpRunner::kFrameBytesMin || frame.size() > bpf::XdpRunner::kFrameBytesMax) return;
  const Decapsulated expected = decapsulate(frame, kSettings, kKnown);
  forget_all_but(kGenerations.get(), kKnown);
  const bpf::XdpRunner::Outcome got = runner.run(frame);
  require(got.counter.has_value(), "a frame was not counted once");
  if (*got.counter != static_cast<std::uint32_t>(expected.counter))
    violated("a frame was counted as " + std::string(bpf::kDecapCounters.at(*got.counter).name) + ", expected " +
             bpf::kDecapCounters.at(expected.counter).name);
  require(got.verdict == verdict_of(expected), "a frame's verdict is not that of its counter");
  require(expected.frame.empty() || got.frame == expected.frame,
          "the stack or the next hop gets another packet than was carried");
}

}  // namespace
}  // namespace guideway::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  guideway::fuzz::run({data, size});
  return 0;
}
