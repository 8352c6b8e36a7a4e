#include "controlplane/routes/netlink.h"

#include <libmnl/libmnl.h>
#include <linux/if.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>

namespace guideway::controlplane {
namespace {

// Room for one datagram of a dump (the kernel fills up to 32 KiB for receivers that offer it).
constexpr std::size_t kBufferBytes = 32768;
constexpr int kEventBufferBytes = 4 << 20;  // bursts of neighbour changes must not overflow

constexpr int kNeighbourUsable = NUD_PERMANENT | NUD_NOARP | NUD_REACHABLE | NUD_PROBE | NUD_STALE | NUD_DELAY;

using Attributes = std::vector<const nlattr*>;

// libmnl's own loop macros are not const-correct.
template <typename OnAttribute>
void for_each_attribute(const void* first, std::size_t bytes, OnAttribute on_attribute) {
  const auto* attribute = static_cast<const nlattr*>(first);
  auto left = static_cast<int>(bytes);
  while (mnl_attr_ok(attribute, left)) {
    on_attribute(attribute);
    left -= MNL_ALIGN(attribute->nla_len);
    attribute = mnl_attr_next(attribute);
  }
}

// By type; nullptr for those that are absent.
Attributes attributes_of(const nlmsghdr* message, std::size_t header_bytes, std::uint16_t max) {
  Attributes attributes(max + 1U);
  const std::size_t offset = header_bytes;  // all of ours are multiples of 4
  const std::size_t payload = mnl_nlmsg_get_payload_len(message);
  if (payload < offset) return attributes;
  for_each_attribute(mnl_nlmsg_get_payload_offset(message, offset), payload - offset, [&](const nlattr* attribute) {
    if (mnl_attr_get_type(attribute) <= max) attributes[mnl_attr_get_type(attribute)] = attribute;
  });
  return attributes;
}

std::optional<IpAddress> to_address(const void* bytes, std::size_t size) {
  IpAddress address;
  if (size == sizeof(Be32)) {
    Be32 v4;
    std::memcpy(&v4, bytes, sizeof v4);
    return IpAddress::from_v4(v4);
  }
  if (size != address.bytes.size()) return std::nullopt;
  std::memcpy(address.bytes.data(), bytes, size);
  return address;
}

std::optional<IpAddress> address_in(const nlattr* attribute) {
  if (attribute == nullptr) return std::nullopt;
  return to_address(mnl_attr_get_payload(attribute), mnl_attr_get_payload_len(attribute));
}

// A gateway of another family than the route's (RFC 8950 style: IPv4 by an IPv6 next hop).
std::optional<IpAddress> via_in(const nlattr* attribute) {
  if (attribute == nullptr || mnl_attr_get_payload_len(attribute) <= sizeof(rtvia)) return std::nullopt;
  const auto* via = static_cast<const std::uint8_t*>(mnl_attr_get_payload(attribute));
  return to_address(via + sizeof(rtvia), mnl_attr_get_payload_len(attribute) - sizeof(rtvia));
}

std::uint32_t u32_in(const nlattr* attribute) {
  return attribute != nullptr && mnl_attr_get_payload_len(attribute) == sizeof(std::uint32_t)
             ? mnl_attr_get_u32(attribute)
             : 0;
}

std::uint32_t mtu_in(const nlattr* metrics) {
  std::uint32_t mtu_bytes = 0;
  if (metrics == nullptr) return mtu_bytes;
  for_each_attribute(mnl_attr_get_payload(metrics), mnl_attr_get_payload_len(metrics), [&](const nlattr* metric) {
    if (mnl_attr_get_type(metric) == RTAX_MTU) mtu_bytes = u32_in(metric);
  });
  return mtu_bytes;
}

template <typename Header>
const Header* header_of(const nlmsghdr* message) {
  if (mnl_nlmsg_get_payload_len(message) < sizeof(Header)) return nullptr;
  return static_cast<const Header*>(mnl_nlmsg_get_payload(message));
}

std::optional<KernelEvent> parse_link(const nlmsghdr* message) {
  const auto* header = header_of<ifinfomsg>(message);
  if (header == nullptr || header->ifi_index <= 0) return std::nullopt;
  const auto index = static_cast<std::uint32_t>(header->ifi_index);
  if (message->nlmsg_type == RTM_DELLINK) return LinkGone{index};
  const Attributes attributes = attributes_of(message, sizeof *header, IFLA_MTU);
  if (attributes[IFLA_IFNAME] == nullptr) return std::nullopt;
  const auto* name = static_cast<const char*>(mnl_attr_get_payload(attributes[IFLA_IFNAME]));
  const bool up = (header->ifi_flags & IFF_UP) != 0 && (header->ifi_flags & IFF_RUNNING) != 0;
  return Link{index, std::string(name, strnlen(name, mnl_attr_get_payload_len(attributes[IFLA_IFNAME]))),
              u32_in(attributes[IFLA_MTU]), up};
}

std::optional<KernelEvent> parse_neighbour(const nlmsghdr* message) {
  const auto* header = header_of<ndmsg>(message);
  if (header == nullptr || header->ndm_ifindex <= 0) return std::nullopt;
  if (header->ndm_family != AF_INET && header->ndm_family != AF_INET6) return std::nullopt;
  const Attributes attributes = attributes_of(message, sizeof *header, NDA_LLADDR);
  const auto address = address_in(attributes[NDA_DST]);
  if (!address) return std::nullopt;
  const NeighbourKey key{static_cast<std::uint32_t>(header->ndm_ifindex), *address};
  if (message->nlmsg_type == RTM_DELNEIGH) return NeighbourGone{key};
  Neighbour neighbour{key, NeighbourState::pending, header->ndm_state == NUD_STALE, {}};
  const nlattr* mac = attributes[NDA_LLADDR];
  if ((header->ndm_state & NUD_FAILED) != 0) {
    neighbour.state = NeighbourState::failed;
  } else if ((header->ndm_state & kNeighbourUsable) != 0 && mac != nullptr &&
             mnl_attr_get_payload_len(mac) == neighbour.mac.bytes.size()) {
    neighbour.state = NeighbourState::usable;
    std::memcpy(neighbour.mac.bytes.data(), mnl_attr_get_payload(mac), neighbour.mac.bytes.size());
  }
  return neighbour;
}

struct Request {
  std::array<char, 256> buffer{};
  nlmsghdr* message = nullptr;

  template <typename Header>
  Header* start(std::uint16_t type, int flags) {
    message = mnl_nlmsg_put_header(buffer.data());
    message->nlmsg_type = type;
    message->nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
    return static_cast<Header*>(mnl_nlmsg_put_extra_header(message, sizeof(Header)));
  }
  void put_address(std::uint16_t type, const IpAddress& address) {
    if (address.is_v4())
      mnl_attr_put(message, type, 4, address.bytes.data() + 12);
    else
      mnl_attr_put(message, type, address.bytes.size(), address.bytes.data());
  }
};

unsigned char family_of(const IpAddress& address) {
  return address.is_v4() ? AF_INET : AF_INET6;
}

mnl_socket* open_socket(unsigned groups) {
  mnl_socket* socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
  if (socket == nullptr || mnl_socket_bind(socket, groups, MNL_SOCKET_AUTOPID) < 0)
    throw std::system_error(errno, std::generic_category(), "cannot ask the kernel for routes (netlink)");
  return socket;
}

}  // namespace

std::optional<KernelEvent> parse_event(const nlmsghdr* message) {
  switch (message->nlmsg_type) {
    case RTM_NEWLINK:
    case RTM_DELLINK:
      return parse_link(message);
    case RTM_NEWNEIGH:
    case RTM_DELNEIGH:
      return parse_neighbour(message);
    case RTM_NEWROUTE:
    case RTM_DELROUTE:
    case RTM_NEWADDR:
    case RTM_DELADDR:
      return RoutesChanged{};
    default:
      return std::nullopt;
  }
}

std::optional<Route> parse_route(const nlmsghdr* message) {
  const auto* header = header_of<rtmsg>(message);
  if (message->nlmsg_type != RTM_NEWROUTE || header == nullptr) return std::nullopt;
  const Attributes attributes = attributes_of(message, sizeof *header, RTA_VIA);
  Route route;
  if (header->rtm_type == RTN_LOCAL)
    route.kind = RouteKind::local;
  else if (header->rtm_type != RTN_UNICAST)
    route.kind = RouteKind::blocked;
  route.link = u32_in(attributes[RTA_OIF]);
  route.gateway =
      attributes[RTA_GATEWAY] != nullptr ? address_in(attributes[RTA_GATEWAY]) : via_in(attributes[RTA_VIA]);
  route.source = address_in(attributes[RTA_PREFSRC]);
  route.mtu_bytes = mtu_in(attributes[RTA_METRICS]);
  return route;
}

Netlink::Netlink()
    : events_(open_socket(RTMGRP_LINK | RTMGRP_NEIGH | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE | RTMGRP_IPV4_IFADDR |
                          RTMGRP_IPV6_IFADDR)),
      questions_(open_socket(0)) {
  const int fd = mnl_socket_get_fd(events_);
  setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &kEventBufferBytes, sizeof kEventBufferBytes);
}

Netlink::~Netlink() {
  mnl_socket_close(events_);
  mnl_socket_close(questions_);
}

int Netlink::fd() const {
  return mnl_socket_get_fd(events_);
}

// Reads to the end also when some were lost: what still lies there is older than any dump() from here on, and until it
// is read the kernel adds nothing to it, and says so no second time.
std::optional<std::vector<KernelEvent>> Netlink::read_events() {
  std::vector<KernelEvent> events;
  bool some_lost = false;
  alignas(nlmsghdr) std::array<char, kBufferBytes> buffer;
  for (;;) {
    const ssize_t received = recv(fd(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (received < 0 && errno == EINTR) continue;
    if (received < 0 && errno == ENOBUFS) {
      some_lost = true;
      continue;
    }
    if (received <= 0) return some_lost ? std::nullopt : std::optional(std::move(events));
    int left = static_cast<int>(received);
    const auto* message = reinterpret_cast<const nlmsghdr*>(buffer.data());
    for (; mnl_nlmsg_ok(message, left); message = mnl_nlmsg_next(message, &left))
      if (auto event = parse_event(message)) events.push_back(std::move(*event));
  }
}

// Sends the request and hands each answer to `on_message`, up to the end of a dump, an acknowledgement, or the first
// message of what is neither. Returns 0 or an errno.
template <typename OnMessage>
int Netlink::ask(const nlmsghdr* request, OnMessage on_message) {
  if (mnl_socket_sendto(questions_, request, request->nlmsg_len) < 0) return errno;
  const bool dump = (request->nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP;
  alignas(nlmsghdr) std::array<char, kBufferBytes> buffer;
  for (;;) {
    const ssize_t received = mnl_socket_recvfrom(questions_, buffer.data(), buffer.size());
    if (received < 0 && errno == EINTR) continue;
    if (received < 0) return errno;
    int left = static_cast<int>(received);
    const auto* message = reinterpret_cast<const nlmsghdr*>(buffer.data());
    for (; mnl_nlmsg_ok(message, left); message = mnl_nlmsg_next(message, &left)) {
      if (message->nlmsg_seq != request->nlmsg_seq) continue;
      if (message->nlmsg_type == NLMSG_DONE) return 0;
      if (message->nlmsg_type == NLMSG_ERROR) {
        const auto* error = header_of<nlmsgerr>(message);
        return error == nullptr ? EBADMSG : -error->error;
      }
      on_message(message);
      if (!dump) return 0;
    }
  }
}

void Netlink::dump_kind(std::uint16_t type, std::vector<KernelEvent>& events) {
  Request request;
  if (type == RTM_GETLINK)
    request.start<ifinfomsg>(type, NLM_F_DUMP);
  else
    request.start<ndmsg>(type, NLM_F_DUMP);
  request.message->nlmsg_seq = ++sequence_;
  ask(request.message, [&](const nlmsghdr* message) {
    if (auto event = parse_event(message)) events.push_back(std::move(*event));
  });
}

std::vector<KernelEvent> Netlink::dump() {
  std::vector<KernelEvent> events;
  dump_kind(RTM_GETLINK, events);
  dump_kind(RTM_GETNEIGH, events);
  return events;
}

std::optional<Route> Netlink::route_to(const IpAddress& destination, std::string& why) {
  Request request;
  auto* header = request.start<rtmsg>(RTM_GETROUTE, 0);
  header->rtm_family = family_of(destination);
  header->rtm_dst_len = destination.is_v4() ? 32 : 128;
  request.put_address(RTA_DST, destination);
  request.message->nlmsg_seq = ++sequence_;
  std::optional<Route> route;
  const int error = ask(request.message, [&](const nlmsghdr* message) { route = parse_route(message); });
  if (error == 0 && route) return route;
  why = error == ENETUNREACH || error == EHOSTUNREACH
            ? "the kernel has no route to it"
            : "the kernel's route lookup failed: " + std::generic_category().message(error == 0 ? EBADMSG : error);
  return std::nullopt;
}

void Netlink::solicit(const NeighbourKey& neighbour) {
  Request request;
  auto* header = request.start<ndmsg>(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE | NLM_F_ACK);
  header->ndm_family = family_of(neighbour.address);
  header->ndm_ifindex = static_cast<int>(neighbour.link);
  header->ndm_flags = NTF_USE;
  request.put_address(NDA_DST, neighbour.address);
  request.message->nlmsg_seq = ++sequence_;
  // The outcome shows as an event; an error (the link just went away) shows as none, and is tried again.
  ask(request.message, [](const nlmsghdr*) {});
}

}  // namespace guideway::controlplane
