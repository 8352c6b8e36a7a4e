#include "dataplane/announce/bgp_session.h"

#include <algorithm>
#include <iterator>

namespace guideway::bgp {
namespace {

// How long the peer may take to answer our OPEN. RFC 4271 suggests 4 minutes, for peers across the Internet; ours is on
// this host.
constexpr std::chrono::seconds kOpenTimeout{10};
constexpr std::uint8_t kAdministrativeShutdown = 2;

std::vector<IpPrefix> difference(const std::vector<IpPrefix>& a, const std::vector<IpPrefix>& b) {
  std::vector<IpPrefix> result;
  std::ranges::set_difference(a, b, std::back_inserter(result));
  return result;
}

}  // namespace

void Session::set_routes(std::span<const IpPrefix> routes) {
  for (Routes& family : routes_) family.wanted.clear();
  for (const IpPrefix& route : routes) routes_of(route.address.family()).wanted.push_back(route);
  changed_ = true;
}

void Session::start(TimePoint now) {
  now_ = now;
  state_ = SpeakerState::open_sent;
  hold_deadline_ = now + kOpenTimeout;
  append_open(output_, {identity_.as, identity_.hold_time_s, identity_.router_id, true, true});
}

void Session::stop() {
  for (Routes& family : routes_) family.told.clear();
  state_ = SpeakerState::idle;
  finished_ = false;
  peer_ = {};
  hold_time_ = {};
  input_.clear();
  output_.clear();
  written_ = 0;
}

void Session::receive(ByteSpan bytes, TimePoint now) {
  now_ = now;
  input_.insert(input_.end(), bytes.begin(), bytes.end());
  ByteSpan rest = input_;
  while (!finished_ && rest.size() >= kHeaderBytes) {
    Header header;
    if (const auto wrong = parse_header(rest.first(kHeaderBytes), header)) {
      fail(*wrong);
      break;
    }
    if (rest.size() < header.length_bytes) break;
    handle(header.type, rest.subspan(kHeaderBytes, header.length_bytes - kHeaderBytes));
    rest = rest.subspan(header.length_bytes);
  }
  if (finished_) rest = {};
  input_.erase(input_.begin(), input_.end() - static_cast<std::ptrdiff_t>(rest.size()));
}

void Session::handle(MessageType type, ByteSpan body) {
  if (type == MessageType::notification) return finish("the peer says: " + to_text(parse_notification(body)));
  switch (state_) {
    case SpeakerState::open_sent:
      if (type == MessageType::open) return handle_open(body);
      return fail({ErrorCode::state_machine, 1, {}});
    case SpeakerState::open_confirm:
      if (type != MessageType::keepalive) return fail({ErrorCode::state_machine, 2, {}});
      state_ = SpeakerState::established;
      error_.clear();
      changed_ = true;
      return restart_hold_timer();
    case SpeakerState::established:
      return handle_established(type, body);
    default:
      return;
  }
}

void Session::handle_open(ByteSpan body) {
  if (const auto wrong = parse_open(body, peer_)) return fail(*wrong);
  if (const auto wrong = check_peer(peer_)) return fail(*wrong);
  hold_time_ = std::chrono::seconds(std::min(identity_.hold_time_s, peer_.hold_time_s));
  state_ = SpeakerState::open_confirm;
  restart_hold_timer();
  append_keepalive(output_);
  keepalive_due_ = now_ + hold_time_ / 3;
}

std::optional<Notification> Session::check_peer(const Open& open) const {
  if (open.as != identity_.as) return Notification{ErrorCode::open, 2, {}};
  if (open.router_id == identity_.router_id) return Notification{ErrorCode::open, 3, {}};  // RFC 6286, section 2.2
  return std::nullopt;
}

void Session::handle_established(MessageType type, ByteSpan body) {
  switch (type) {
    case MessageType::keepalive:
      return restart_hold_timer();
    case MessageType::update:
      if (const auto wrong = check_update(body)) return fail(*wrong);
      return restart_hold_timer();
    case MessageType::route_refresh:
      return tell_again(parse_route_refresh(body));
    default:
      return fail({ErrorCode::state_machine, 3, {}});
  }
}

// RFC 2918, section 4: as if the peer had not been told of any route of the family. Withdrawals that are still due go
// out first, because nobody will know of them afterwards.
void Session::tell_again(Family family) {
  if (family == Family::none) return;
  Routes& routes = routes_of(family);
  append_withdrawals(output_, difference(routes.told, routes.wanted));
  routes.told.clear();
  changed_ = true;
}

void Session::restart_hold_timer() {
  hold_deadline_ = now_ + hold_time_;
}

void Session::tick(TimePoint now) {
  now_ = now;
  if (state_ == SpeakerState::idle || finished_) return;
  const bool timers = state_ == SpeakerState::open_sent || hold_time_.count() > 0;
  if (timers && now >= hold_deadline_) return fail({ErrorCode::hold_timer_expired, 0, {}});
  if (state_ == SpeakerState::open_sent || hold_time_.count() == 0 || now < keepalive_due_) return;
  if (written_ == output_.size()) append_keepalive(output_);  // else what is on its way keeps the session alive
  keepalive_due_ = now + hold_time_ / 3;
}

void Session::cease() {
  for (Routes& routes : routes_) routes.wanted.clear();
  if (state_ == SpeakerState::idle || finished_) return;
  if (state_ == SpeakerState::established) tell_changes();
  append_notification(output_, {ErrorCode::cease, kAdministrativeShutdown, {}});
  finish("shut down");
}

void Session::fail(const Notification& notification) {
  append_notification(output_, notification);
  finish("ended by us: " + to_text(notification));
}

void Session::finish(std::string why) {
  finished_ = true;
  error_ = std::move(why);
}

ByteSpan Session::output() {
  if (written_ == output_.size()) {
    output_.clear();
    written_ = 0;
    if (changed_ && established()) tell_changes();
  }
  return ByteSpan(output_).subspan(written_);
}

void Session::written(std::size_t count) {
  written_ += count;
}

void Session::tell_changes() {
  changed_ = false;
  for (Routes& routes : routes_) {
    if (!peer_takes(routes.family) || !has_next_hop(routes.family)) continue;
    append_withdrawals(output_, difference(routes.told, routes.wanted));
    append_announcements(output_, difference(routes.wanted, routes.told), attributes_);
    routes.told = routes.wanted;
  }
}

}  // namespace guideway::bgp
