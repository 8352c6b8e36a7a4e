// Runs an Announcer without a data plane, for tests with a real BGP daemon.
//
//   announce_driver PEER PORT SOURCE LOCAL_AS ROUTER_ID
//
// Reads commands from stdin, one per line, and prints the announcer's state whenever it changes:
//   vips PREFIX …    a new generation, followed by all workers, that flags exactly these
//   alive yes|no     what the heartbeats say
//   shutdown         withdraws, closes, exits
#include <poll.h>

#include <chrono>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include "common/net/address_text.h"
#include "dataplane/announce/announcer.h"
#include "guideway/tables_view.h"

namespace guideway {
namespace {

config::Bgp bgp_config(char** arguments) {
  config::Bgp config;
  config.enabled = true;
  config.peer = parse_ip(arguments[1]).value();
  config.peer_port = static_cast<std::uint16_t>(std::stoul(arguments[2]));
  config.source = parse_ip(arguments[3]).value();
  config.local_as = static_cast<std::uint32_t>(std::stoul(arguments[4]));
  config.router_id = parse_ip(arguments[5]).value();
  config.next_hop4 = parse_ip("192.0.2.11");
  config.next_hop6 = parse_ip("2001:db8:ff::11");
  return config;
}

class Driver {
 public:
  explicit Driver(const config::Bgp& config) : announcer_(config) {}

  // False when it is time to leave.
  bool command(const std::string& line) {
    std::istringstream words(line);
    std::string word;
    words >> word;
    if (word == "shutdown") {
      announcer_.shutdown();
      return false;
    }
    if (word == "alive") {
      words >> word;
      alive_ = word == "yes";
    } else if (word == "vips") {
      vips_.clear();
      while (words >> word) {
        std::string why;
        const IpPrefix prefix = parse_prefix(word, why).value();
        VipRecord& vip = vips_.emplace_back();
        vip.address = prefix.address;
        vip.prefix_bits = prefix.bits;
        vip.flags = kVipAnnounce;
      }
      view_.vips = vips_;
      view_.generation = next(view_.generation);
    }
    return true;
  }

  void run() {
    announcer_.update(&view_, true, alive_);
    announcer_.run(std::chrono::steady_clock::now());
    std::ostringstream state;
    state << "state " << static_cast<int>(announcer_.state()) << " announced " << number(announcer_.announced()) << " "
          << announcer_.error();
    if (state.str() == printed_) return;
    printed_ = state.str();
    std::cout << printed_ << std::endl;
  }

 private:
  Announcer announcer_;
  TablesView view_;
  std::vector<VipRecord> vips_;
  bool alive_ = true;
  std::string printed_;
};

int drive(const config::Bgp& config) {
  Driver driver(config);
  pollfd input{0, POLLIN, 0};
  for (;;) {
    if (std::cin.rdbuf()->in_avail() > 0 || poll(&input, 1, 1) > 0) {
      std::string line;
      if (!std::getline(std::cin, line) || !driver.command(line)) return 0;
    }
    driver.run();
  }
}

}  // namespace
}  // namespace guideway

int main(int count, char** arguments) {
  if (count != 6) {
    std::cerr << "usage: announce_driver PEER PORT SOURCE LOCAL_AS ROUTER_ID\n";
    return 2;
  }
  return guideway::drive(guideway::bgp_config(arguments));
}
