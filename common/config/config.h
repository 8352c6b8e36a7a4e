// The operator's configuration, typed and checked. One TOML file for both programs; deploy/guideway.toml documents
// every key. load_config() (load.h) is the only way to make one, so whoever holds a Config holds a valid one:
//   - names are [a-z0-9_-]{1,63} and unique in their table, references (pool, health_check) resolve to positions,
//   - no two VIPs share address, port and protocol; no two backends of a pool share an address or a server ID,
//   - QUIC VIPs have pools with QUIC layouts, whose shapes are sound and whose backends have the server IDs they want,
//   - weights are 0…65535, slot counts prime, durations positive and bounded.
//
// Thread-safety: plain values.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "guideway/address.h"
#include "guideway/flow_hash.h"
#include "guideway/tables.h"

namespace guideway::config {

using Milliseconds = std::chrono::milliseconds;

struct Port {  // [[dataplane.port]]
  std::string name;
  std::string device;  // DPDK device string, e.g. "net_af_xdp0,iface=eth1" or "0000:3b:00.0"
  // How packets that are not ours reach the kernel: "auto", "steer" (AF_XDP: the NIC only gives us VIPs), "copy"
  // (AF_PACKET: the kernel sees every frame anyway), "none", or a DPDK device string, e.g. "net_tap0,iface=gw0".
  std::string kernel = "auto";
  std::string kernel_interface;  // stands for the port in routes and neighbours; derived from the devices if empty
  std::optional<MacAddress> next_hop_mac;   // fixed next hop for everything that leaves here; else asked of the kernel
  std::vector<IpAddress> source_addresses;  // outer sources, at most one per family; else asked of the kernel
  std::uint16_t mtu_bytes = 0;              // 0: as the device says
  std::vector<std::uint16_t> vlans;         // tags of what is sent to backends, the outer one first; at most two
  // Outer sources of IPIP and GRE vary by flow within these, at most one per family; empty: source_addresses.
  std::vector<IpPrefix> ipip_source_prefixes;
  friend bool operator==(const Port&, const Port&) = default;
};

enum class Hugepages { automatic, on, off };

struct Dataplane {  // [dataplane]
  std::uint32_t main_core = 0;
  std::vector<std::uint32_t> worker_cores;  // one worker and one queue pair of each port per entry
  Hugepages hugepages = Hugepages::automatic;
  std::uint32_t memory_mib = 512;
  std::uint32_t rx_descriptors = 1024;
  std::uint32_t tx_descriptors = 1024;
  std::uint32_t vips_max = 16384;  // elements of the stats region
  std::uint32_t backends_max = 32768;
  std::uint32_t echo_per_second = 1000;    // of each worker: echo requests answered
  std::uint32_t errors_per_second = 1000;  // of each worker: resets and ICMP errors sent
  std::uint32_t idle_sleep_us = 0;         // a worker without packets sleeps for so long at a time; 0: never
  Milliseconds heartbeat_timeout{1000};    // a worker silent for longer counts as dead: VIPs are withdrawn
  std::vector<Port> ports;
  friend bool operator==(const Dataplane&, const Dataplane&) = default;
};

struct Flows {  // [flows]
  std::uint32_t max_per_worker = 1 << 20;
  // A flow that has been silent for longer is forgotten.
  Milliseconds probation_timeout{30'000};  // only its SYN or QUIC Initial was seen
  Milliseconds idle_timeout{7'500'000};    // TCP and QUIC; RFC 5382, REQ-5
  Milliseconds closing_timeout{240'000};   // after a FIN or RST; RFC 5382, REQ-5
  Milliseconds datagram_timeout{300'000};  // UDP; RFC 4787, REQ-5
  Milliseconds settle_after{7'500'000};    // a slot is unsettled for so long after its owner has changed
  friend bool operator==(const Flows&, const Flows&) = default;
};

struct FlowHash {           // [flow_hash]
  FlowHashSecret secret{};  // from key_file: 32 hex digits
  bool is_default = true;   // no key_file: a published key, fit for labs only
};

enum class CheckType { none, tcp, http };

struct HealthCheck {  // [health_check.NAME]
  std::string name;
  CheckType type = CheckType::tcp;
  std::uint16_t port = 0;
  std::string path = "/";                 // http
  std::string host;                       // http: the Host header; empty: the backend's address
  std::uint16_t expect_status_min = 200;  // http, inclusive
  std::uint16_t expect_status_max = 299;
  Milliseconds interval{5000};
  Milliseconds timeout{2000};
  std::uint32_t rise = 2;  // consecutive successes until up
  std::uint32_t fall = 3;  // consecutive failures until down
  double jitter = 0.1;     // each wait is interval × (1 ± jitter)
  friend bool operator==(const HealthCheck&, const HealthCheck&) = default;
};

struct Backend {  // an element of [pool.NAME] backends
  std::string name;
  IpAddress address;
  std::uint16_t weight = 1;              // 0: known, but takes no new flow
  std::uint16_t mtu_bytes = 0;           // the largest IP packet that fits the way there; 0: as the route says
  std::vector<QuicServerId> server_ids;  // none but in pools with `quic`
};

struct Pool {  // [pool.NAME]
  std::string name;
  Encap encap = Encap::gue0;
  std::uint32_t slots = kSlotCountDefault;
  std::optional<std::uint8_t> dscp;  // of outer headers; none: copied from the inner one
  Oversize oversize = Oversize::fragment_outer;
  std::optional<std::size_t> health_check;  // position in Config::health_checks; none: always healthy
  std::uint32_t fail_open_below = 0;  // percent of the weight that is not down: with less checks do not count; 0: never
  Scheduler scheduler = Scheduler::maglev;
  std::uint8_t source_bits4 = 32;  // of a client's address, what "source-hash" hashes
  std::uint8_t source_bits6 = 128;
  bool second_chance = false;  // packets of unsettled slots carry their previous owners as hops
  std::vector<Backend> backends;
  std::optional<QuicLayouts> quic;  // how QUIC connection IDs name backends; none: they do not
};

enum class Announce { healthy, always, never };
enum class Echo { answer, healthy, drop };  // echo requests; healthy: answered while a backend is usable

struct Vip {  // [vip.NAME]; several addresses or protocols in the file become several of these
  std::string name;
  IpPrefix prefix;
  std::uint16_t port = 0;  // 0: any
  IpProto protocol = IpProto::tcp;
  bool quic = false;     // UDP whose packets may name their backend
  std::size_t pool = 0;  // position in Config::pools
  Announce announce = Announce::healthy;
  Echo echo = Echo::answer;
  Unserved unserved = Unserved::drop;
  NoBackend no_backend = NoBackend::drop;
  Tracking tracking = Tracking::moved;
};

struct Bgp {  // [bgp]
  bool enabled = false;
  IpAddress peer;  // the daemon on this host, e.g. 127.0.0.1
  std::uint16_t peer_port = 1790;
  IpAddress source;                    // our end of the session, e.g. 127.0.0.2
  std::uint32_t local_as = 0;          // iBGP: the daemon's too
  IpAddress router_id;                 // IPv4
  std::optional<IpAddress> next_hop4;  // what the daemon resolves for VIPs (it rewrites it on export)
  std::optional<IpAddress> next_hop6;
  std::uint16_t hold_time_s = 3;
  Milliseconds shutdown_linger{1000};  // after withdrawing at SIGTERM, keep forwarding for so long
  friend bool operator==(const Bgp&, const Bgp&) = default;
};

struct Control {                                // [control]
  std::string run_dir = "/run/guideway";        // sockets: control.sock (API), dataplane.sock (hand-over)
  std::string state_dir = "/var/lib/guideway";  // operator intents (drain, weight) that must survive a restart
  std::string socket_group;                     // who besides root may use guidewayctl; empty: nobody
  std::uint32_t tables_mib = 64;                // size of the tables segment
  friend bool operator==(const Control&, const Control&) = default;
};

struct Config {
  Dataplane dataplane;
  Flows flows;
  FlowHash flow_hash;
  std::vector<HealthCheck> health_checks;
  std::vector<Pool> pools;
  std::vector<Vip> vips;
  Bgp bgp;
  Control control;
  std::uint64_t digest = 0;  // of the file's text: two LBs with equal digests run the same file
};

}  // namespace guideway::config
