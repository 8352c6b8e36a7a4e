// Connections of a client with a VIP in each state that a kernel keeps them in, without a network: everything is in the
// calling thread's network namespace, on `lo`; far clients are behind a veth where nobody listens.
//
// Functions throw std::runtime_error. Thread-safety: one thread. Needs root, and a namespace of one's own.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "common/descriptor.h"
#include "tests/bpf/decap_packets.h"

namespace guideway::bpf {

struct Peers {  // of a connection: client → VIP
  Family family;
  std::uint16_t client_port;
  bool is_far = false;  // the client's address is none of ours, so nobody resets what it does not know

  IpAddress client() const {
    if (is_far) return ip(family == Family::ipv4 ? "198.51.100.9" : "2001:db8:7::9");
    return ip(family == Family::ipv4 ? "198.51.100.7" : "2001:db8:7::7");
  }
  IpAddress vip() const { return ip(family == Family::ipv4 ? "203.0.113.10" : "2001:db8:f::10"); }
};
inline constexpr std::uint16_t kVipPort = 80;

// A segment from the client to the VIP, with right checksums.
Bytes segment(const Peers& peers, std::uint8_t flags, std::uint32_t sequence = 1000, std::uint32_t acknowledgement = 0);

// The addresses of near clients and VIPs on `lo`, and the way to far clients. Once is enough.
void make_addresses();
// net.ipv4.tcp_syncookies: 0 never, 1 when the queue is full, 2 always. It counts for IPv6 too.
void set_syncookies(int how);
// One command of a shell, in the thread's namespace.
void run_command(const std::string& command);
// Does `work` in a network namespace of `ip netns`, with the calling thread, and comes back.
void in_namespace(const std::string& name, const std::function<void()>& work);

Descriptor listening(Family family);

struct Connection {
  Descriptor client;
  Descriptor server;
};
// REQUIRES: something listens.
Connection established(const Peers& peers, const Descriptor& listener);
// The server closed first, so it is its end that waits.
void let_wait(Connection connection, const Peers& peers);
// Sends only the SYN, and returns the sequence number of the SYN-ACK that it is answered with.
// REQUIRES: the client is far, and something listens.
std::uint32_t half_open(const Peers& peers);

}  // namespace guideway::bpf
