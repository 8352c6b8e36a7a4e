// Writes the golden cases of tests/packet as inputs of the fuzz targets:  make_seeds CASES_DIR OUT_DIR
//
// tests/fuzz/make_corpus.sh runs it and keeps what reaches something new.
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iostream>

#include "tests/bpf/decap_packets.h"
#include "tests/bpf/xdp_runner.h"
#include "tests/fuzz/arrivals.h"
#include "tests/fuzz/fuzz_tables.h"
#include "tests/packet/packet_case.h"

namespace guideway::fuzz {
namespace {

using packet_text::PacketCase;
using packet_text::Step;

constexpr std::size_t kStepsMax = 40;   // of a case
constexpr std::size_t kBytesMax = 200;  // of a frame; zeros behind them
constexpr std::uint8_t kClients = 6;    // of each case
constexpr std::uint8_t kNoLimits = 0xff;

void write(const std::filesystem::path& path, const Bytes& bytes) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  if (!file) throw std::runtime_error("cannot write " + path.string());
}

void append16(Bytes& bytes, std::size_t value) {
  bytes.push_back(static_cast<std::uint8_t>(value));
  bytes.push_back(static_cast<std::uint8_t>(value >> 8));
}

// In steps of arrivals.h, rounded up.
std::uint8_t time_byte(std::chrono::nanoseconds time) {
  return static_cast<std::uint8_t>(std::min(255.0, std::ceil(std::sqrt(static_cast<double>(time.count()) / 100'000))));
}

std::uint8_t control_of(const Step& step) {
  unsigned control = step.frame.port | kEndsTurn;
  if (step.from == packet_text::From::kernel) control |= kFromKernel;
  if (step.contiguous_bytes < step.frame.bytes.size()) control |= kZerosElsewhere;
  if (step.headroom_bytes < 64) control |= step.headroom_bytes < 20 ? kNoHeadroom : kLittleHeadroom;
  return static_cast<std::uint8_t>(control);
}

// From a neighbour of the client: another flow, which goes to another backend.
void set_client(Bytes& frame, std::uint8_t which) {
  const auto packet = read_ip(frame);
  if (packet) frame[packet->at + (packet->family == Family::ipv4 ? 15 : 23)] ^= which;
}

Bytes arrivals_of(const PacketCase& packet_case, std::uint8_t client) {
  Bytes input{0, kNoLimits};
  if (!packet_case.tables.pools.empty()) {
    const DesiredPool& pool = packet_case.tables.pools[0];
    input[0] = static_cast<std::uint8_t>(table_set(pool.encap, pool.oversize));
  }
  if (packet_case.no_buffers) input[1] = 0x0f;
  if (packet_case.network_full) input[1] &= 0xf0;
  std::chrono::nanoseconds now{};
  for (std::size_t i = 0; i < packet_case.steps.size() && i < kStepsMax; i++) {
    const Step& step = packet_case.steps[i];
    if (!step.has_packet) continue;
    Bytes frame = step.frame.bytes;
    if (client != 0) set_client(frame, client);
    const std::size_t bytes = std::min({frame.size(), kBytesMax, std::size_t{step.contiguous_bytes}});
    input.push_back(static_cast<std::uint8_t>(control_of(step) | (client != 0 ? kRepair : 0U)));
    input.push_back(time_byte(step.now - now));
    append16(input, bytes);
    append16(input, frame.size() - bytes);
    input.insert(input.end(), frame.begin(), frame.begin() + static_cast<std::ptrdiff_t>(bytes));
    now = step.now;
  }
  return input;
}

void set_ecn(std::uint8_t* ip, unsigned ecn) {
  if (*ip >> 4 == 6) {
    ip[1] = static_cast<std::uint8_t>((ip[1] & 0xcfU) | ecn << 4);
  } else {
    ip[1] = static_cast<std::uint8_t>((ip[1] & 0xfcU) | ecn);
    bpf::set_ipv4_checksum(ip);
  }
}

Bytes encapsulated(const bpf::Mix& mix, unsigned inner_ecn, unsigned outer_ecn) {
  Bytes packet = bpf::client_packet(mix.inner);
  set_ecn(packet.data(), inner_ecn);
  Bytes frame = bpf::encapsulated(mix, packet);
  set_ecn(frame.data() + bpf::kEthernetBytes, outer_ecn);
  return frame;
}

void write_decapsulation_seeds(const std::vector<PacketCase>& cases, const std::filesystem::path& out) {
  for (const PacketCase& packet_case : cases)
    for (const Step& step : packet_case.steps) {
      if (step.ends.sent.empty()) continue;
      Bytes frame = step.ends.sent[0].bytes;
      if (frame.size() >= bpf::XdpRunner::kFrameBytesMin && frame.size() <= 2 * kBytesMax)
        write(out / packet_case.name, frame);
      break;
    }
  for (const bpf::Mix& mix : bpf::all_mixes())
    for (unsigned inner_ecn = 0; inner_ecn < 4; inner_ecn++)
      for (unsigned outer_ecn = 0; outer_ecn < 4; outer_ecn++)
        write(out / (mix.name() + "_ecn_" + std::to_string(inner_ecn) + "_" + std::to_string(outer_ecn)),
              encapsulated(mix, inner_ecn, outer_ecn));
}

IpAddress hop(Family outer) {
  return bpf::ip(outer == Family::ipv4 ? "10.3.0.4" : "2001:db8:3::4");
}

// Segments and SYNs with lists of none, one and three hops, one of them the backend itself, of tables old and new.
void write_hop_list_seeds(const std::filesystem::path& out) {
  for (const bpf::Mix& mix : bpf::all_mixes()) {
    if (mix.encap != Encap::gue0) continue;
    const std::vector<IpAddress> lists[] = {
        {}, {hop(mix.outer)}, {bpf::backend(mix.outer)}, {hop(mix.outer), bpf::backend(mix.outer), hop(mix.outer)}};
    for (const auto& hops : lists)
      for (const std::uint64_t generation : {0U, 999U, 1001U})
        for (const std::uint8_t flags : {kTcpSyn, kTcpAck}) {
          Bytes packet = bpf::client_packet(mix.inner, sizeof(TcpHeader));
          packet[packet.size() - sizeof(TcpHeader) + offsetof(TcpHeader, flags)] = flags;
          write(out / (mix.name() + "_hops_" + std::to_string(hops.size()) + "_" + std::to_string(generation) + "_" +
                       std::to_string(flags) + (hops == lists[2] ? "_own" : "")),
                bpf::encapsulated(mix, packet, hops, Generation{generation}));
        }
  }
}

struct Runs {
  const char* name;
  std::vector<Bytes> runs;
};

// Of fragments_target.cpp: source, id, kind, time, offset/8, bytes, count, port.
const std::vector<Runs>& fragment_runs() {
  constexpr std::uint8_t kUdp = 0x02, kIpv6 = 0x01, kMore = 0x08, kSources = 0x10, kIds = 0x20, kOffsets = 0x30,
                         kGap = 0x40;
  static const std::vector<Runs> kRuns{
      {"in_order", {{7, 1, kUdp | kMore, 0, 0, 0, 64, 0, 0, 40}, {7, 1, kUdp, 0, 8, 0, 24, 0, 0, 40}}},
      {"reversed", {{7, 1, kUdp, 0, 8, 0, 24, 0, 0, 40}, {7, 1, kUdp | kMore, 0, 0, 0, 64, 0, 0, 40}}},
      {"ipv6", {{7, 1, kIpv6, 0, 8, 0, 24, 0, 0, 40}, {7, 1, kIpv6 | kMore, 0, 0, 0, 64, 0, 0, 40}}},
      {"overlap", {{7, 1, kMore, 0, 0, 0, 64, 0, 32, 40}, {7, 1, kMore, 0, 4, 0, 64, 0, 0, 40}}},
      {"timeout", {{7, 1, kUdp, 0, 8, 0, 24, 0, 0, 40}, {7, 1, kUdp | kMore, 101, 0, 0, 64, 0, 0, 40}}},
      {"lifetime", {{7, 1, kMore, 0, 0, 0, 64, 0, 0, 40}, {7, 1, kMore, 225, 8, 0, 64, 0, 0, 40}}},
      {"pieces", {{7, 1, kUdp | kMore | kOffsets | kGap, 0, 2, 0, 8, 0, 243, 40}}},
      {"many", {{7, 1, kUdp | kMore | kOffsets, 0, 0, 0, 8, 0, 255, 40}, {7, 1, kUdp, 0, 0, 1, 8, 0, 96, 40}}},
      {"datagrams", {{7, 0, kUdp | kMore | kIds, 0, 1, 0, 8, 0, 244, 40}, {7, 0, kUdp | kIds, 0, 0, 0, 8, 0, 244, 40}}},
      {"neighbourhoods",
       {{0, 1, kUdp | kMore | kSources, 0, 1, 0, 8, 0, 255, 40},
        {0, 2, kUdp | kMore | kSources, 0, 1, 0, 8, 0, 255, 40},
        {0, 3, kUdp | kMore | kSources, 0, 1, 0, 8, 0, 255, 40},
        {0, 4, kUdp | kMore | kSources, 0, 1, 0, 8, 0, 255, 40},
        {0, 5, kUdp | kMore | kSources, 0, 1, 0, 8, 0, 252, 40}}},
  };
  return kRuns;
}

void write_all(const std::filesystem::path& cases_directory, const std::filesystem::path& out) {
  const std::vector<PacketCase> cases = packet_text::load_cases(cases_directory);
  for (const PacketCase& packet_case : cases)
    for (const char* target : {"path", "answers"})
      for (std::uint8_t client = 0; client < kClients; client++)
        write(out / target / (packet_case.name + "_" + std::to_string(client)), arrivals_of(packet_case, client));
  write_decapsulation_seeds(cases, out / "decapsulation");
  write_hop_list_seeds(out / "decapsulation");
  for (const Runs& seed : fragment_runs()) {
    Bytes input;
    for (const Bytes& run : seed.runs) input.insert(input.end(), run.begin(), run.end());
    write(out / "fragments" / seed.name, input);
  }
}

}  // namespace
}  // namespace guideway::fuzz

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: make_seeds CASES_DIR OUT_DIR\n";
    return 2;
  }
  try {
    guideway::fuzz::write_all(argv[1], argv[2]);
  } catch (const std::exception& error) {
    std::cerr << "make_seeds: " << error.what() << "\n";
    return 1;
  }
}
