// An announce-only BGP-4 speaker as a state machine without I/O: bytes in, bytes out, time as an argument.
//
//                start()             OPEN               KEEPALIVE
//        idle ──────────► open_sent ──────► open_confirm ──────────► established ──► our routes
//         ▲                   │                  │                        │
//         └────── stop() ─────┴── finished() ◄───┴── error, hold timer, NOTIFICATION, cease() ──┘
//
// It opens an iBGP session over a connection that somebody else holds, keeps it alive, and says which routes it has;
// routes of the peer are ignored. Every error is answered with the NOTIFICATION that RFC 4271 section 6 names; then the
// session is finished: its owner writes out what output() still has, closes, and starts again when it likes.
//
// What the peer was told is compared with what is wanted only when all earlier bytes have left. So a slow peer makes
// changes coalesce and never makes the output grow; it is bounded by one announcement of all routes.
//
// Thread-safety: one thread. Ownership: all by value.
#pragma once

#include <array>
#include <chrono>
#include <span>
#include <string>
#include <vector>

#include "dataplane/announce/bgp_message.h"
#include "guideway/stats.h"

namespace guideway::bgp {

using TimePoint = std::chrono::steady_clock::time_point;

struct Identity {
  std::uint32_t as = 0;  // the peer's too: iBGP
  Be32 router_id;
  std::uint16_t hold_time_s = 3;  // 0 or at least 3
};

class Session {
 public:
  Session(const Identity& identity, const PathAttributes& attributes) : identity_(identity), attributes_(attributes) {}

  // The routes the peer should have from now on. REQUIRES: sorted, each prefix once.
  void set_routes(std::span<const IpPrefix> routes);

  // The connection is up. REQUIRES: idle.
  void start(TimePoint now);
  // The connection is gone; nothing about it is remembered but the routes and error().
  void stop();

  void receive(ByteSpan bytes, TimePoint now);
  void tick(TimePoint now);
  // Withdraws everything and ends the session with "administrative shutdown".
  void cease();

  // What should be written now; valid until the next call of anything here. written() takes the first `count` away.
  ByteSpan output();
  void written(std::size_t count);
  bool has_output() const { return written_ != output_.size() || (changed_ && established()); }

  SpeakerState state() const { return state_; }
  // The session is over: write output(), close the connection, call stop().
  bool finished() const { return finished_; }
  // Established, and the peer's connection has taken all that we have to say.
  bool synchronized() const { return established() && !has_output(); }
  // Whether the peer takes routes of this family; known once the state is open_confirm.
  bool peer_takes(Family family) const { return family == Family::ipv4 ? peer_.ipv4 : peer_.ipv6; }
  // Whether routes of this family can be announced at all.
  bool has_next_hop(Family family) const {
    return (family == Family::ipv4 ? attributes_.next_hop4 : attributes_.next_hop6).has_value();
  }
  // Why the last session ended; empty if none did since one was established.
  const std::string& error() const { return error_; }

 private:
  struct Routes {  // of one family
    Family family;
    std::vector<IpPrefix> wanted;  // sorted
    std::vector<IpPrefix> told;    // sorted
  };

  bool established() const { return state_ == SpeakerState::established && !finished_; }
  Routes& routes_of(Family family) { return routes_[family == Family::ipv4 ? 0 : 1]; }
  void handle(MessageType type, ByteSpan body);
  void handle_open(ByteSpan body);
  std::optional<Notification> check_peer(const Open& open) const;
  void handle_established(MessageType type, ByteSpan body);
  void tell_again(Family family);
  void tell_changes();
  void fail(const Notification& notification);
  void finish(std::string why);
  void restart_hold_timer();

  Identity identity_;
  PathAttributes attributes_;
  std::array<Routes, 2> routes_{{{Family::ipv4, {}, {}}, {Family::ipv6, {}, {}}}};
  bool changed_ = false;  // what is wanted may differ from what was told
  SpeakerState state_ = SpeakerState::idle;
  bool finished_ = false;
  std::string error_;

  Open peer_;
  std::chrono::seconds hold_time_{};  // negotiated; 0: no timers
  TimePoint now_{};
  TimePoint hold_deadline_{};
  TimePoint keepalive_due_{};

  Bytes input_;  // the beginning of a message whose rest has not come yet
  Bytes output_;
  std::size_t written_ = 0;  // of output_
};

}  // namespace guideway::bgp
