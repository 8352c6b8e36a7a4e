// After examples/l3fwd of DPDK 22.11, its LPM mode.
#include <rte_eal.h>
#include <rte_lpm.h>
#include <rte_lpm6.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <map>
#include <set>
#include <stdexcept>

#include "dataplane/stages/service.h"
#include "dataplane/worker.h"
#include "perf/rigs.h"

namespace guideway::perf {
namespace {

constexpr std::uint32_t kHops = 16;  // routes point to them in turn
constexpr std::uint8_t kRouteBits4 = 24;
constexpr std::uint8_t kRouteBitsToClients4 = 12;
constexpr std::uint8_t kRouteBits6 = 64;

struct MacAddresses {
  MacAddress destination, source;
};

std::string next_table_name() {
  static int count = 0;
  return "l3fwd" + std::to_string(count++);
}

std::uint8_t* ip_of(const Packet& packet) {
  return packet.data + sizeof(EthernetHeader);
}

// What is the same for both families. `Routes` looks a batch up and forwards a packet: false when it does not.
template <typename Routes>
class L3fwdRig final : public Rig {
 public:
  L3fwdRig(Port& port, Routes routes) : port_(port), routes_(std::move(routes)) {
    for (std::uint8_t hop = 0; hop < kHops; hop++) macs_[hop] = {{{2, 0, 0, 1, 0, hop}}, {{2, 0, 0, 2, 0, hop}}};
  }
  void poll() override {
    batch_.clear();
    port_.receive(batch_);
    routes_.look_up(batch_);
    PacketList sent;
    PacketList refused;
    for (std::uint32_t i = 0; i < batch_.count; i++) {
      Packet& packet = batch_.packets[i];
      store(packet.data, macs_[routes_.hop(i) % kHops]);
      (routes_.forward(packet, i) ? sent : refused).push(packet);
    }
    port_.transmit(sent.packets.data(), sent.count);
    if (refused.count > 0) port_.release(refused.packets.data(), refused.count);
  }

 private:
  Port& port_;
  Routes routes_;
  Batch batch_;
  std::array<MacAddresses, kHops> macs_;
};

struct FreeRoutes4 {
  void operator()(rte_lpm* lpm) const { rte_lpm_free(lpm); }
};
using SharedRoutes4 = std::shared_ptr<rte_lpm>;

// One route for each network, to the hops in turn. A table has 64 MB, and nobody changes it: who wants the same routes
// shares it.
SharedRoutes4 routes4(const std::set<std::uint32_t>& networks, std::uint8_t bits) {
  static std::map<std::set<std::uint32_t>, std::weak_ptr<rte_lpm>> made;
  if (SharedRoutes4 known = made[networks].lock()) return known;
  const rte_lpm_config config{.max_rules = 4096, .number_tbl8s = 16, .flags = 0};
  SharedRoutes4 lpm(rte_lpm_create(next_table_name().c_str(), 0, &config), FreeRoutes4());
  if (lpm == nullptr) throw std::runtime_error("no memory for the IPv4 routes of l3fwd");
  std::uint32_t hop = 0;
  for (const std::uint32_t network : networks)
    if (rte_lpm_add(lpm.get(), network, bits, hop++ % kHops) != 0) throw std::runtime_error("no room for a route");
  made[networks] = lpm;
  return lpm;
}

SharedRoutes4 routes_to_vips4(const TraceSpec& spec) {
  std::set<std::uint32_t> networks;
  for (std::uint32_t i = 0; i < spec.vips; i++)
    networks.insert(destination_of(Family::ipv4, spec.kind != TraceKind::not_vip, i).v4().host() & 0xffffff00);
  return routes4(networks, kRouteBits4);
}

// To wherever a client may be.
SharedRoutes4 routes_to_clients4() {
  std::set<std::uint32_t> networks;
  for (std::uint32_t i = 0; i < 1U << kRouteBitsToClients4; i++)
    if (const std::uint32_t network = i << (32 - kRouteBitsToClients4); may_be_source4(network))
      networks.insert(network);
  return routes4(networks, kRouteBitsToClients4);
}

class Routes4 {
 public:
  // `address_at`: where in the header the address lies by which packets go.
  Routes4(SharedRoutes4 lpm, std::size_t address_at) : lpm_(std::move(lpm)), address_at_(address_at) {}

  void look_up(const Batch& batch) {
    std::array<std::uint32_t, kBatchMax> addresses;
    for (std::uint32_t i = 0; i < kBatchMax; i++)
      addresses[i] = load<Be32>(ip_of(batch.packets[i]) + address_at_).host();
    rte_lpm_lookup_bulk(lpm_.get(), addresses.data(), hops_.data(), kBatchMax);
  }
  // l3fwd's rfc1812_process(): whether the header can be one, TTL, and the checksum that follows from it.
  std::uint32_t hop(std::uint32_t i) const { return hops_[i]; }
  bool forward(const Packet& packet, std::uint32_t i) const {
    const auto ip = load<Ipv4Header>(ip_of(packet));
    const bool sound = ip.version_ihl >= 0x45 && ip.version_ihl <= 0x4f && ip.total_length.host() >= sizeof ip;
    std::uint8_t* at = ip_of(packet);
    at[offsetof(Ipv4Header, ttl)] = static_cast<std::uint8_t>(ip.ttl - 1);
    store(at + offsetof(Ipv4Header, checksum), static_cast<std::uint16_t>(ip.checksum.raw() + 1));
    return sound && (hops_[i] & RTE_LPM_LOOKUP_SUCCESS) != 0;
  }

 private:
  SharedRoutes4 lpm_;
  std::size_t address_at_;
  std::array<std::uint32_t, kBatchMax> hops_{};
};

struct FreeRoutes6 {
  void operator()(rte_lpm6* lpm) const { rte_lpm6_free(lpm); }
};

class Routes6 {
 public:
  explicit Routes6(const TraceSpec& spec) {
    const rte_lpm6_config config{.max_rules = 1024, .number_tbl8s = 1024, .flags = 0};
    lpm_.reset(rte_lpm6_create(next_table_name().c_str(), 0, &config));
    if (lpm_ == nullptr) throw std::runtime_error("no memory for the IPv6 routes of l3fwd");
    const IpAddress route = destination_of(Family::ipv6, spec.kind != TraceKind::not_vip, 0);
    rte_lpm6_add(lpm_.get(), route.bytes.data(), kRouteBits6, 0);
  }

  void look_up(const Batch& batch) {
    std::uint8_t destinations[kBatchMax][RTE_LPM6_IPV6_ADDR_SIZE];
    for (std::uint32_t i = 0; i < kBatchMax; i++) store(destinations[i], ipv6_destination(ip_of(batch.packets[i])));
    rte_lpm6_lookup_bulk_func(lpm_.get(), destinations, hops_.data(), kBatchMax);
  }
  std::uint32_t hop(std::uint32_t i) const { return static_cast<std::uint32_t>(hops_[i]); }
  bool forward(const Packet& packet, std::uint32_t i) const {
    ip_of(packet)[offsetof(Ipv6Header, hop_limit)]--;
    return hops_[i] >= 0;
  }

 private:
  std::unique_ptr<rte_lpm6, FreeRoutes6> lpm_;
  std::array<std::int32_t, kBatchMax> hops_{};
};

}  // namespace

std::unique_ptr<Rig> l3fwd_rig(Port& port, const TraceSpec& spec) {
  if (spec.family == Family::ipv6) return std::make_unique<L3fwdRig<Routes6>>(port, Routes6(spec));
  return std::make_unique<L3fwdRig<Routes4>>(port, Routes4(routes_to_vips4(spec), offsetof(Ipv4Header, destination)));
}

std::unique_ptr<Rig> l3fwd_to_clients_rig(Port& port) {
  return std::make_unique<L3fwdRig<Routes4>>(port, Routes4(routes_to_clients4(), offsetof(Ipv4Header, source)));
}

// For the memory of the route tables and nothing more: no device, no hugepages, one core.
void start_dpdk() {
  char arguments[][32] = {"pipeline_bench", "--no-huge",           "--no-shconf", "--no-pci", "--no-telemetry",
                          "--iova-mode=va", "--log-level=*:error", "-m",          "2048"};
  std::vector<char*> argv;
  for (char* argument : arguments) argv.push_back(argument);
  if (rte_eal_init(static_cast<int>(argv.size()), argv.data()) < 0) throw std::runtime_error("DPDK does not start");
}

}  // namespace guideway::perf
