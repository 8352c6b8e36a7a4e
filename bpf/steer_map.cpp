#include "bpf/steer_map.h"

#include <bpf/bpf.h>

#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <set>
#include <stdexcept>
#include <system_error>

#include "bpf/attached_program.h"
#include "guideway/abi/xsk_steer.h"

namespace guideway::bpf {
namespace {

// The bytes of a guideway_steer_key, which has no padding: they compare as the kernel's hash map does.
using Key = std::array<std::uint8_t, sizeof(guideway_steer_key)>;
static_assert(sizeof(guideway_steer_key) == 20);

Key key_of(const IpAddress& vip) {
  guideway_steer_key key{};
  std::memcpy(key.address, vip.bytes.data(), vip.bytes.size());
  key.family = static_cast<std::uint8_t>(vip.family());
  return std::bit_cast<Key>(key);
}

std::set<Key> keys_in(int map) {
  std::set<Key> keys;
  Key key{};
  for (const void* previous = nullptr; bpf_map_get_next_key(map, previous, key.data()) == 0; previous = key.data())
    keys.insert(key);
  return keys;
}

}  // namespace

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

void SteerMap::set(std::span<const IpAddress> vips) const {
  std::set<Key> wanted;
  for (const IpAddress& vip : vips) wanted.insert(key_of(vip));
  const std::set<Key> present = keys_in(vips_.get());

  const guideway_steer_value yes = 1;
  for (const Key& key : wanted)
    if (!present.contains(key) && bpf_map_update_elem(vips_.get(), key.data(), &yes, BPF_ANY) != 0)
      throw std::runtime_error("cannot steer one more of " + std::to_string(wanted.size()) +
                               " VIP addresses: " + std::generic_category().message(errno) +
                               "; the steering program holds " + std::to_string(GUIDEWAY_STEER_VIPS_MAX));
  for (const Key& key : present)
    if (!wanted.contains(key)) bpf_map_delete_elem(vips_.get(), key.data());
}

SteerCounters SteerMap::counters() const {
  const auto sums = read_counters(counters_.get(), GUIDEWAY_STEER_COUNTERS);
  return {sums[GUIDEWAY_STEER_STEERED], sums[GUIDEWAY_STEER_UNBOUND], sums[GUIDEWAY_STEER_PASSED]};
}

}  // namespace guideway::bpf
