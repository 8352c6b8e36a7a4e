// What becomes of a flow's packets, and why: the packet path's own lookups (guideway/tables_view.h) over the live
// tables, and the rules of docs/packet_policy.md that need no more than addresses and ports.
// Thread-safety: pure function.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "guideway/tables_view.h"

namespace guideway::controlplane {

struct Flow {
  IpProto protocol = IpProto::tcp;
  Family family = Family::ipv4;  // of both addresses, whatever they look like: IPv6 ones may be IPv4-mapped
  IpAddress source;
  std::uint16_t source_port = 0;
  IpAddress destination;
  std::uint16_t destination_port = 0;
};

struct Explanation {
  enum class Verdict {
    forward,
    to_kernel,
    drop_encapsulated,
    drop_returned,
    drop_bad_source,
    drop_unserved,
    drop_no_backend,
    answered_unserved,
    answered_no_backend,
  };
  Verdict verdict = Verdict::to_kernel;
  bool own = false;                        // the destination is an address of ours, a source of outer headers
  const VipRecord* vip = nullptr;          // the address is a VIP's
  std::optional<std::uint32_t> vip_index;  // the service: position in the tables
  std::optional<std::uint32_t> pool;       // position in the tables
  std::uint64_t hash = 0;                  // from here on: only with a pool
  std::optional<Slot> slot;
  std::uint32_t slot_count = 0;
  Scheduler scheduler{};
  bool unsettled = false;
  std::vector<std::uint32_t> previous;   // living owners of the slot before: positions in the pool
  bool has_oldest = false;               // the first of them is the oldest; else all of them are nothing but hops
  std::optional<std::uint32_t> backend;  // position in the pool: of a new flow
  const BackendRecord* record = nullptr;
  const OuterTemplate* outer = nullptr;  // nullptr: the backend is not reachable
};
const char* to_text(Explanation::Verdict verdict);

// What becomes of the first packet of a flow. What workers remember of flows is theirs, and is not asked.
Explanation explain(const TablesView& view, const Flow& flow);

}  // namespace guideway::controlplane
