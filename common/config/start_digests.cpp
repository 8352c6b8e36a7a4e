#include "common/config/start_digests.h"

#include <xxhash.h>

#include <concepts>
#include <string>

#include "common/net/address_text.h"

namespace guideway::config {
namespace {

// Lists and texts have their length in front, optional values a flag: what differs does not look alike.
class Digest {
 public:
  template <typename... Values>
  void add(const Values&... values) {
    (put(values), ...);
  }
  std::uint64_t value() const { return XXH3_64bits(bytes_.data(), bytes_.size()); }

 private:
  template <std::integral T>
  void put(T number) {
    bytes_ += std::to_string(number) + ' ';
  }
  void put(Hugepages hugepages) { put(static_cast<int>(hugepages)); }
  void put(Milliseconds time) { put(time.count()); }
  void put(const std::string& text) {
    put(text.size());
    bytes_ += text;
  }
  void put(const IpAddress& address) { put(guideway::to_text(address)); }
  void put(const IpPrefix& prefix) { put(guideway::to_text(prefix)); }
  void put(const MacAddress& mac) { put(guideway::to_text(mac)); }
  template <typename T>
  void put(const std::optional<T>& value) {
    put(value.has_value());
    if (value) put(*value);
  }
  template <typename T>
  void put(const std::vector<T>& list) {
    put(list.size());
    for (const T& element : list) put(element);
  }
  // All members by name: one more does not compile until it counts.
  void put(const Port& port) {
    const auto& [name, device, kernel, kernel_interface, next_hop_mac, source_addresses, mtu, vlans, prefixes] = port;
    add(name, device, kernel, kernel_interface, next_hop_mac, source_addresses, mtu, vlans, prefixes);
  }

  std::string bytes_;
};

std::uint64_t digest_of(const Dataplane& dataplane) {
  const auto& [main_core, worker_cores, hugepages, memory, rx_descriptors, tx_descriptors, vips_max, backends_max,
               echo_per_second, errors_per_second, idle_sleep, heartbeat_timeout, ports] = dataplane;
  Digest digest;
  digest.add(main_core, worker_cores, hugepages, memory, rx_descriptors, tx_descriptors, vips_max, backends_max,
             echo_per_second, errors_per_second, idle_sleep, heartbeat_timeout, ports);
  return digest.value();
}

std::uint64_t digest_of(const Flows& flows) {
  const auto& [max_per_worker, probation, idle, closing, datagram, settle_after] = flows;
  Digest digest;
  digest.add(max_per_worker, probation, idle, closing, datagram);
  return digest.value();
}

std::uint64_t digest_of(const Bgp& bgp) {
  const auto& [enabled, peer, peer_port, source, local_as, router_id, next_hop4, next_hop6, hold_time, linger] = bgp;
  Digest digest;
  digest.add(enabled, peer, peer_port, source, local_as, router_id, next_hop4, next_hop6, hold_time, linger);
  return digest.value();
}

}  // namespace

StartDigests start_digests_of(const Config& config) {
  return {digest_of(config.dataplane), digest_of(config.flows), digest_of(config.bgp)};
}

}  // namespace guideway::config
