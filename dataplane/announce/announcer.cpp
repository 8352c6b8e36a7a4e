#include "dataplane/announce/announcer.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "common/net/address_text.h"
#include "common/net/prefix.h"
#include "guideway/tables_view.h"

namespace guideway {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kBackoffMin{200};
constexpr milliseconds kBackoffMax{2000};
constexpr milliseconds kConnectTimeout{2000};
constexpr milliseconds kShutdownTimeout{200};
constexpr std::size_t kReadBytes = 16384;

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size_bytes = 0;
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

SocketAddress socket_address(const IpAddress& address, std::uint16_t port) {
  SocketAddress result;
  if (address.is_v4()) {
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    std::memcpy(&v4.sin_addr, address.bytes.data() + 12, 4);
    std::memcpy(&result.storage, &v4, sizeof v4);
    result.size_bytes = sizeof v4;
  } else {
    sockaddr_in6 v6{};
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    std::memcpy(&v6.sin6_addr, address.bytes.data(), 16);
    std::memcpy(&result.storage, &v6, sizeof v6);
    result.size_bytes = sizeof v6;
  }
  return result;
}

std::string errno_text(int error) {
  return std::generic_category().message(error);
}

std::string connect_error(const std::string& peer, int error) {
  if (error == ECONNREFUSED) return "nobody listens on " + peer + ": is the BGP daemon running?";
  return "cannot connect to " + peer + ": " + errno_text(error);
}

// A prefix of its family, whatever lies in shared memory.
IpPrefix prefix_in(const VipRecord& vip) {
  const IpAddress address = vip.address;
  return prefix_of(address, std::min(vip.prefix_bits, IpPrefix::of(address).bits));
}

std::vector<IpPrefix> flagged_prefixes(const TablesView& view) {
  std::vector<IpPrefix> flagged;
  for (const VipRecord& vip : view.vips)
    if ((vip.flags & kVipAnnounce) != 0) flagged.push_back(prefix_in(vip));
  std::ranges::sort(flagged);
  flagged.erase(std::unique(flagged.begin(), flagged.end()), flagged.end());
  return flagged;
}

bgp::PathAttributes path_attributes(const config::Bgp& config) {
  return {.next_hop4 = config.next_hop4, .next_hop6 = config.next_hop6};
}

}  // namespace

std::vector<IpPrefix> prefixes_to_announce(std::span<const IpPrefix> announced, const TablesView* view,
                                           bool workers_follow, bool alive) {
  if (!alive || view == nullptr) return {};
  std::vector<IpPrefix> flagged = flagged_prefixes(*view);
  if (workers_follow) return flagged;
  std::vector<IpPrefix> kept;
  std::ranges::set_intersection(announced, flagged, std::back_inserter(kept));
  return kept;
}

Announcer::Announcer(const config::Bgp& config)
    : config_(config),
      peer_(to_text_with_port(config.peer, config.peer_port)),
      session_({config.local_as, config.enabled ? config.router_id.v4() : Be32{}, config.hold_time_s},
               path_attributes(config)),
      off_(!config.enabled),
      backoff_(kBackoffMin) {}

Announcer::~Announcer() {
  if (fd_ >= 0) close(fd_);
}

void Announcer::update(const TablesView* view, bool workers_follow, bool alive) {
  const Generation generation = view != nullptr ? view->generation : Generation::none;
  if (view == view_ && generation == generation_ && workers_follow == workers_follow_ && alive == alive_) return;
  view_ = view;
  generation_ = generation;
  workers_follow_ = workers_follow;
  alive_ = alive;
  if (off_) return;
  prefixes_ = prefixes_to_announce(prefixes_, view, workers_follow, alive);
  if (!alive || view == nullptr) followed_ = announced_ = Generation::none;
  if (alive && workers_follow) followed_ = generation;
  session_.set_routes(prefixes_);
  if (session_.state() == SpeakerState::established) explain_untold();
}

void Announcer::run(std::chrono::steady_clock::time_point now) {
  now_ = now;
  if (off_) return;
  if (fd_ < 0) {
    if (now >= deadline_) connect();
    return;
  }
  if (connecting_) finish_connect();
  if (fd_ < 0 || connecting_) return;
  receive();
  if (fd_ < 0) return;
  session_.tick(now);
  send();
}

void Announcer::connect() {
  connecting_ = true;
  deadline_ = now_ + kConnectTimeout;
  fd_ = socket(config_.peer.is_v4() ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd_ < 0) return disconnect("no socket for the session with " + peer_ + ": " + errno_text(errno));
  const int on = 1;
  setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  setsockopt(fd_, SOL_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
  const SocketAddress source = socket_address(config_.source, 0);
  if (bind(fd_, source.get(), source.size_bytes) != 0)
    return disconnect("cannot use bgp.source " + to_text(config_.source) + ": " + errno_text(errno));
  const SocketAddress peer = socket_address(config_.peer, config_.peer_port);
  if (::connect(fd_, peer.get(), peer.size_bytes) != 0 && errno != EINPROGRESS)
    return disconnect(connect_error(peer_, errno));
  finish_connect();
}

void Announcer::finish_connect() {
  pollfd writable{fd_, POLLOUT, 0};
  if (poll(&writable, 1, 0) == 0) {
    if (now_ >= deadline_) disconnect("no answer from " + peer_);
    return;
  }
  int error = 0;
  socklen_t error_bytes = sizeof error;
  getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &error_bytes);
  if (error != 0) return disconnect(connect_error(peer_, error));
  connecting_ = false;
  session_.start(now_);
  send();
}

void Announcer::receive() {
  std::array<std::uint8_t, kReadBytes> bytes;
  const ssize_t count = recv(fd_, bytes.data(), bytes.size(), 0);
  if (count > 0) {
    session_.receive(bgp::ByteSpan(bytes).first(static_cast<std::size_t>(count)), now_);
    if (session_.state() == SpeakerState::established) {
      backoff_ = kBackoffMin;
      explain_untold();
    }
    return;
  }
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
  const std::string reason = count == 0 ? "closed by the peer" : errno_text(errno);
  disconnect("session with " + peer_ + ": " + (session_.error().empty() ? reason : session_.error()));
}

void Announcer::send() {
  for (bgp::ByteSpan bytes = session_.output(); !bytes.empty(); bytes = session_.output()) {
    const ssize_t count = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (count < 0) return disconnect("session with " + peer_ + ": " + errno_text(errno));
    session_.written(static_cast<std::size_t>(count));
  }
  if (session_.finished()) return disconnect("session with " + peer_ + ": " + session_.error());
  if (session_.synchronized()) announced_ = followed_;
}

void Announcer::disconnect(const std::string& why) {
  error_ = why;
  announced_ = Generation::none;
  session_.stop();
  if (fd_ >= 0) close(std::exchange(fd_, -1));
  connecting_ = false;
  deadline_ = now_ + backoff_;
  backoff_ = std::min(backoff_ * 2, kBackoffMax);
}

void Announcer::explain_untold() {
  error_.clear();
  for (const Family family : {Family::ipv4, Family::ipv6}) {
    if (std::ranges::none_of(prefixes_, [&](const IpPrefix& p) { return p.address.family() == family; })) continue;
    const std::string name = family == Family::ipv4 ? "IPv4" : "IPv6";
    if (!session_.has_next_hop(family))
      error_ = name + " VIPs are not announced: set bgp.next_hop" + name.back();
    else if (!session_.peer_takes(family))
      error_ = name + " VIPs are not announced: the BGP daemon takes no such routes; give it a channel for them";
  }
}

short Announcer::events() const {
  const bool writable = connecting_ || session_.has_output();
  return static_cast<short>(POLLIN | (writable ? POLLOUT : 0));
}

SpeakerState Announcer::state() const {
  if (off_) return SpeakerState::off;
  return connecting_ ? SpeakerState::connecting : session_.state();
}

void Announcer::shutdown() {
  if (off_) return;
  off_ = true;
  announced_ = Generation::none;
  if (fd_ < 0 || connecting_) return disconnect("");
  session_.cease();
  send();
  const auto give_up = std::chrono::steady_clock::now() + kShutdownTimeout;
  while (fd_ >= 0 && std::chrono::steady_clock::now() < give_up) {
    pollfd writable{fd_, POLLOUT, 0};
    poll(&writable, 1, 10);
    send();
  }
  if (fd_ >= 0) disconnect("");
  error_.clear();
}

}  // namespace guideway
