// What the kernel knows of links, neighbours and routes (rtnetlink(7)), as values.
//
// Two sockets: one hears of changes, one asks. A question is answered by the kernel before send() returns, so asking
// never waits for anybody.
// Thread-safety: one thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "guideway/address.h"

struct nlmsghdr;
struct mnl_socket;

namespace guideway::controlplane {

struct Link {
  std::uint32_t index = 0;
  std::string name;
  std::uint32_t mtu_bytes = 0;
  bool up = false;  // administratively, and it has a carrier
  friend bool operator==(const Link&, const Link&) = default;
};
struct LinkGone {
  std::uint32_t index = 0;
};

enum class NeighbourState {
  usable,   // its MAC address may be used; that includes STALE and entries under revalidation
  pending,  // the kernel is asking for it, or has not been asked
  failed,   // it did not answer
};
struct NeighbourKey {
  std::uint32_t link = 0;
  IpAddress address;
  friend auto operator<=>(const NeighbourKey&, const NeighbourKey&) = default;
};
struct Neighbour {
  NeighbourKey key;
  NeighbourState state = NeighbourState::pending;
  bool stale = false;  // usable, but nobody confirmed it lately
  MacAddress mac;
  friend bool operator==(const Neighbour&, const Neighbour&) = default;
};
struct NeighbourGone {
  NeighbourKey key;
};
struct RoutesChanged {};

using KernelEvent = std::variant<Link, LinkGone, Neighbour, NeighbourGone, RoutesChanged>;

// One message of the kernel; std::nullopt if it is of no interest or malformed.
std::optional<KernelEvent> parse_event(const nlmsghdr* message);

enum class RouteKind { unicast, local, blocked };
struct Route {
  RouteKind kind = RouteKind::unicast;
  std::uint32_t link = 0;
  std::optional<IpAddress> gateway;  // none: on-link
  std::optional<IpAddress> source;   // the kernel's choice
  std::uint32_t mtu_bytes = 0;       // of the route; 0: the link's
  friend bool operator==(const Route&, const Route&) = default;
};
std::optional<Route> parse_route(const nlmsghdr* message);

class Netlink {
 public:
  Netlink();  // throws std::system_error
  ~Netlink();
  Netlink(const Netlink&) = delete;
  Netlink& operator=(const Netlink&) = delete;

  int fd() const;  // readable: read_events() has something
  // What happened since the last call. std::nullopt when events were lost: call dump() again.
  std::optional<std::vector<KernelEvent>> read_events();
  // All links and neighbours there are.
  std::vector<KernelEvent> dump();

  // The way to `destination`; std::nullopt with a reason if there is none.
  std::optional<Route> route_to(const IpAddress& destination, std::string& why);

  // Asks the kernel to find, or confirm, a neighbour; the answer comes as an event. Needs CAP_NET_ADMIN.
  void solicit(const NeighbourKey& neighbour);

 private:
  void dump_kind(std::uint16_t type, std::vector<KernelEvent>& events);
  template <typename OnMessage>
  int ask(const nlmsghdr* request, OnMessage on_message);

  mnl_socket* events_;
  mnl_socket* questions_;
  std::uint32_t sequence_ = 0;
};

}  // namespace guideway::controlplane
