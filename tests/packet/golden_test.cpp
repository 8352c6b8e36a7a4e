// The golden packets of tests/packet/cases, each file a test, through the real packet path.
#include <gtest/gtest.h>

#include <set>

#include "tests/packet/packet_fields.h"
#include "tests/packet/packet_path.h"

namespace guideway::packet_text {

void PrintTo(const PacketCase& packet_case, std::ostream* out) {
  *out << packet_case.name;
}

namespace {

using Counters = std::map<std::string, std::uint64_t>;

const std::vector<PacketCase>& cases() {
  static const std::vector<PacketCase> kCases = load_cases(GUIDEWAY_SOURCE_ROOT "/tests/packet/cases");
  return kCases;
}

std::string text_of(const Counters& counters) {
  std::string text;
  for (const auto& [name, value] : counters) text += name + " " + std::to_string(value) + "\n";
  return text;
}

// "sent 1, to the kernel 0, lost: drop_unserved 1".
std::string summary_of(const Ends& ends) {
  return "sent " + std::to_string(ends.sent.size()) + ", to the kernel " + std::to_string(ends.to_kernel.size()) +
         ", lost: " + text_of(ends.lost);
}

void expect_frames(const std::vector<Frame>& expected, const std::vector<Frame>& got) {
  for (std::size_t i = 0; i < std::min(expected.size(), got.size()); i++) {
    EXPECT_EQ(got[i].port, expected[i].port) << "frame " << i + 1;
    EXPECT_TRUE(got[i].bytes == expected[i].bytes)
        << "frame " << i + 1 << ": " << diff(expected[i].bytes, got[i].bytes);
  }
}

void expect_ends(const Ends& expected, const Ends& got) {
  EXPECT_EQ(summary_of(got), summary_of(expected));
  expect_frames(expected.sent, got.sent);
  expect_frames(expected.to_kernel, got.to_kernel);
}

// rx = tx + to_kernel + waiting + Σ drops.
void expect_one_end_for_each(Counters counters) {
  std::uint64_t ends = counters["tx_packets"] + counters["to_kernel_packets"] + counters["waiting_packets"];
  for (const CounterInfo& counter : kCounters)
    if (counter.is_drop) ends += counters[std::string(counter.name)];
  EXPECT_EQ(counters["rx_packets"], ends);
  EXPECT_EQ(counters["from_kernel_packets"],
            counters["from_kernel_tx_packets"] + counters["from_kernel_dropped_packets"]);
}

// What follows from the packets alone and would only be noise in a case.
Counters without_traffic(Counters counters) {
  for (const char* name : {"rx_packets", "rx_bytes", "tx_bytes", "bursts", "from_kernel_packets"}) counters.erase(name);
  return counters;
}

class Golden : public testing::TestWithParam<PacketCase> {};

TEST_P(Golden, Packets) {
  const PacketCase& packet_case = GetParam();
  PacketPath path(packet_case);
  Counters traffic;
  for (const Step& step : packet_case.steps) {
    SCOPED_TRACE("line " + std::to_string(step.line));
    if (step.has_packet && step.from == From::network) {
      traffic["rx_packets"]++;
      traffic["rx_bytes"] += step.frame.bytes.size();
    }
    const Ends got = path.run(step);
    expect_ends(step.ends, got);
    if (step.from == From::network)
      for (const Frame& frame : got.sent) traffic["tx_bytes"] += frame.bytes.size();
    expect_one_end_for_each(path.counters());
  }
  Counters counters = path.counters();
  for (const char* name : {"rx_packets", "rx_bytes", "tx_bytes"}) EXPECT_EQ(counters[name], traffic[name]) << name;
  EXPECT_EQ(path.leaked(), 0U) << "buffers that were neither sent nor released";
  EXPECT_EQ(text_of(without_traffic(counters)), text_of(packet_case.counters));
}

// Many packets at once end as they do one by one. What a case says of time is not for this.
TEST_P(Golden, PacketsInBatches) {
  const PacketCase& packet_case = GetParam();
  if (packet_case.takes_time || !packet_case.later_tables.empty()) return;
  Ends expected;
  PacketPath one_by_one(packet_case);
  for (const Step& step : packet_case.steps) {
    Ends ends = one_by_one.run(step);
    std::move(ends.sent.begin(), ends.sent.end(), std::back_inserter(expected.sent));
    std::move(ends.to_kernel.begin(), ends.to_kernel.end(), std::back_inserter(expected.to_kernel));
    for (const auto& [name, packets] : ends.lost) expected.lost[name] += packets;
  }
  PacketPath path(packet_case);
  Ends got = path.run_in_batches(packet_case.steps);
  for (Ends* ends : {&expected, &got}) {  // a batch leaves port by port, and the kernel's packets in between
    std::sort(ends->sent.begin(), ends->sent.end());
    std::sort(ends->to_kernel.begin(), ends->to_kernel.end());
  }
  expect_ends(expected, got);
  EXPECT_EQ(text_of(without_traffic(path.counters())), text_of(without_traffic(one_by_one.counters())));
  EXPECT_EQ(path.leaked(), 0U);
}

INSTANTIATE_TEST_SUITE_P(Cases, Golden, testing::ValuesIn(cases()), [](const auto& test) { return test.param.name; });

TEST(GoldenCases, EveryCounterIsRaisedBySomeCase) {
  std::set<std::string> raised;
  for (const PacketCase& packet_case : cases()) {
    PacketPath path(packet_case);
    for (const Step& step : packet_case.steps) {
      path.run(step);
      for (const auto& [name, value] : path.counters()) raised.insert(name);
    }
  }
  for (const CounterInfo& counter : kCounters) EXPECT_TRUE(raised.contains(std::string(counter.name))) << counter.name;
}

// A variant of every packet of every case but the longest, for each number of bytes that the packet has.
void try_all(void (*change)(Step& step, std::uint32_t bytes)) {
  for (const PacketCase& packet_case : cases()) {
    SCOPED_TRACE(packet_case.name);
    PacketPath path(packet_case);
    for (const Step& step : packet_case.steps) {
      if (!step.has_packet || step.frame.bytes.size() > 200) continue;
      for (auto bytes = static_cast<std::uint32_t>(step.frame.bytes.size()); bytes-- > 0;) {
        Step variant = step;
        change(variant, bytes);
        path.run(variant);
      }
    }
    EXPECT_EQ(path.leaked(), 0U);
    expect_one_end_for_each(path.counters());
  }
}

// No packet, wherever it ends, makes the path read past its buffer, lose it, or count it wrongly.
TEST(GoldenCases, EveryPacketMayBeCutAnywhere) {
  try_all([](Step& step, std::uint32_t bytes) {
    step.frame.bytes.resize(bytes);
    step.contiguous_bytes = bytes;
  });
}

// Nor one that goes on in a second buffer, wherever that begins.
TEST(GoldenCases, EveryPacketMayLieInTwoBuffers) {
  try_all([](Step& step, std::uint32_t bytes) { step.contiguous_bytes = bytes; });
}

// Nor one in which any byte is another.
TEST(GoldenCases, EveryByteMayBeWrong) {
  try_all([](Step& step, std::uint32_t bytes) { step.frame.bytes[bytes] ^= 0xff; });
}

}  // namespace
}  // namespace guideway::packet_text
