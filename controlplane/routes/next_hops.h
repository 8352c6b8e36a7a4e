// How packets leave for each backend: by the configuration where it says so, else by the kernel's routes and
// neighbours, followed as they change.
//
//   backend ─ route lookup ─► link (must stand for a port), gateway or on-link, source, MTU
//           ─ neighbour ────► MAC address
//
// A neighbour that is not known yet, or that the kernel forgot, is asked for, with a growing pause; until there is an
// answer the last egress stays in use. A neighbour that did not answer makes its backends unreachable.
// Likewise while no data plane is connected, and so no port is known, the last egress stays.
//
// While a link is down the backends behind it are unreachable. When it is up again they have their last egress at once,
// and neighbours are asked as ever: if they came back one after another, the first one would get the flows of all.
//
// Thread-safety: one thread.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "common/config/config.h"
#include "common/tables/image.h"
#include "controlplane/event_loop.h"
#include "controlplane/routes/netlink.h"

namespace guideway::controlplane {

// A port as the data plane runs it; its position is that in the configuration.
struct PortFacts {
  std::string name;
  std::string kernel_name;  // the kernel interface that stands for it; may be empty
  MacAddress mac;
  std::uint16_t mtu_bytes = 0;
  friend bool operator==(const PortFacts&, const PortFacts&) = default;
};

class NextHops {
 public:
  // `on_change` is called from the loop after the kernel's news changed any egress.
  NextHops(EventLoop& loop, std::function<void()> on_change);

  // Each of these resolves anew, without calling `on_change`.
  void set_ports(std::vector<config::Port> configured, std::vector<PortFacts> running);
  void set_destinations(const std::set<IpAddress>& backends);

  // What an earlier control plane resolved; in use until something else is known.
  void remember(const IpAddress& backend, const Egress& egress);

  const std::map<IpAddress, Egress>& egress() const { return egress_; }
  // Why nothing gets to a backend that was reachable: its link is down. Empty: it is not, or not for that.
  std::string cut_off(const IpAddress& backend) const;
  // Those that a router carries on to: nothing can be sent to their own MAC addresses.
  const std::set<IpAddress>& behind_gateway() const { return behind_gateway_; }
  // Why there is no egress, or why it is an old one; empty if all is well.
  std::string trouble(const IpAddress& backend) const;

 private:
  struct Way {  // what one look at routes and neighbours gave
    enum class State { resolved, pending, failed, link_down } state = State::pending;
    Egress egress;
    std::string trouble;
    std::optional<NeighbourKey> neighbour;  // that it depends on
    static Way resolved(std::size_t port, const MacAddress& from, const MacAddress& to, const IpAddress& source,
                        std::uint16_t mtu_bytes);
    static Way failed(std::string why) { return {State::failed, {}, std::move(why), std::nullopt}; }
    static Way link_down(std::string why) { return {State::link_down, {}, std::move(why), std::nullopt}; }
  };
  struct Pause {
    std::chrono::steady_clock::time_point until;
    std::chrono::milliseconds length{0};
  };

  void take(const KernelEvent& event);
  void take_link(const Link& link);
  void read_kernel();
  bool resolve_all();
  Way look(const IpAddress& backend);
  Way look_static(const IpAddress& backend);
  Way look_up_neighbour(const IpAddress& backend, std::size_t port, const Route& route, const Link& link);
  std::optional<IpAddress> outer_source(std::size_t port, const IpAddress& backend, const Route& route) const;
  std::optional<std::size_t> port_of(const std::string& kernel_name) const;
  bool settle(const IpAddress& backend, const Way& way);
  bool settle_egress(const IpAddress& backend, const Way& way);
  void solicit_where_needed();

  std::function<void()> on_change_;
  Netlink netlink_;
  std::map<std::uint32_t, Link> links_;
  std::map<NeighbourKey, Neighbour> neighbours_;
  std::vector<config::Port> configured_;
  std::vector<PortFacts> running_;
  std::set<IpAddress> destinations_;
  std::map<IpAddress, Egress> egress_;
  std::map<IpAddress, Egress> egress_before_;  // of those whose link is down, or was until now
  std::map<IpAddress, std::string> trouble_;
  std::set<IpAddress> behind_gateway_;
  std::map<NeighbourKey, Pause> wanted_;  // neighbours that ways depend on, and when they may be asked for again
  Timer settle_timer_;                    // gathers a burst of news into one resolution
  Timer solicit_timer_;
  Watch watch_;
};

}  // namespace guideway::controlplane
