#include "bpf/steer_map.h"

#include <bpf/bpf.h>

#include <bit>
#include <cerrno>
#include <stdexcept>
#include <system_error>

#include "bpf/attached_program.h"
#include "bpf/map_key.h"

namespace guideway::bpf {

static_assert(sizeof(guideway_prefix) == 24);

SteerMap SteerMap::open(const std::string& interface) {
  const auto program = AttachedProgram::find(interface);
  if (!program)
    throw std::runtime_error("no XDP program on " + interface +
                             "; the port must be configured with the steering program (xdp_prog=) first");
  if (program->name() != kSteerProgramName)
    throw std::runtime_error("the XDP program on " + interface + " is \"" + program->name() + "\" and not \"" +
                             kSteerProgramName + "\"; remove it with `ip link set dev " + interface +
                             " xdp off` and start the data plane again");
  return {program->map("vips"), program->map("counters")};
}

SteerMap::SteerMap(Descriptor vips, Descriptor counters) : vips_(std::move(vips)), counters_(std::move(counters)) {
  Key key{};
  for (const void* previous = nullptr; bpf_map_get_next_key(vips_.get(), previous, key.data()) == 0;
       previous = key.data())
    steered_.insert(key);
}

void SteerMap::add(const Key& key, std::size_t wanted) {
  if (bpf_map_update_elem(vips_.get(), key.data(), &kPresent, BPF_ANY) != 0)
    throw std::runtime_error("cannot steer one more of " + std::to_string(wanted) +
                             " VIP prefixes: " + std::generic_category().message(errno) +
                             "; the steering program holds " + std::to_string(GUIDEWAY_STEER_VIPS_MAX));
  steered_.insert(key);
}

void SteerMap::set(std::span<const IpPrefix> vips) {
  std::set<Key> wanted;
  for (const IpPrefix& vip : vips) wanted.insert(std::bit_cast<Key>(key_of(vip)));
  for (const Key& key : wanted)
    if (!steered_.contains(key)) add(key, wanted.size());
  std::erase_if(steered_, [&](const Key& key) {
    return !wanted.contains(key) && bpf_map_delete_elem(vips_.get(), key.data()) == 0;
  });
}

SteerCounters SteerMap::counters() const {
  const auto sums = read_counters(counters_.get(), GUIDEWAY_STEER_COUNTERS);
  return {sums[GUIDEWAY_STEER_STEERED], sums[GUIDEWAY_STEER_UNBOUND], sums[GUIDEWAY_STEER_PASSED]};
}

}  // namespace guideway::bpf
