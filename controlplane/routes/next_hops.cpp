#include "controlplane/routes/next_hops.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/net/address_text.h"

namespace guideway::controlplane {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kGather{1};
constexpr milliseconds kPauseMin{200};
constexpr milliseconds kPauseMax{5000};
constexpr std::uint32_t kMtuMax = 65535;

}  // namespace

NextHops::Way NextHops::Way::resolved(std::size_t port, const MacAddress& from, const MacAddress& to,
                                      const IpAddress& source, std::uint16_t mtu_bytes) {
  Way way{State::resolved, {}, {}, std::nullopt};
  way.egress.port = static_cast<std::uint8_t>(port);
  way.egress.source_mac = from;
  way.egress.next_hop_mac = to;
  way.egress.source = source;
  way.egress.path_mtu_bytes = mtu_bytes;
  return way;
}

NextHops::NextHops(EventLoop& loop, std::function<void()> on_change)
    : on_change_(std::move(on_change)),
      settle_timer_(loop,
                    [this] {
                      if (resolve_all()) on_change_();
                    }),
      solicit_timer_(loop, [this] { solicit_where_needed(); }),
      watch_(loop, netlink_.fd(), [this] { read_kernel(); }) {
  for (const KernelEvent& event : netlink_.dump()) take(event);
}

void NextHops::set_ports(std::vector<config::Port> configured, std::vector<PortFacts> running) {
  configured_ = std::move(configured);
  running_ = std::move(running);
  resolve_all();
}

void NextHops::set_destinations(const std::set<IpAddress>& backends) {
  destinations_ = backends;
  for (auto* known : {&egress_, &egress_before_})
    std::erase_if(*known, [&](const auto& entry) { return !backends.contains(entry.first); });
  std::erase_if(trouble_, [&](const auto& entry) { return !backends.contains(entry.first); });
  std::erase_if(behind_gateway_, [&](const IpAddress& backend) { return !backends.contains(backend); });
  resolve_all();
}

void NextHops::remember(const IpAddress& backend, const Egress& egress) {
  if (destinations_.contains(backend)) egress_.try_emplace(backend, egress);
}

std::string NextHops::trouble(const IpAddress& backend) const {
  const auto found = trouble_.find(backend);
  return found == trouble_.end() ? std::string() : found->second;
}

std::string NextHops::cut_off(const IpAddress& backend) const {
  return egress_before_.contains(backend) ? trouble(backend) : std::string();
}

// ---- news from the kernel ------------------------------------------------------------------------------------------

void NextHops::read_kernel() {
  if (const auto events = netlink_.read_events()) {
    for (const KernelEvent& event : *events) take(event);
    if (events->empty()) return;
  } else {  // some were lost
    links_.clear();
    neighbours_.clear();
    for (const KernelEvent& event : netlink_.dump()) take(event);
  }
  if (!settle_timer_.pending()) settle_timer_.start(kGather);
}

void NextHops::take(const KernelEvent& event) {
  struct Taker {
    NextHops& us;
    void operator()(const Link& link) const { us.take_link(link); }
    void operator()(const LinkGone& gone) const { us.links_.erase(gone.index); }
    void operator()(const Neighbour& neighbour) const { us.neighbours_[neighbour.key] = neighbour; }
    void operator()(const NeighbourGone& gone) const { us.neighbours_.erase(gone.key); }
    void operator()(const RoutesChanged&) const {}
  };
  std::visit(Taker{*this}, event);
}

// A neighbour that did not answer while the link was down may do so now.
void NextHops::take_link(const Link& link) {
  const auto before = links_.find(link.index);
  if (before != links_.end() && !before->second.up && link.up)
    std::erase_if(neighbours_, [&](const auto& entry) {
      return entry.first.link == link.index && entry.second.state == NeighbourState::failed;
    });
  links_[link.index] = link;
}

// ---- resolving -----------------------------------------------------------------------------------------------------

// True if any egress changed.
bool NextHops::resolve_all() {
  bool changed = false;
  std::map<NeighbourKey, Pause> wanted;
  for (const IpAddress& backend : destinations_) {
    const Way way = look(backend);
    changed |= settle(backend, way);
    if (!way.neighbour) continue;
    const auto known = wanted_.find(*way.neighbour);
    wanted.emplace(*way.neighbour, known == wanted_.end() ? Pause{} : known->second);
  }
  wanted_ = std::move(wanted);
  solicit_where_needed();
  return changed;
}

bool NextHops::settle(const IpAddress& backend, const Way& way) {
  if (way.trouble.empty())
    trouble_.erase(backend);
  else
    trouble_[backend] = way.trouble;
  bool changed = false;
  if (way.neighbour && way.neighbour->address != backend)
    changed = behind_gateway_.insert(backend).second;
  else if (way.neighbour || way.state != Way::State::pending)
    changed = behind_gateway_.erase(backend) > 0;
  return settle_egress(backend, way) || changed;
}

bool NextHops::settle_egress(const IpAddress& backend, const Way& way) {
  switch (way.state) {
    case Way::State::pending:
      return egress_.insert(egress_before_.extract(backend)).inserted;
    case Way::State::link_down:
      return egress_before_.insert(egress_.extract(backend)).inserted;
    case Way::State::failed:
      if (way.neighbour) egress_before_.erase(backend);  // without one its routes may not be back yet
      return egress_.erase(backend) > 0;
    case Way::State::resolved:
      break;
  }
  egress_before_.erase(backend);
  const auto [place, is_new] = egress_.try_emplace(backend, way.egress);
  if (!is_new && place->second == way.egress) return false;
  place->second = way.egress;
  return true;
}

NextHops::Way NextHops::look(const IpAddress& backend) {
  if (running_.empty())
    return {Way::State::pending, {}, "the data plane is not connected, so its ports are not known", std::nullopt};
  std::string why;
  const auto route = netlink_.route_to(backend, why);
  const bool local = route && route->kind == RouteKind::local;
  if (local) return Way::failed("it is an address of this host");
  const auto link = route ? links_.find(route->link) : links_.end();
  const auto port = link == links_.end() ? std::nullopt : port_of(link->second.name);
  if (!port && configured_.size() == 1 && configured_[0].next_hop_mac) return look_static(backend);
  if (!route) return Way::failed(why);
  if (route->kind == RouteKind::blocked) return Way::failed("the kernel's route to it says blackhole or unreachable");
  if (link == links_.end()) return Way::failed("the kernel's route to it names an interface that is gone");
  if (!port)
    return Way::failed(
        fmt::format("the kernel's route to it leaves by {}, which stands for no port", link->second.name));
  if (!link->second.up) return Way::link_down(fmt::format("interface {} is down", link->second.name));
  return look_up_neighbour(backend, *port, *route, link->second);
}

// One port with a fixed next hop: everything leaves there, whatever the kernel knows.
NextHops::Way NextHops::look_static(const IpAddress& backend) {
  const auto source = outer_source(0, backend, {});
  if (!source) return Way::failed(fmt::format("port {} has no source_addresses of its family", configured_[0].name));
  return Way::resolved(0, running_[0].mac, *configured_[0].next_hop_mac, *source, running_[0].mtu_bytes);
}

NextHops::Way NextHops::look_up_neighbour(const IpAddress& backend, std::size_t port, const Route& route,
                                          const Link& link) {
  const auto source = outer_source(port, backend, route);
  if (!source) return Way::failed(fmt::format("interface {} has no address to send from", link.name));
  std::uint32_t mtu_bytes = std::min<std::uint32_t>(link.mtu_bytes, kMtuMax);
  if (route.mtu_bytes != 0) mtu_bytes = std::min(mtu_bytes, route.mtu_bytes);
  if (running_[port].mtu_bytes != 0) mtu_bytes = std::min<std::uint32_t>(mtu_bytes, running_[port].mtu_bytes);
  Way way = Way::resolved(port, running_[port].mac, {}, *source, static_cast<std::uint16_t>(mtu_bytes));
  if (configured_[port].next_hop_mac) {
    way.egress.next_hop_mac = *configured_[port].next_hop_mac;
    return way;
  }
  const IpAddress next_hop = route.gateway.value_or(backend);
  way.neighbour = NeighbourKey{link.index, next_hop};
  const auto neighbour = neighbours_.find(*way.neighbour);
  const auto state = neighbour == neighbours_.end() ? NeighbourState::pending : neighbour->second.state;
  const std::string who = (route.gateway ? "gateway " : "") + to_text(next_hop) + " on " + link.name;
  switch (state) {
    case NeighbourState::usable:
      way.egress.next_hop_mac = neighbour->second.mac;
      break;
    case NeighbourState::pending:
      way.state = Way::State::pending;
      way.trouble = fmt::format("waiting for {} to tell its MAC address", who);
      break;
    case NeighbourState::failed:
      way.state = Way::State::failed;
      way.trouble = fmt::format("{} does not answer for its MAC address", who);
      break;
  }
  return way;
}

std::optional<IpAddress> NextHops::outer_source(std::size_t port, const IpAddress& backend, const Route& route) const {
  for (const IpAddress& source : configured_[port].source_addresses)
    if (source.family() == backend.family()) return source;
  return route.source && route.source->family() == backend.family() ? route.source : std::nullopt;
}

std::optional<std::size_t> NextHops::port_of(const std::string& kernel_name) const {
  for (std::size_t i = 0; i < running_.size() && i < configured_.size(); i++)
    if (running_[i].kernel_name == kernel_name) return i;
  return std::nullopt;
}

// ---- asking for neighbours -----------------------------------------------------------------------------------------

// Also confirms those that went stale: the kernel itself sends them nothing, so nobody else would notice that one died.
void NextHops::solicit_where_needed() {
  const auto now = steady_clock::now();
  auto next = steady_clock::time_point::max();
  for (auto& [key, pause] : wanted_) {
    const auto known = neighbours_.find(key);
    const bool confirmed =
        known != neighbours_.end() && known->second.state == NeighbourState::usable && !known->second.stale;
    if (confirmed) {
      pause = {};
      continue;
    }
    if (pause.until <= now) {
      netlink_.solicit(key);
      pause.length = std::clamp(pause.length * 2, kPauseMin, kPauseMax);
      pause.until = now + pause.length;
    }
    next = std::min(next, pause.until);
  }
  if (next == steady_clock::time_point::max())
    solicit_timer_.stop();
  else
    solicit_timer_.start(next - now);
}

}  // namespace guideway::controlplane
