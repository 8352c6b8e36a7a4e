// Stands in for the control plane in tests of the data plane alone: builds tables from a configuration file (all
// backends healthy; next hop and sources as the file says, so every port needs next_hop_mac and source_addresses),
// offers them, prints "offered", and stays until its standard input ends. Then it prints the counters that are not 0,
// summed over the workers, as "name value".
//
//   offer_tables guideway.toml
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <thread>

#include "common/config/load.h"
#include "common/shm/handover.h"
#include "common/shm/tables_writer.h"
#include "common/tables/from_config.h"

using namespace guideway;

namespace {

// The port's MAC address and MTU are those that the data plane has.
DesiredTables desired(const config::Config& config, const PortInfo& port) {
  DesiredTables tables = tables_offline(config);
  for (std::size_t p = 0; p < tables.pools.size(); p++)
    for (std::size_t b = 0; b < tables.pools[p].backends.size(); b++) {
      Egress& egress = tables.pools[p].backends[b].egress.value();
      egress.source_mac = port.mac;
      if (config.pools[p].backends[b].mtu_bytes == 0) egress.path_mtu_bytes = port.mtu_bytes;
    }
  return tables;
}

void print_counters(const StatsHeader& header) {
  for (std::uint32_t i = 0; i < kCounterCount; i++) {
    std::uint64_t sum = 0;
    for (std::uint32_t w = 0; w < header.worker_count; w++)
      sum += stats_of(const_cast<StatsHeader&>(header), WorkerId{w}).block->counters[i].load();
    if (sum > 0) std::printf("%s %lu\n", kCounters[i].name.data(), sum);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return std::fputs("usage: offer_tables FILE\n", stderr), 2;
  const auto loaded = config::load_config(argv[1]);
  if (!loaded.config) return std::fputs(loaded.report().c_str(), stderr), 1;
  std::string why;
  std::optional<shm::Greeting> dataplane;
  for (int tries = 0; tries < 400 && !dataplane; tries++) {
    dataplane = shm::greet(loaded.config->control.run_dir + "/dataplane.sock", why);
    if (!dataplane) std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  if (!dataplane) return std::fprintf(stderr, "no data plane: %s\n", why.c_str()), 1;
  const shm::Mapping stats = shm::map_whole(dataplane->stats, shm::Access::read_only);
  if (const auto error = check_stats(stats.bytes()); error != AttachError::none)
    return std::fprintf(stderr, "stats: %s\n", to_text(error)), 1;
  const auto& header = *reinterpret_cast<const StatsHeader*>(stats.bytes().data());

  auto writer = shm::TablesWriter::create(16 << 20);
  ImageBuilder builder;
  writer->publish(builder.build(desired(*loaded.config, header.ports[0])));
  if (const auto error = shm::offer(*dataplane, writer->read_only_descriptor(), why); error != AttachError::none)
    return std::fprintf(stderr, "refused: %s\n", why.c_str()), 1;
  std::puts("offered");
  std::fflush(stdout);
  for (char c; read(STDIN_FILENO, &c, 1) > 0;) {
  }
  print_counters(header);
  return 0;
}
