#include "dataplane/stages/fragment_table.h"

#include <algorithm>

namespace guideway {

SeenBytes::Added SeenBytes::add(const FragmentSpan& span) {
  const auto runs = runs_.begin();
  const auto next = std::find_if(runs, runs + count_, [&](const Run& run) { return run.end > span.begin; });
  const auto at = static_cast<std::size_t>(next - runs);
  const bool overlaps = at < count_ && runs_[at].begin < span.end;
  if (overlaps || (end_known_ && span.end > end_)) return Added::overlaps;
  const bool touches_before = at > 0 && runs_[at - 1].end == span.begin;
  const bool touches_after = at < count_ && runs_[at].begin == span.end;
  const auto begin = static_cast<std::uint16_t>(span.begin);
  const auto end = static_cast<std::uint16_t>(span.end);
  if (touches_before && touches_after) {
    runs_[at - 1].end = runs_[at].end;
    std::copy(runs + static_cast<std::ptrdiff_t>(at) + 1, runs + count_, next);
    count_--;
  } else if (touches_before) {
    runs_[at - 1].end = end;
  } else if (touches_after) {
    runs_[at].begin = begin;
  } else {
    if (count_ == kRunsMax) return Added::too_many_runs;
    std::copy_backward(next, runs + count_, runs + count_ + 1);
    runs_[at] = {begin, end};
    count_++;
  }
  if (span.is_last) {
    end_known_ = true;
    end_ = end;
  }
  return Added::yes;
}

FragmentTable::FragmentTable() : neighbourhoods_(kNeighbourhoods), places_(kWaitingMax) {
  for (std::size_t i = 0; i < places_.size(); i++)
    places_[i].newer = i + 1 < places_.size() ? static_cast<Place>(i + 1) : kNowhere;
  ready_.reserve(kWaitingMax + kBatchMax);
}

void FragmentTable::note(Packet& packet, const FragmentKey& key, const FragmentSpan& span,
                         const FlowHashKeys& hash_keys, Ns now) {
  const std::uint64_t hash = flow_hash(hash_keys, FlowKey6{key.source, key.destination, Ports{}, IpProto{}});
  Neighbourhood& neighbourhood = neighbourhoods_[hash % kNeighbourhoods];
  Datagram& datagram = datagram_of(neighbourhood, key, now);
  if (datagram.fragments == kFragmentsPerDatagramMax) return drop(packet, Counter::drop_fragment_too_many);
  datagram.fragments++;
  switch (datagram.seen.add(span)) {
    case SeenBytes::Added::overlaps:
      return drop(packet, Counter::drop_fragment_overlap);
    case SeenBytes::Added::too_many_runs:
      return drop(packet, Counter::drop_fragment_too_many);
    case SeenBytes::Added::yes:
      break;
  }
  if (span.begin == 0) {
    datagram.has_ports = true;
    datagram.ports = packet.ports;
    datagram.protocol = packet.protocol;
    release_waiting(datagram, kNothing);
  } else if (datagram.has_ports) {
    packet.ports = datagram.ports;
    packet.protocol = datagram.protocol;
  } else {
    if (!hold(packet, neighbourhood, datagram, now)) drop(packet, Counter::drop_fragment_no_room);
    return;
  }
  if (datagram.seen.complete()) datagram.used = false;
}

FragmentTable::Datagram& FragmentTable::datagram_of(Neighbourhood& neighbourhood, const FragmentKey& key, Ns now) {
  Datagram* place = &neighbourhood.datagrams.front();  // wanted: a free one, else the oldest
  for (Datagram& datagram : neighbourhood.datagrams) {
    if (datagram.used && now - datagram.seen_first >= kDatagramLifetime)
      forget(datagram, Counter::drop_fragment_timeout);
    if (datagram.used && datagram.key == key) return datagram;
    if (place->used && (!datagram.used || datagram.seen_first < place->seen_first)) place = &datagram;
  }
  if (place->used) forget(*place, Counter::drop_fragment_no_room);
  *place = {};
  place->used = true;
  place->key = key;
  place->seen_first = now;
  return *place;
}

bool FragmentTable::hold(Packet& packet, Neighbourhood& neighbourhood, Datagram& datagram, Ns now) {
  if (free_ == kNowhere || neighbourhood.waiting == kWaitingPerNeighbourhoodMax) return false;
  const Place place = free_;
  Waiting& waiting = places_[place];
  free_ = waiting.newer;
  waiting = {packet, now, &neighbourhood, &datagram, kNowhere, newest_, kNowhere};
  (newest_ != kNowhere ? places_[newest_].newer : oldest_) = place;
  newest_ = place;
  (datagram.waiting != kNowhere ? places_[datagram.waiting_last].next_of_datagram : datagram.waiting) = place;
  datagram.waiting_last = place;
  neighbourhood.waiting++;
  waiting_++;
  packet.verdict = Verdict::held;
  return true;
}

Packet FragmentTable::let_go(Place place) {
  Waiting& waiting = places_[place];
  (waiting.older != kNowhere ? places_[waiting.older].newer : oldest_) = waiting.newer;
  (waiting.newer != kNowhere ? places_[waiting.newer].older : newest_) = waiting.older;
  waiting.neighbourhood->waiting--;
  waiting_--;
  waiting.newer = free_;
  free_ = place;
  return waiting.packet;
}

// `reason`: kNothing when the ports are known now.
void FragmentTable::release_waiting(Datagram& datagram, Counter reason) {
  for (Place place = datagram.waiting; place != kNowhere;) {
    const Place next = places_[place].next_of_datagram;
    Packet packet = let_go(place);
    packet.ports = datagram.ports;
    packet.protocol = datagram.protocol;
    if (reason != kNothing) drop(packet, reason);
    ready_.push_back(packet);
    place = next;
  }
  datagram.waiting = datagram.waiting_last = kNowhere;
}

void FragmentTable::forget(Datagram& datagram, Counter reason) {
  release_waiting(datagram, reason);
  datagram.used = false;
}

// The oldest that waits is also the first of its datagram that does.
void FragmentTable::expire(Ns now) {
  while (oldest_ != kNowhere && now - places_[oldest_].since >= kWaitMax) {
    Datagram& datagram = *places_[oldest_].datagram;
    datagram.waiting = places_[oldest_].next_of_datagram;
    Packet packet = let_go(oldest_);
    drop(packet, Counter::drop_fragment_timeout);
    ready_.push_back(packet);
  }
}

bool FragmentTable::take_ready(Batch& batch) {
  batch.clear();
  if (ready_.empty()) return false;
  const std::uint8_t ingress = ready_.front().ingress;
  const auto fits = [&](const Packet& packet) {
    if (packet.ingress != ingress || batch.count == kBatchMax) return false;
    batch.packets[batch.count++] = packet;
    return true;
  };
  ready_.erase(std::remove_if(ready_.begin(), ready_.end(), fits), ready_.end());
  return true;
}

void FragmentTable::give_up_all() {
  for (Neighbourhood& neighbourhood : neighbourhoods_)
    for (Datagram& datagram : neighbourhood.datagrams)
      if (datagram.used) forget(datagram, Counter::drop_fragment_timeout);
}

}  // namespace guideway
