// The client's connections: opened, kept talking or silent, and judged. None is ever opened a second time: a connection
// that broke stays in the count.
//
//            connect            Answer: nonce, backend           Answer to token 1
//   opened ───────────► connecting ───────────────► greeted ───────────────────────► established ─┬─ talks
//                                                                                                 └─ silent (every
//                                                                                                 second
//   any ── reset, FIN, wrong nonce, nothing for 3 s ──► broken                                       one), until wake()
//
// A broken connection is counted twice: by its kind (what happened to it) and by its cause (whose fault it is).
//
// Thread-safety: one thread.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <deque>
#include <set>
#include <string>
#include <vector>

#include "guideway/address.h"
#include "tests/continuity/event_loop.h"
#include "tests/continuity/token_protocol.h"

namespace guideway::continuity {

using Clock = std::chrono::steady_clock;

struct Target {  // a VIP, and the addresses that connections to it come from
  IpAddress vip;
  std::vector<IpAddress> sources;
};

enum class Kind : std::uint8_t { none, reset, fin, wrong_nonce, no_progress };
inline constexpr std::size_t kKinds = 5;

struct Connection {
  Descriptor descriptor;
  std::uint64_t nonce = 0;
  std::uint64_t backend = 0;  // 0: not greeted yet
  std::uint64_t sent = 0;     // the number of the last token
  std::uint64_t answered = 0;
  Clock::time_point waits_since;  // for the answer to `sent`, or for the greeting
  bool silent = false;
  bool saw_reset = false;  // perhaps after it counted as broken for another reason
  bool inherent = false;   // its backend had been taken away when it broke
  Kind kind = Kind::none;

  bool waits() const { return kind == Kind::none && (answered == 0 || answered < sent); }
};

class Population {
 public:
  // Each talking connection sends a token per `interval`.
  Population(std::vector<Target> targets, std::uint16_t port, std::chrono::milliseconds interval);

  // Connections from now on, `per_second` of them, until there are `total`.
  void open(std::size_t total, double per_second);
  void wake() { silence_ = false; }
  void hush() { hushed_ = true; }
  void talk() { hushed_ = false; }
  // Whoever is broken from now on and belongs to this backend has lost it to its death; with `back`, no more.
  void gone(std::uint64_t backend) { gone_.insert(backend); }
  void back(std::uint64_t backend) { gone_.erase(backend); }

  // All that is due: opens connections, looks after each one once per interval.
  void turn(Clock::time_point now);
  void handle(const epoll_event& event, Clock::time_point now);
  EventLoop& loop() { return loop_; }

  std::string report() const;  // JSON, in one line

 private:
  void open_due(Clock::time_point now);
  void connect_one(Clock::time_point now);
  void visit_due(Clock::time_point now);
  void visit(Connection& connection, Clock::time_point now);
  void read_answers(Connection& connection, Clock::time_point now);
  void take(Connection& connection, const Answer& answer, Clock::time_point now);
  void send_token(Connection& connection, Clock::time_point now);
  void lose(Connection& connection, int error);
  void end(Connection& connection, Kind kind);

  std::vector<Target> targets_;
  std::uint16_t port_;
  std::chrono::milliseconds interval_;
  EventLoop loop_;
  std::deque<Connection> connections_;
  std::size_t total_ = 0;
  double per_second_ = 0;
  Clock::time_point opening_since_ = Clock::now();
  std::size_t opened_before_ = 0;  // when the last open() came
  Clock::time_point visited_at_ = Clock::now();
  double visits_due_ = 0;
  std::size_t next_visit_ = 0;
  bool silence_ = true;
  bool hushed_ = false;
  std::set<std::uint64_t> gone_;
  std::chrono::milliseconds slowest_{0};
};

}  // namespace guideway::continuity
