#include <algorithm>
#include <map>

#include "common/config/kinds.h"
#include "common/config/read_quic.h"
#include "common/config/sections.h"
#include "common/config/words.h"
#include "common/net/address_text.h"

namespace guideway::config {
namespace {

// Maglev spreads evenly when a backend owns a hundred slots or more (NSDI 2016, section 3.4).
constexpr std::size_t kSlotsPerBackend = 100;

constexpr std::uint16_t kIpv6MtuMin = 1280;  // RFC 8200, section 5
constexpr std::uint8_t kDscpMax = 63;        // RFC 2474, section 3

std::string at(Place place) {
  return "line " + std::to_string(place.line);
}

// Who else of the pool has the same name or address.
struct Taken {
  std::map<std::string, Place> names;
  std::map<IpAddress, std::pair<std::string, Place>> addresses;
};

void read_backend(Section& section, Taken& taken, Backend& backend) {
  std::optional<IpAddress> address;
  section.required("name", backend.name, name);
  section.required("address", address, unicast_address);
  section.optional("weight", backend.weight, integer<std::uint16_t>(0, 65535));
  section.optional("mtu", backend.mtu_bytes, integer(kMtuMin, kMtuMax));
  if (!backend.name.empty()) {
    const Place place = section.place_of("name");
    const auto [first, is_new] = taken.names.try_emplace(backend.name, place);
    if (!is_new)
      section.review().error(place, "backend " + in_quotes(backend.name) + " is in " + at(first->second) + " already");
  }
  if (address) {
    const Place place = section.place_of("address");
    const auto [first, is_new] = taken.addresses.try_emplace(*address, backend.name, place);
    if (!is_new)
      section.review().error(place, "address " + to_text(*address) + " is that of backend " +
                                        in_quotes(first->second.first) + " already (" + at(first->second.second) + ")");
    backend.address = *address;
  }
  if (address && !address->is_v4() && backend.mtu_bytes != 0 && backend.mtu_bytes < kIpv6MtuMin)
    section.review().error(section.place_of("mtu"), "mtu must be at least " + std::to_string(kIpv6MtuMin) +
                                                        " on the way to an IPv6 backend, not " +
                                                        std::to_string(backend.mtu_bytes));
}

void judge_size(Section& section, const Pool& pool) {
  Review& review = section.review();
  const std::size_t count = pool.backends.size();
  const auto takes_flows = [](const Backend& backend) { return backend.weight > 0; };
  const bool any_weight = std::any_of(pool.backends.begin(), pool.backends.end(), takes_flows);
  if (count == 0) review.warning(section.place(), "pool " + in_quotes(pool.name) + " has no backend: all is dropped");
  if (count == 1) review.warning(section.place(), "pool " + in_quotes(pool.name) + " has one backend: no redundancy");
  if (count > 0 && !any_weight)
    review.warning(section.place(), "pool " + in_quotes(pool.name) + " has weight 0 everywhere: all is dropped");
  if (count > kBackendsPerPoolMax)
    review.error(section.place_of("backends"), "backends has " + std::to_string(count) + " elements; a pool takes " +
                                                   std::to_string(kBackendsPerPoolMax));
  if (count * kSlotsPerBackend > pool.slots)
    review.warning(section.place_of("slots"), "slots are few for " + std::to_string(count) +
                                                  " backends: shares are uneven below " +
                                                  std::to_string(count * kSlotsPerBackend));
}

// "copy", which is none, or a code point.
std::optional<std::optional<std::uint8_t>> dscp(const Field& field) {
  const auto* word = std::get_if<std::string>(&field.value.data);
  if (word == nullptr) return integer<std::uint8_t>(0, kDscpMax)(field);
  if (*word == "copy") return std::optional<std::uint8_t>();
  return field.error("must be \"copy\" or a number from 0 to " + std::to_string(kDscpMax) + ", not " +
                     in_quotes(*word));
}

void read_encapsulation(Section& section, Pool& pool) {
  section.optional("encap", pool.encap,
                   choice<Encap>({{"gue", Encap::gue0},
                                  {"gue1", Encap::gue1},
                                  {"ipip", Encap::ipip},
                                  {"gre", Encap::gre},
                                  {"l2dsr", Encap::l2dsr}}));
  section.optional("dscp", pool.dscp, dscp);
  section.optional("oversize", pool.oversize,
                   choice<Oversize>({{"fragment", Oversize::fragment_outer},
                                     {"fragment-inner", Oversize::fragment_inner},
                                     {"drop", Oversize::drop}}));
  section.optional("second_chance", pool.second_chance, boolean);
  if (pool.second_chance && pool.encap != Encap::gue0)
    section.review().error(section.place_of("second_chance"),
                           "second_chance needs the private data of encap = \"gue\"; remove it, or use that");
  if (pool.encap == Encap::l2dsr && pool.dscp)
    section.review().error(section.place_of("dscp"),
                           "dscp is for outer headers, and encap = \"l2dsr\" has none; remove it");
}

void read_scheduler(Section& section, Pool& pool) {
  section.optional("scheduler", pool.scheduler,
                   choice<Scheduler>({{"maglev", Scheduler::maglev},
                                      {"source-hash", Scheduler::source_hash},
                                      {"round-robin", Scheduler::round_robin},
                                      {"least-connections", Scheduler::least_connections}}));
  section.optional("source_bits_ipv4", pool.source_bits4, integer<std::uint8_t>(1, 32));
  section.optional("source_bits_ipv6", pool.source_bits6, integer<std::uint8_t>(1, 128));
  for (const char* key : {"source_bits_ipv4", "source_bits_ipv6"})
    if (section.has(key) && pool.scheduler != Scheduler::source_hash)
      section.review().error(section.place_of(key),
                             std::string(key) + " is for scheduler = \"source-hash\"; remove it, or choose that");
}

void read_health_check(Section& section, Names& check_names, Pool& pool) {
  section.optional("health_check", pool.health_check, check_names.reference());
  section.optional("fail_open_below", pool.fail_open_below, integer(0U, 100U));
  if (section.has("fail_open_below") && !section.has("health_check"))
    section.review().error(section.place_of("fail_open_below"),
                           "fail_open_below is for pools with a health_check; remove it, or add one");
}

void read_pool(Section& section, Names& check_names, const std::string& directory, Pool& pool) {
  read_encapsulation(section, pool);
  read_scheduler(section, pool);
  section.optional("slots", pool.slots, slot_count);
  read_health_check(section, check_names, pool);
  if (!section.has("backends")) section.missing("backends");
  read_quic(section, directory, pool);
  ServerIds server_ids(pool);
  Taken taken;
  section.each("backends", [&](Section& element) {
    pool.backends.emplace_back();
    read_backend(element, taken, pool.backends.back());
    server_ids.read(element, pool.backends.back());
  });
  if (section.has("backends")) judge_size(section, pool);
}

}  // namespace

void read_pools(Section& root, Names& names, Names& check_names, const std::string& directory, Config& config) {
  std::size_t backends = 0;
  root.each_named("pool", [&](const std::string& name, Section& section) {
    names.add(name, section);
    Pool pool;
    pool.name = name;
    read_pool(section, check_names, directory, pool);
    const bool fitted = backends <= config.dataplane.backends_max;
    backends += pool.backends.size();
    if (fitted && backends > config.dataplane.backends_max)
      section.review().error(section.place_of("backends"), "here are more than " +
                                                               std::to_string(config.dataplane.backends_max) +
                                                               " backends in all; raise dataplane.backends_max");
    if (config.pools.size() == kPoolsMax)
      section.review().error(section.place(),
                             "here are more than " + std::to_string(kPoolsMax) + " pools in all; let VIPs share them");
    config.pools.push_back(std::move(pool));
  });
}

}  // namespace guideway::config
