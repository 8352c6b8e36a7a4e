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

using namespace guideway;

namespace {

// Every backend leaves by the first port, from its interface's address.
DesiredTables desired(const config::Config& config, const PortInfo& port) {
  const config::Port& port_config = config.dataplane.ports.at(0);
  DesiredTables tables{.hash_secret = config.flow_hash.secret, .config_digest = config.digest, .pools = {}, .vips = {}};
  std::uint32_t backends = 0;
  for (const config::Pool& pool : config.pools) {
    DesiredPool& made = tables.pools.emplace_back(DesiredPool{pool.encap, pool.slots, {}});
    for (const config::Backend& backend : pool.backends) {
      Egress egress{.source_mac = port.mac, .next_hop_mac = port_config.next_hop_mac.value(), .source = {}};
      for (const IpAddress& source : port_config.source_addresses)
        if (source.family() == backend.address.family()) egress.source = source;
      egress.path_mtu_bytes = port.mtu_bytes;
      made.backends.push_back({backend.address, backend.weight, backends++, egress});
    }
  }
  for (const config::Vip& vip : config.vips)
    tables.vips.push_back({.address = vip.address,
                           .port = vip.port,
                           .protocol = vip.protocol,
                           .pool = static_cast<std::uint32_t>(vip.pool),
                           .stats_index = static_cast<std::uint32_t>(tables.vips.size()),
                           .announce = vip.announce != config::Announce::never,
                           .unserved = vip.unserved});
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
