// Why a configuration that is sound in itself would not work on this host now: the kernel's addresses, and what the
// running data plane was started with.
//
// Thread-safety: functions without a state; addresses_of_host() asks the kernel.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/config/config.h"

namespace guideway::controlplane {

struct HostFacts {
  struct Address {
    IpAddress address;
    std::string link;
  };
  struct Capacity {  // elements of the stats region
    std::uint32_t vips = 0, backends = 0;
  };
  std::vector<Address> addresses;    // of all interfaces but loopback and dummy ones
  std::vector<IpAddress> sources;    // of outer headers, as the kernel chose them
  std::optional<Capacity> capacity;  // none: no data plane is connected
};

std::vector<HostFacts::Address> addresses_of_host();

// Each a sentence with its fix; empty: all is well.
std::vector<std::string> conflicts_of(const config::Config& config, const HostFacts& host);

}  // namespace guideway::controlplane
