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

const std::vector<PacketCase>& cases() {
  static const std::vector<PacketCase> kCases = load_cases(GUIDEWAY_SOURCE_ROOT "/tests/packet/cases");
  return kCases;
}

const char* to_text(Verdict verdict) {
  switch (verdict) {
    case Verdict::pending:
      return "pending";
    case Verdict::forward:
      return "forward";
    case Verdict::to_kernel:
      return "kernel";
    case Verdict::drop:
      return "drop";
  }
  return "unknown";
}

void expect_outcome(const Step& step, const Outcome& outcome) {
  SCOPED_TRACE("the packet of line " + std::to_string(step.line));
  ASSERT_STREQ(to_text(outcome.verdict), to_text(step.verdict)) << outcome.reason;
  EXPECT_EQ(outcome.reason, step.reason);
  if (step.verdict == Verdict::forward) {
    EXPECT_TRUE(outcome.frame == step.sent) << diff(step.sent, outcome.frame);
  }
  if (step.verdict == Verdict::to_kernel) {
    EXPECT_TRUE(outcome.frame == step.frame) << "the kernel gets packets untouched\n"
                                             << diff(step.frame, outcome.frame);
  }
}

std::string text_of(const std::map<std::string, std::uint64_t>& counters) {
  std::string text;
  for (const auto& [name, value] : counters) text += name + " " + std::to_string(value) + "\n";
  return text;
}

// What follows from the packets alone and would only be noise in a case.
void leave_out_traffic(std::map<std::string, std::uint64_t>& counters) {
  for (const char* name : {"rx_packets", "rx_bytes", "tx_bytes", "bursts", "from_kernel_packets"}) counters.erase(name);
}

class Golden : public testing::TestWithParam<PacketCase> {};

TEST_P(Golden, Packets) {
  const PacketCase& packet_case = GetParam();
  PacketPath path(packet_case);
  std::uint64_t rx_packets = 0;
  std::uint64_t rx_bytes = 0;
  for (const Step& step : packet_case.steps) {
    if (step.from == From::network) {
      rx_packets++;
      rx_bytes += step.frame.size();
    }
    expect_outcome(step, path.run(step));
  }
  auto counters = path.counters();
  EXPECT_EQ(counters["rx_packets"], rx_packets);
  EXPECT_EQ(counters["rx_bytes"], rx_bytes);
  EXPECT_EQ(path.lost(), 0U) << "packets that were neither sent nor released";
  leave_out_traffic(counters);
  EXPECT_EQ(text_of(counters), text_of(packet_case.counters));
}

INSTANTIATE_TEST_SUITE_P(Cases, Golden, testing::ValuesIn(cases()), [](const auto& test) { return test.param.name; });

// rx = tx + to_kernel + Σ drops, in every case.
TEST(GoldenCases, EveryPacketHasOneEnd) {
  for (const PacketCase& packet_case : cases()) {
    PacketPath path(packet_case);
    for (const Step& step : packet_case.steps) path.run(step);
    auto counters = path.counters();
    std::uint64_t ends = counters["tx_packets"] + counters["to_kernel_packets"];
    for (const CounterInfo& counter : kCounters)
      if (counter.is_drop) ends += counters[std::string(counter.name)];
    EXPECT_EQ(counters["rx_packets"], ends) << packet_case.name;
    EXPECT_EQ(counters["from_kernel_packets"],
              counters["from_kernel_tx_packets"] + counters["from_kernel_dropped_packets"])
        << packet_case.name;
  }
}

TEST(GoldenCases, EveryCounterIsRaisedBySomeCase) {
  std::set<std::string> raised;
  for (const PacketCase& packet_case : cases()) {
    PacketPath path(packet_case);
    for (const Step& step : packet_case.steps) path.run(step);
    for (const auto& [name, value] : path.counters()) raised.insert(name);
  }
  for (const CounterInfo& counter : kCounters) EXPECT_TRUE(raised.contains(std::string(counter.name))) << counter.name;
}

// Bytes behind the end and bits flipped anywhere: no packet makes the path read past its buffer or lose a packet.
TEST(GoldenCases, EveryPacketMayBeCutAnywhere) {
  for (const PacketCase& packet_case : cases()) {
    PacketPath path(packet_case);
    for (Step step : packet_case.steps) {
      if (step.frame.size() > 200) continue;
      for (std::size_t bytes = step.frame.size(); bytes-- > 0;) {
        step.frame.resize(bytes);
        step.contiguous_bytes = static_cast<std::uint32_t>(bytes);
        path.run(step);
      }
    }
    EXPECT_EQ(path.lost(), 0U) << packet_case.name;
  }
}

}  // namespace
}  // namespace guideway::packet_text
