// The test's hand on a running steering program:  steer_vips INTERFACE set [PREFIX …]  |  counters  |  remove
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "bpf/steer_map.h"
#include "bpf/steer_program.h"
#include "common/net/address_text.h"

using namespace guideway;

int main(int argc, char** argv) try {
  const std::vector<std::string> words(argv + 1, argv + argc);
  if (words.size() >= 2 && words[1] == "set") {
    std::vector<IpPrefix> vips;
    std::string why;
    for (std::size_t i = 2; i < words.size(); i++) vips.push_back(parse_prefix(words[i], why).value());
    bpf::SteerMap::open(words[0]).set(vips);
  } else if (words.size() == 2 && words[1] == "counters") {
    const bpf::SteerCounters counters = bpf::SteerMap::open(words[0]).counters();
    std::printf("steered %lu unbound %lu passed %lu\n", counters.steered, counters.unbound, counters.passed);
  } else if (words.size() == 2 && words[1] == "remove") {
    std::puts(bpf::remove_left_over_steering(words[0]) ? "removed" : "nothing there");
  } else {
    std::fputs("usage: steer_vips INTERFACE set [PREFIX ...] | counters | remove\n", stderr);
    return 2;
  }
} catch (const std::exception& error) {
  std::fprintf(stderr, "steer_vips: %s\n", error.what());
  return 1;
}
