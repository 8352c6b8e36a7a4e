// The clients of the continuity lab, in one program that a test tells what to do.
//   token_client SOCKET PORT INTERVAL_MS VIP=SOURCE,SOURCE… …
// Each connection to SOCKET is one command, a line, and gets one line back:
//   open TOTAL PER_SECOND   opens connections until there are TOTAL
//   wake                    lets the silent ones talk
//   hush, talk              nobody sends another token; they do again
//   gone N, back N          backend N is taken away: what it had breaks by itself; it is there again
//   report                  what has become of all connections, as JSON
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <sstream>
#include <stdexcept>

#include "common/net/address_text.h"
#include "tests/continuity/population.h"

namespace guideway::continuity {
namespace {

constexpr std::uint64_t kControl = ~std::uint64_t{0};
constexpr int kTurn_ms = 5;

IpAddress address(const std::string& text) {
  const auto parsed = parse_ip(text);
  if (!parsed) throw std::invalid_argument(text + " is no IP address");
  return *parsed;
}

Target target(const std::string& text) {
  const auto equals = text.find('=');
  if (equals == std::string::npos) throw std::invalid_argument(text + " is not VIP=SOURCE,SOURCE…");
  Target out{address(text.substr(0, equals)), {}};
  std::istringstream sources(text.substr(equals + 1));
  for (std::string source; std::getline(sources, source, ',');) out.sources.push_back(address(source));
  return out;
}

Descriptor control_socket(const std::string& path) {
  Descriptor out(must(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"));
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  path.copy(name.sun_path, sizeof name.sun_path - 1);
  unlink(path.c_str());
  must(bind(out.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name), "bind");
  must(listen(out.get(), 8), "listen");
  return out;
}

std::string obey(Population& population, const std::string& line) {
  std::istringstream words(line);
  std::string command;
  std::uint64_t number = 0;
  double per_second = 0;
  words >> command >> number >> per_second;
  if (command == "report") return population.report();
  if (command == "open")
    population.open(number, per_second);
  else if (command == "wake")
    population.wake();
  else if (command == "hush")
    population.hush();
  else if (command == "talk")
    population.talk();
  else if (command == "gone")
    population.gone(number);
  else if (command == "back")
    population.back(number);
  else
    return "unknown command: " + line;
  return "done";
}

// A command is a line of a few bytes from this machine: it comes in one piece.
void serve(Population& population, const Descriptor& control) {
  const Descriptor caller(must(accept(control.get(), nullptr, nullptr), "accept"));
  std::array<char, 256> line{};
  const ssize_t got = read(caller.get(), line.data(), line.size());
  if (got <= 0) return;
  const std::string answer = obey(population, std::string(line.data(), static_cast<std::size_t>(got))) + "\n";
  if (send(caller.get(), answer.data(), answer.size(), MSG_NOSIGNAL) < 0) return;
}

void run(int argc, char** argv) {
  allow_many_files();
  std::vector<Target> targets;
  for (int at = 4; at < argc; at++) targets.push_back(target(argv[at]));
  Population population(std::move(targets), static_cast<std::uint16_t>(std::atoi(argv[2])),
                        std::chrono::milliseconds(std::atoi(argv[3])));
  const Descriptor control = control_socket(argv[1]);
  population.loop().add(control.get(), EPOLLIN, kControl);
  for (;;) {
    const auto events = population.loop().wait(kTurn_ms);
    const Clock::time_point now = Clock::now();
    for (const epoll_event& event : events) {
      if (event.data.u64 == kControl)
        serve(population, control);
      else
        population.handle(event, now);
    }
    population.turn(now);
  }
}

}  // namespace
}  // namespace guideway::continuity

int main(int argc, char** argv) {
  if (argc < 5) {
    std::fprintf(stderr, "usage: token_client SOCKET PORT INTERVAL_MS VIP=SOURCE,SOURCE… …\n");
    return 2;
  }
  try {
    guideway::continuity::run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "token_client: %s\n", error.what());
    return 1;
  }
}
