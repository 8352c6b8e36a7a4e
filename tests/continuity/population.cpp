#include "tests/continuity/population.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>

namespace guideway::continuity {
namespace {

constexpr std::chrono::seconds kPatience{3};

// IPv4 addresses are IPv4-mapped, which an IPv6 socket speaks IPv4 to.
sockaddr_in6 socket_address(const IpAddress& address, std::uint16_t port) {
  sockaddr_in6 out{};
  out.sin6_family = AF_INET6;
  out.sin6_port = htons(port);
  std::memcpy(&out.sin6_addr, address.bytes.data(), address.bytes.size());
  return out;
}

// A socket whose source port is chosen at connect, so that a port may serve several sources.
Descriptor socket_from(const IpAddress& source) {
  Descriptor out(must(socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), "socket"));
  const int yes = 1;
  must(setsockopt(out.get(), IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof yes), "IP_BIND_ADDRESS_NO_PORT");
  must(setsockopt(out.get(), IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes), "TCP_NODELAY");
  const sockaddr_in6 address = socket_address(source, 0);
  must(bind(out.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), "bind");
  return out;
}

double seconds(Clock::duration duration) {
  return std::chrono::duration<double>(duration).count();
}

}  // namespace

Population::Population(std::vector<Target> targets, std::uint16_t port, std::chrono::milliseconds interval)
    : targets_(std::move(targets)), port_(port), interval_(interval) {}

void Population::open(std::size_t total, double per_second) {
  total_ = std::max(total, connections_.size());
  per_second_ = per_second;
  opening_since_ = Clock::now();
  opened_before_ = connections_.size();
}

void Population::turn(Clock::time_point now) {
  open_due(now);
  visit_due(now);
}

void Population::open_due(Clock::time_point now) {
  const auto due = opened_before_ + static_cast<std::size_t>(per_second_ * seconds(now - opening_since_));
  while (connections_.size() < std::min(due, total_)) connect_one(now);
}

// Every second one of each target is silent.
void Population::connect_one(Clock::time_point now) {
  const std::size_t position = connections_.size();
  const Target& target = targets_[position % targets_.size()];
  const std::size_t turn = position / targets_.size();
  Connection& connection = connections_.emplace_back();
  connection.descriptor = socket_from(target.sources[turn / 2 % target.sources.size()]);
  connection.silent = turn % 2 == 1;
  connection.waits_since = now;
  const sockaddr_in6 vip = socket_address(target.vip, port_);
  const int descriptor = connection.descriptor.get();
  if (connect(descriptor, reinterpret_cast<const sockaddr*>(&vip), sizeof vip) != 0 && errno != EINPROGRESS)
    must(-1, "connect");
  loop_.add(descriptor, EPOLLIN | EPOLLRDHUP | EPOLLET, position);
}

// In turn, so that tokens are spread over the interval.
void Population::visit_due(Clock::time_point now) {
  visits_due_ += seconds(now - visited_at_) / seconds(interval_) * static_cast<double>(connections_.size());
  visited_at_ = now;
  visits_due_ = std::min(visits_due_, static_cast<double>(connections_.size()));
  for (; visits_due_ >= 1; visits_due_ -= 1) {
    if (next_visit_ >= connections_.size()) next_visit_ = 0;
    visit(connections_[next_visit_++], now);
  }
}

void Population::visit(Connection& connection, Clock::time_point now) {
  if (connection.kind != Kind::none) return;
  if (connection.waits()) {
    if (now - connection.waits_since > kPatience) end(connection, Kind::no_progress);
  } else if (!hushed_ && !(connection.silent && silence_)) {
    send_token(connection, now);
  }
}

void Population::handle(const epoll_event& event, Clock::time_point now) {
  Connection& connection = connections_[event.data.u64];
  if (event.events & EPOLLERR) {
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(connection.descriptor.get(), SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) return lose(connection, error);
  }
  read_answers(connection, now);
}

// An answer is a segment of its own: it comes in one piece.
void Population::read_answers(Connection& connection, Clock::time_point now) {
  for (;;) {
    Answer answer;
    const ssize_t got = read(connection.descriptor.get(), &answer, sizeof answer);
    if (got < 0 && errno == EAGAIN) return;
    if (got < 0) return lose(connection, errno);
    if (got != sizeof answer) return end(connection, got == 0 ? Kind::fin : Kind::wrong_nonce);
    take(connection, answer, now);
  }
}

void Population::take(Connection& connection, const Answer& answer, Clock::time_point now) {
  if (connection.kind != Kind::none) return;
  slowest_ = std::max(slowest_, std::chrono::duration_cast<std::chrono::milliseconds>(now - connection.waits_since));
  if (connection.backend == 0) {
    connection.nonce = answer.nonce;
    connection.backend = answer.number;
    return send_token(connection, now);
  }
  if (answer.nonce != connection.nonce || answer.number != connection.sent) return end(connection, Kind::wrong_nonce);
  connection.answered = answer.number;
}

void Population::send_token(Connection& connection, Clock::time_point now) {
  const Token token{++connection.sent};
  connection.waits_since = now;
  if (send(connection.descriptor.get(), &token, sizeof token, MSG_NOSIGNAL) < 0) lose(connection, errno);
}

// What the kernel calls a reset depends on how far the connection was: RFC 9293, section 3.10.7.
void Population::lose(Connection& connection, int error) {
  const bool reset = error == ECONNRESET || error == ECONNREFUSED || error == EPIPE;
  connection.saw_reset |= reset;
  end(connection, reset ? Kind::reset : Kind::no_progress);
}

// The socket stays open: what the kernel still does for it belongs to the evidence.
void Population::end(Connection& connection, Kind kind) {
  if (connection.kind != Kind::none) return;
  connection.kind = kind;
  connection.inherent = gone_.contains(connection.backend);
}

std::string Population::report() const {
  std::array<std::size_t, kKinds> kinds{};
  std::size_t established = 0, waiting = 0, inherent = 0, collateral = 0, stalled = 0, failed_new = 0, saw_reset = 0;
  for (const Connection& connection : connections_) {
    kinds[static_cast<std::size_t>(connection.kind)]++;
    established += connection.answered > 0;
    waiting += connection.waits();
    saw_reset += connection.saw_reset;
    if (connection.kind == Kind::none) continue;
    if (connection.inherent)
      inherent++;
    else if (connection.answered == 0)
      failed_new++;
    else if (connection.kind == Kind::no_progress)
      stalled++;
    else
      collateral++;
  }
  const auto of = [&](Kind kind) { return kinds[static_cast<std::size_t>(kind)]; };
  return nlohmann::json{{"connections", connections_.size()},
                        {"established", established},
                        {"waiting", waiting},
                        {"intact", of(Kind::none)},
                        {"inherent", inherent},
                        {"collateral", collateral},
                        {"stalled", stalled},
                        {"failed_new", failed_new},
                        {"reset", of(Kind::reset)},
                        {"fin", of(Kind::fin)},
                        {"wrong_nonce", of(Kind::wrong_nonce)},
                        {"no_progress", of(Kind::no_progress)},
                        {"saw_reset", saw_reset},
                        {"slowest_ms", slowest_.count()}}
      .dump();
}

}  // namespace guideway::continuity
