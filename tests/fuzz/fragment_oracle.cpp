#include "tests/fuzz/fragment_oracle.h"

#include <algorithm>

namespace guideway::fuzz {
namespace {

constexpr Ns kWaitMax = std::chrono::seconds(1);

using Seen = std::map<std::uint32_t, std::uint32_t>;

bool overlaps(const Seen& seen, const Fragment& fragment) {
  return std::ranges::any_of(seen, [&](const auto& s) { return s.first < fragment.end && fragment.begin < s.second; });
}

std::uint32_t separate_pieces(const Seen& seen) {
  std::uint32_t pieces = 0;
  std::uint32_t end = 0;
  for (const auto& [begin, its_end] : seen) {
    if (pieces == 0 || begin != end) pieces++;
    end = its_end;
  }
  return pieces;
}

bool covers_all(const Seen& seen, std::optional<std::uint32_t> end) {
  return end && separate_pieces(seen) == 1 && seen.begin()->first == 0 && seen.rbegin()->second == *end;
}

bool has_ports(const Fragment& fragment) {
  if (fragment.protocol == IpProto::tcp || fragment.protocol == IpProto::udp) return true;
  const bool extension = fragment.protocol == IpProto::destination_options || fragment.protocol == IpProto::routing;
  return extension && fragment.family == Family::ipv6 && fragment.begin != 0;
}

bool is_bad(const Fragment& fragment) {
  const std::uint32_t bytes = fragment.end - fragment.begin;
  return bytes == 0 || (!fragment.is_last && bytes % 8 != 0) || fragment.end > 65535;
}

bool is_tiny(const Fragment& fragment) {
  const bool tcp = fragment.protocol == IpProto::tcp;
  if (fragment.begin == 0) return fragment.end < (tcp ? 20U : 8U);
  return tcp && fragment.begin < 20;
}

Fate dropped(std::uint64_t number, Counter reason) {
  return {number, Fate::End::dropped, reason, 0};
}

}  // namespace

std::vector<Fate> FragmentOracle::note(const Fragment& fragment, std::uint64_t at, Ns now) {
  if (is_bad(fragment)) return {dropped(fragment.number, Counter::drop_fragment_bad)};
  if (!has_ports(fragment)) return {dropped(fragment.number, Counter::drop_fragment_unsupported)};
  if (is_tiny(fragment)) return {dropped(fragment.number, Counter::drop_fragment_tiny)};
  Neighbourhood& neighbourhood = neighbourhoods_[at];
  std::vector<Fate> others;
  const IpProto protocol = fragment.family == Family::ipv4 ? fragment.protocol : IpProto{};
  Datagram& datagram =
      datagram_of(neighbourhood, {fragment.family, fragment.source, fragment.id, protocol}, now, others);
  std::vector<Fate> fates{note_in(datagram, at, fragment, now, others)};
  if (covers_all(datagram.seen, datagram.end) && fates[0].end == Fate::End::forwarded)
    std::erase_if(neighbourhood, [&](const Datagram& one) { return &one == &datagram; });
  fates.insert(fates.end(), others.begin(), others.end());
  return fates;
}

FragmentOracle::Datagram& FragmentOracle::datagram_of(Neighbourhood& neighbourhood, const Key& key, Ns now,
                                                      std::vector<Fate>& others) {
  const auto known = std::ranges::find(neighbourhood, key, &Datagram::key);
  if (known != neighbourhood.end()) return *known;
  if (neighbourhood.size() == 16) {
    for (const Waiting& waiting : neighbourhood.front().waiting)
      others.push_back(dropped(waiting.number, Counter::drop_fragment_no_room));
    waiting_ -= static_cast<std::uint32_t>(neighbourhood.front().waiting.size());
    neighbourhood.erase(neighbourhood.begin());
  }
  Datagram datagram;
  datagram.key = key;
  datagram.seen_first = now;
  return neighbourhood.emplace_back(datagram);
}

Fate FragmentOracle::note_in(Datagram& datagram, std::uint64_t at, const Fragment& fragment, Ns now,
                             std::vector<Fate>& others) {
  if (++datagram.fragments > 256) return dropped(fragment.number, Counter::drop_fragment_too_many);
  if (overlaps(datagram.seen, fragment) || (datagram.end && fragment.end > *datagram.end))
    return dropped(fragment.number, Counter::drop_fragment_overlap);
  datagram.seen[fragment.begin] = fragment.end;
  if (separate_pieces(datagram.seen) > 32) {
    datagram.seen.erase(fragment.begin);
    return dropped(fragment.number, Counter::drop_fragment_too_many);
  }
  if (fragment.is_last) datagram.end = fragment.end;
  if (fragment.begin == 0) {
    datagram.source_port = fragment.source_port;
    for (const Waiting& waiting : datagram.waiting)
      others.push_back({waiting.number, Fate::End::forwarded, Counter{}, fragment.source_port});
    waiting_ -= static_cast<std::uint32_t>(datagram.waiting.size());
    datagram.waiting.clear();
  }
  if (datagram.source_port) return {fragment.number, Fate::End::forwarded, Counter{}, *datagram.source_port};
  std::size_t neighbours = 0;
  for (const Datagram& one : neighbourhoods_[at]) neighbours += one.waiting.size();
  for (const auto& [number, waiting] : forgotten_) neighbours += waiting.neighbourhood == at ? 1 : 0;
  if (neighbours >= 48 || waiting_ >= 1024) return dropped(fragment.number, Counter::drop_fragment_no_room);
  if (waiting_++ == 0) oldest_ = now;
  datagram.waiting.push_back({fragment.number, now});
  return {fragment.number, Fate::End::waits, Counter{}, 0};
}

void FragmentOracle::age(std::uint64_t at, Ns now) {
  std::erase_if(neighbourhoods_[at], [&](const Datagram& one) {
    if (now - one.seen_first < std::chrono::seconds(5)) return false;
    for (const Waiting& waiting : one.waiting) forgotten_[waiting.number] = {at, waiting.since};
    return true;
  });
}

bool FragmentOracle::may_end(const Fate& fate) {
  const bool may = fate == dropped(fate.number, Counter::drop_fragment_timeout) && forgotten_.erase(fate.number) == 1;
  waiting_ -= may ? 1 : 0;
  return may;
}

std::vector<Fate> FragmentOracle::expire(Ns now) {
  std::vector<Fate> fates;
  if (waiting_ == 0 || now - oldest_ < kWaitMax) return fates;
  oldest_ = now;
  for (auto& [at, neighbourhood] : neighbourhoods_)
    for (Datagram& datagram : neighbourhood)
      std::erase_if(datagram.waiting, [&](const Waiting& waiting) {
        const bool too_long = now - waiting.since >= kWaitMax;
        if (too_long)
          fates.push_back(dropped(waiting.number, Counter::drop_fragment_timeout));
        else
          oldest_ = std::min(oldest_, waiting.since);
        return too_long;
      });
  std::erase_if(forgotten_, [&](const auto& one) {
    const auto& [number, waiting] = one;
    const bool too_long = now - waiting.since >= kWaitMax;
    if (too_long)
      fates.push_back(dropped(number, Counter::drop_fragment_timeout));
    else
      oldest_ = std::min(oldest_, waiting.since);
    return too_long;
  });
  waiting_ -= static_cast<std::uint32_t>(fates.size());
  return fates;
}

}  // namespace guideway::fuzz
