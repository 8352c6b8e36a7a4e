// What became of each packet of a capture, for people: a line each, in the order of the capture.
//
//   3     1.204113 198.51.100.7:40000 > 203.0.113.10:80 tcp, 74 bytes: sent to web/web2 10.1.0.12 (vip web, …)
//   4     1.204290 198.51.100.9 > 203.0.113.10 icmp echo request, 98 bytes: answered, answered_echo: Echo requests …
//   5     1.300000 198.51.100.9:1234 > 203.0.113.10:81 udp, 60 bytes: dropped, drop_unserved: To a VIP, but …
//
// Thread-safety: one thread.
#pragma once

#include <cstdio>
#include <string>
#include <vector>

#include "common/config/config.h"
#include "dataplane/replay/replay_port.h"

namespace guideway::replay {

class Report {
 public:
  // `config`: for names, the one that `view` was made from. Both outlive it.
  Report(const config::Config& config, const TablesView& view) : config_(config), view_(view) {}

  // In the order of the capture. `time`: since the first packet.
  void received(Ns time, std::span<const std::uint8_t> frame);
  void ended(const End& end);
  void print(std::FILE* out) const;

 private:
  // By whom the scheduler source_hash chooses.
  struct Client {
    Family family{};
    IpAddress address;
  };
  struct Line {
    std::string what;
    Client client;
    std::string end = "still waits for its first fragment at the end of the capture";
  };
  std::string text_of(const End& end, const Client& client) const;
  std::string backend_text(const Packet& packet, const Client& client) const;

  const config::Config& config_;
  const TablesView& view_;
  std::vector<Line> lines_;
};

}  // namespace guideway::replay
