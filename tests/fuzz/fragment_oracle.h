// docs/packet_policy.md, section 4, written down plainly and slowly: what must become of each fragment.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "dataplane/batch.h"

namespace guideway::fuzz {

// A fragment to a VIP whose headers are sound.
struct Fragment {
  std::uint64_t number = 0;  // names it
  Family family = Family::ipv4;
  std::uint8_t source = 0;  // the last byte of the address
  std::uint8_t id = 0;
  IpProto protocol{};
  std::uint16_t source_port = 0;  // of a first fragment
  std::uint32_t begin = 0, end = 0;
  bool is_last = false;
};

struct Fate {
  enum class End { forwarded, waits, dropped };
  std::uint64_t number = 0;
  End end = End::dropped;
  Counter reason{};               // dropped: why
  std::uint16_t source_port = 0;  // forwarded: that of the first fragment
  friend bool operator==(const Fate&, const Fate&) = default;
};

class FragmentOracle {
 public:
  // Forgets datagrams of a neighbourhood that were first seen too long ago. What waits for one of them will time out,
  // now or when it has waited for a second: that is not the rule's business, and may_end() says so once of each.
  void age(std::uint64_t neighbourhood, Ns now);
  bool may_end(const Fate& fate);
  // `neighbourhood`: of the fragment's addresses. REQUIRES: age(), and may_end() was asked of what ended since.
  std::vector<Fate> note(const Fragment& fragment, std::uint64_t neighbourhood,
                         Ns now);  // the fragment's own comes first
  // What has waited too long.
  std::vector<Fate> expire(Ns now);
  std::uint32_t waiting() const { return waiting_; }

 private:
  struct Key {
    Family family;
    std::uint8_t source, id;
    IpProto protocol;
    friend bool operator==(const Key&, const Key&) = default;
  };
  struct Waiting {
    std::uint64_t number;
    Ns since;
  };
  struct Datagram {
    Key key;
    Ns seen_first;
    std::optional<std::uint16_t> source_port;
    std::map<std::uint32_t, std::uint32_t> seen;  // begin → end of each fragment
    std::optional<std::uint32_t> end;
    std::uint32_t fragments = 0;
    std::vector<Waiting> waiting;
  };
  using Neighbourhood = std::vector<Datagram>;  // in the order of their first sighting

  Datagram& datagram_of(Neighbourhood& neighbourhood, const Key& key, Ns now, std::vector<Fate>& others);
  Fate note_in(Datagram& datagram, std::uint64_t at, const Fragment& fragment, Ns now, std::vector<Fate>& others);

  std::map<std::uint64_t, Neighbourhood> neighbourhoods_;
  struct Forgotten {
    std::uint64_t neighbourhood;
    Ns since;
  };
  std::map<std::uint64_t, Forgotten> forgotten_;  // packets that wait for datagrams that were
  std::uint32_t waiting_ = 0;
  Ns oldest_{};  // nothing waits since before
};

}  // namespace guideway::fuzz
