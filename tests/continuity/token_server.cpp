// A backend of the continuity lab: gives each connection a nonce and answers its tokens, for as long as the client
// likes.
//   token_server NUMBER PORT HEALTH_PORT        NUMBER: which backend this is; a connect to HEALTH_PORT is only closed
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <optional>
#include <unordered_map>

#include "tests/continuity/event_loop.h"
#include "tests/continuity/token_protocol.h"

namespace guideway::continuity {
namespace {

constexpr int kBacklog = 4096;

// On all addresses of both families.
Descriptor listen_on(std::uint16_t port) {
  Descriptor listener(must(socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), "socket"));
  const int yes = 1;
  must(setsockopt(listener.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes), "SO_REUSEADDR");
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_port = htons(port);
  must(bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), "bind");
  must(listen(listener.get(), kBacklog), "listen");
  return listener;
}

std::optional<Descriptor> accept_from(const Descriptor& listener) {
  const int accepted = accept4(listener.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
  return accepted < 0 ? std::nullopt : std::optional(Descriptor(accepted));
}

class TokenServer {
 public:
  TokenServer(std::uint64_t number, std::uint16_t port, std::uint16_t health_port)
      : number_(number), listener_(listen_on(port)), health_(listen_on(health_port)) {
    loop_.add(listener_.get(), EPOLLIN, tag(listener_));
    loop_.add(health_.get(), EPOLLIN, tag(health_));
  }

  void run() {
    for (;;)
      for (const epoll_event& event : loop_.wait(-1)) {
        if (event.data.u64 == tag(health_)) {
          while (accept_from(health_)) {
          }
        } else if (event.data.u64 == tag(listener_)) {
          while (auto accepted = accept_from(listener_)) greet(*std::move(accepted));
        } else {
          answer(static_cast<int>(event.data.u64));
        }
      }
  }

 private:
  struct Connection {
    Descriptor descriptor;
    std::uint64_t nonce = 0;
  };

  static std::uint64_t tag(const Descriptor& descriptor) { return static_cast<std::uint64_t>(descriptor.get()); }

  void greet(Descriptor accepted) {
    const int yes = 1;
    must(setsockopt(accepted.get(), IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes), "TCP_NODELAY");
    Connection connection{std::move(accepted), 0};
    if (getrandom(&connection.nonce, sizeof connection.nonce, 0) != sizeof connection.nonce) std::abort();
    if (!send_answer(connection, number_)) return;
    loop_.add(connection.descriptor.get(), EPOLLIN, tag(connection.descriptor));
    const int key = connection.descriptor.get();
    connections_.insert_or_assign(key, std::move(connection));
  }

  // A token is a segment of its own, far below any buffer's size: it comes in one piece.
  void answer(int key) {
    Connection& connection = connections_.at(key);
    Token token;
    const ssize_t got = read(key, &token, sizeof token);
    if (got < 0 && errno == EAGAIN) return;
    if (got != sizeof token || !send_answer(connection, token.number)) connections_.erase(key);
  }

  static bool send_answer(const Connection& connection, std::uint64_t number) {
    const Answer answer{connection.nonce, number};
    return send(connection.descriptor.get(), &answer, sizeof answer, MSG_NOSIGNAL) == sizeof answer;
  }

  std::uint64_t number_;
  EventLoop loop_;
  Descriptor listener_;
  Descriptor health_;
  std::unordered_map<int, Connection> connections_;
};

}  // namespace
}  // namespace guideway::continuity

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: token_server NUMBER PORT HEALTH_PORT\n");
    return 2;
  }
  try {
    guideway::continuity::allow_many_files();
    const auto port = [&](int at) { return static_cast<std::uint16_t>(std::atoi(argv[at])); };
    guideway::continuity::TokenServer(std::strtoull(argv[1], nullptr, 10), port(2), port(3)).run();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "token_server: %s\n", error.what());
    return 1;
  }
}
