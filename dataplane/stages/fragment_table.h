// Which ports the fragments of a datagram belong to, and the fragments that came before the first one.
//
//   256 neighbourhoods (by the keyed hash of source and destination) × 16 datagrams
//        datagram: key, ports once the first fragment is known, which bytes were seen, who waits
//   1,024 places for waiting packets, at most 48 per neighbourhood
//   ready: packets that waited, with ports or with a reason to be dropped
//
// Fixed memory, made once; bounded work per fragment. Whoever floods from one address fills one neighbourhood. A
// datagram is forgotten when all of it was seen, at the latest kDatagramLifetime after its first sighting; a waiting
// packet is dropped after kWaitMax. docs/packet_policy.md, section 4.
//
// Ownership: keeps the buffers of waiting packets until they are taken as ready. Thread-safety: one worker.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "dataplane/batch.h"

namespace guideway {

struct FragmentKey {
  Block16 source{};
  Block16 destination{};
  std::uint32_t id = 0;
  IpProto protocol{};  // IPv4 only: RFC 791, section 3.2; in IPv6 the addresses and the id name a datagram
  Family family = Family::none;
  friend bool operator==(const FragmentKey&, const FragmentKey&) = default;
};

// A fragment's bytes within its datagram.
struct FragmentSpan {
  std::uint32_t begin = 0;
  std::uint32_t end = 0;
  bool is_last = false;
};

// Which bytes of a datagram were seen: runs in ascending order, never touching each other.
class SeenBytes {
 public:
  static constexpr std::size_t kRunsMax = 32;
  enum class Added { yes, overlaps, too_many_runs };

  Added add(const FragmentSpan& span);
  bool complete() const { return end_known_ && count_ == 1 && runs_[0].begin == 0 && runs_[0].end == end_; }

 private:
  struct Run {
    std::uint16_t begin, end;
  };
  std::array<Run, kRunsMax> runs_;
  std::uint8_t count_ = 0;
  bool end_known_ = false;
  std::uint16_t end_ = 0;
};

class FragmentTable {
 public:
  static constexpr Ns kWaitMax = std::chrono::seconds(1);
  static constexpr Ns kDatagramLifetime = std::chrono::seconds(5);
  static constexpr std::uint32_t kNeighbourhoods = 256;
  static constexpr std::uint32_t kDatagramsPerNeighbourhood = 16;
  static constexpr std::uint32_t kFragmentsPerDatagramMax = 256;
  static constexpr std::uint32_t kWaitingPerNeighbourhoodMax = 48;
  static constexpr std::uint32_t kWaitingMax = 1024;

  FragmentTable();

  // Takes note of a fragment. It comes back pending with ports, held, or dropped. Packets that waited for it become
  // ready.
  void note(Packet& packet, const FragmentKey& key, const FragmentSpan& span, const FlowHashKeys& hash_keys, Ns now);

  // Packets that have waited for too long become ready, to be dropped.
  void expire(Ns now);

  // Fills an empty batch with ready packets that came from one port: pending with ports, or dropped. False: there are
  // none. REQUIRES: until so, no further batch is noted.
  bool take_ready(Batch& batch);

  // Lets go of all that wait; they become ready, to be dropped.
  void give_up_all();

  std::uint32_t waiting() const { return waiting_; }
  bool has_any() const { return waiting_ > 0 || !ready_.empty(); }  // that wait or are ready

 private:
  using Place = std::uint16_t;  // of a waiting packet
  static constexpr Place kNowhere = 0xffff;

  struct Datagram {
    FragmentKey key;
    Ns seen_first{};
    Ports ports;
    IpProto protocol{};
    bool used = false;
    bool has_ports = false;
    std::uint16_t fragments = 0;
    Place waiting = kNowhere;  // the first of those that wait, in the order they came
    Place waiting_last = kNowhere;
    SeenBytes seen;
  };
  struct Neighbourhood {
    std::array<Datagram, kDatagramsPerNeighbourhood> datagrams;
    std::uint32_t waiting = 0;
  };
  struct Waiting {
    Packet packet;
    Ns since{};
    Neighbourhood* neighbourhood = nullptr;
    Datagram* datagram = nullptr;
    Place next_of_datagram = kNowhere;
    Place older = kNowhere, newer = kNowhere;  // of all that wait; `newer` also chains free places
  };

  Datagram& datagram_of(Neighbourhood& neighbourhood, const FragmentKey& key, Ns now);
  bool hold(Packet& packet, Neighbourhood& neighbourhood, Datagram& datagram, Ns now);
  Packet let_go(Place place);
  void release_waiting(Datagram& datagram, Counter reason);
  void forget(Datagram& datagram, Counter reason);

  std::vector<Neighbourhood> neighbourhoods_;
  std::vector<Waiting> places_;
  Place free_ = 0;
  Place oldest_ = kNowhere, newest_ = kNowhere;
  std::uint32_t waiting_ = 0;
  std::vector<Packet> ready_;  // what waited before a batch and what came with it: it never grows
};

}  // namespace guideway
