#include "tests/bpf/tcp_states.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>

#include <array>
#include <bit>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>

namespace guideway::bpf {
namespace {

constexpr auto kPatience = std::chrono::seconds(10);
constexpr int kTimeWait = 6;  // of /proc/net/tcp, include/net/tcp_states.h in the kernel's sources

void require(bool holds, const char* what) {
  if (!holds) throw std::runtime_error(std::string(what) + ": " + std::generic_category().message(errno));
}

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t bytes = 0;
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

SocketAddress socket_address(const IpAddress& address, std::uint16_t port) {
  SocketAddress out;
  auto* at = reinterpret_cast<std::uint8_t*>(&out.storage);
  if (address.is_v4()) {
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    v4.sin_addr.s_addr = address.v4().raw();
    store(at, v4);
    out.bytes = sizeof v4;
  } else {
    sockaddr_in6 v6{};
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    v6.sin6_addr = std::bit_cast<in6_addr>(address);
    store(at, v6);
    out.bytes = sizeof v6;
  }
  return out;
}

int domain(Family family) {
  return family == Family::ipv4 ? AF_INET : AF_INET6;
}

Descriptor tcp_socket(const IpAddress& address, std::uint16_t port) {
  Descriptor socket(::socket(address.is_v4() ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int one = 1;
  require(socket.valid(), "no TCP socket");
  require(setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) == 0, "SO_REUSEADDR");
  const SocketAddress ours = socket_address(address, port);
  require(bind(socket.get(), ours.get(), ours.bytes) == 0, "bind");
  return socket;
}

// Of the VIP's end of the connection; 0: it has none.
int state_of(const Peers& peers) {
  std::ifstream table(peers.family == Family::ipv4 ? "/proc/thread-self/net/tcp" : "/proc/thread-self/net/tcp6");
  std::string line;
  while (std::getline(table, line)) {
    std::istringstream words(line);
    std::string position, local, remote, state;
    words >> position >> local >> remote >> state;
    const auto port = [](const std::string& end) {
      return std::strtoul(end.c_str() + end.rfind(':') + 1, nullptr, 16);
    };
    if (port(local) == kVipPort && port(remote) == peers.client_port) return std::stoi(state, nullptr, 16);
  }
  return 0;
}

// All frames of the namespace.
Descriptor tap() {
  return Descriptor(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL)));
}

std::optional<std::uint32_t> syn_ack_sequence(const Peers& peers, const std::uint8_t* frame, std::size_t bytes) {
  const std::size_t tcp_at = kEthernetBytes + (peers.family == Family::ipv4 ? sizeof(Ipv4Header) : sizeof(Ipv6Header));
  if (bytes < tcp_at + sizeof(TcpHeader)) return std::nullopt;
  const auto tcp = load<TcpHeader>(frame + tcp_at);
  const bool is_it = tcp.ports.source.host() == kVipPort && tcp.ports.destination.host() == peers.client_port &&
                     tcp.flags == (kTcpSyn | kTcpAck);
  return is_it ? std::optional(tcp.sequence.host()) : std::nullopt;
}

}  // namespace

Bytes segment(const Peers& peers, std::uint8_t flags, std::uint32_t sequence, std::uint32_t acknowledgement) {
  Bytes packet = client_packet(peers.family, sizeof(TcpHeader));
  if (peers.family == Family::ipv4) {
    store(packet.data() + offsetof(Ipv4Header, source), peers.client().v4());
    set_ipv4_checksum(packet.data());
  } else {
    store(packet.data() + offsetof(Ipv6Header, source), peers.client());
  }
  store(packet.data() + packet.size() - sizeof(TcpHeader),
        TcpHeader{.ports = {Be16::from_host(peers.client_port), Be16::from_host(kVipPort)},
                  .sequence = Be32::from_host(sequence),
                  .acknowledgement = Be32::from_host(acknowledgement),
                  .data_offset = sizeof(TcpHeader) / 4 << 4,
                  .flags = flags,
                  .window = Be16::from_host(4096),
                  .checksum = {},
                  .urgent = {}});
  set_tcp_checksum(packet);
  return packet;
}

void run_command(const std::string& command) {
  if (std::system(command.c_str()) != 0) throw std::runtime_error("failed: " + command);
}

void in_namespace(const std::string& name, const std::function<void()>& work) {
  const Descriptor before(open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
  const Descriptor there(open(("/run/netns/" + name).c_str(), O_RDONLY | O_CLOEXEC));
  require(setns(there.get(), CLONE_NEWNET) == 0, "cannot enter the network namespace");
  work();
  require(setns(before.get(), CLONE_NEWNET) == 0, "cannot come back from the network namespace");
}

void make_addresses() {
  run_command(R"(set -e
    ip link set lo up
    ip address replace 203.0.113.10/32 dev lo
    ip address replace 198.51.100.7/32 dev lo
    ip -6 address replace 2001:db8:f::10/128 dev lo nodad
    ip -6 address replace 2001:db8:7::7/128 dev lo nodad
    ip link show far0 >/dev/null 2>&1 && exit
    ip link add far0 type veth peer name far1
    ip link set far0 up
    ip link set far1 up
    for client in 198.51.100.9 2001:db8:7::9; do
      ip route add $client dev far0
      ip neighbour replace $client dev far0 lladdr 02:00:00:00:00:09 nud permanent
    done)");
}

void set_syncookies(int how) {
  std::ofstream("/proc/sys/net/ipv4/tcp_syncookies") << how;
}

Descriptor listening(Family family) {
  Descriptor listener = tcp_socket(Peers{family, 0}.vip(), kVipPort);
  require(listen(listener.get(), 16) == 0, "listen");
  return listener;
}

Connection established(const Peers& peers, const Descriptor& listener) {
  Connection connection;
  connection.client = tcp_socket(peers.client(), peers.client_port);
  const SocketAddress vip = socket_address(peers.vip(), kVipPort);
  require(connect(connection.client.get(), vip.get(), vip.bytes) == 0, "connect");
  connection.server = Descriptor(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  require(connection.server.valid(), "accept");
  return connection;
}

void let_wait(Connection connection, const Peers& peers) {
  connection.server = Descriptor();
  char byte = 0;
  require(recv(connection.client.get(), &byte, 1, 0) == 0, "the server did not close");
  connection.client = Descriptor();
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (state_of(peers) != kTimeWait) {
    if (std::chrono::steady_clock::now() > deadline) throw std::runtime_error("a closed connection does not wait");
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

std::uint32_t half_open(const Peers& peers) {
  const Descriptor frames = tap();
  const Descriptor raw(::socket(domain(peers.family), SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW));
  require(frames.valid() && raw.valid(), "no raw socket");
  const Bytes syn = segment(peers, kTcpSyn);
  const SocketAddress vip = socket_address(peers.vip(), 0);
  require(sendto(raw.get(), syn.data(), syn.size(), 0, vip.get(), vip.bytes) == static_cast<ssize_t>(syn.size()),
          "cannot send a SYN");
  std::array<std::uint8_t, 2048> frame{};
  pollfd readable{.fd = frames.get(), .events = POLLIN, .revents = 0};
  while (poll(&readable, 1, std::chrono::milliseconds(kPatience).count()) == 1) {
    const ssize_t bytes = recv(frames.get(), frame.data(), frame.size(), 0);
    if (bytes < 0) break;
    if (const auto sequence = syn_ack_sequence(peers, frame.data(), static_cast<std::size_t>(bytes))) return *sequence;
  }
  throw std::runtime_error("a SYN was not answered");
}

}  // namespace guideway::bpf
