// DesiredTables → TableImage: what one generation shall say, as objects ready to be placed in shared memory.
// A pure function: same input, same bytes.
#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/tables/slot_history.h"
#include "guideway/tables.h"

namespace guideway {

// How packets leave for a backend, resolved from configuration or the kernel's routes and neighbours.
struct Egress {
  std::uint8_t port = 0;  // position in the data plane's configuration
  MacAddress source_mac;
  MacAddress next_hop_mac;
  IpAddress source;  // outer source, of the backend's family
  std::uint16_t path_mtu_bytes = 1500;
  std::vector<std::uint16_t> vlans{};       // of the port, the outer one first; at most two
  std::optional<IpPrefix> source_prefix{};  // IPIP and GRE: sources vary by flow within it
  friend bool operator==(const Egress&, const Egress&) = default;
};

struct DesiredBackend {
  IpAddress address;
  std::uint32_t weight = 0;  // in force now: 0 when down, drained or unreachable
  std::uint32_t stats_index = 0;
  bool alive = true;             // may keep the connections it has
  std::optional<Egress> egress;  // none: no next hop known
  std::vector<QuicServerId> server_ids{};
  friend bool operator==(const DesiredBackend&, const DesiredBackend&) = default;
};

struct DesiredPool {
  Encap encap = Encap::gue0;
  std::uint32_t slot_count = kSlotCountDefault;
  std::optional<std::uint8_t> dscp{};  // of outer headers; none: the inner one's
  Oversize oversize = Oversize::fragment_outer;
  std::vector<DesiredBackend> backends{};
  std::optional<QuicLayouts> quic{};  // none: connection IDs name no backends
  Scheduler scheduler = Scheduler::maglev;
  std::uint8_t source_bits4 = 32;  // of a client's address, what source_hash hashes
  std::uint8_t source_bits6 = 128;
  bool second_chance = false;  // packets of unsettled slots carry their previous owners as hops
  PastEras past{};             // what its weights were in the eras that are remembered
  friend bool operator==(const DesiredPool&, const DesiredPool&) = default;
};

struct DesiredVip {
  IpPrefix prefix;
  std::uint16_t port = 0;  // 0: any
  IpProto protocol = IpProto::tcp;
  std::uint32_t pool = 0;  // position in `pools`
  std::uint32_t stats_index = 0;
  bool announce = false;
  bool echo = true;
  bool quic = false;
  Unserved unserved = Unserved::drop;
  NoBackend no_backend = NoBackend::drop;
  Tracking tracking = Tracking::moved;
  friend bool operator==(const DesiredVip&, const DesiredVip&) = default;
};

struct DesiredTables {
  FlowHashSecret hash_secret{};
  std::uint64_t config_digest = 0;
  std::vector<DesiredPool> pools;
  std::vector<DesiredVip> vips;  // no two with the same prefix, port and protocol
  std::vector<IpPrefix> own;     // sources of outer headers: what is encapsulated to or from them is a loop
  friend bool operator==(const DesiredTables&, const DesiredTables&) = default;
};

// One object with its header and checksum filled in, 64-byte aligned; immutable once built, shared between images.
struct ImageObject {
  ObjectKind kind;
  std::vector<std::byte> bytes;
  std::uint64_t checksum() const {
    std::uint64_t checksum = 0;
    std::memcpy(&checksum, bytes.data(), sizeof checksum);
    return checksum;
  }
};
using ImageObjectPtr = std::shared_ptr<const ImageObject>;

struct BackendsDraft;  // backends_image.h

struct TableImage {
  struct Pool {
    ImageObjectPtr slots;     // nullptr: no usable backend, and none that is remembered
    ImageObjectPtr backends;  // nullptr: no backends at all
    std::uint32_t slot_count = 0;
    std::uint32_t backend_count = 0;
    Encap encap = Encap::gue0;
    std::shared_ptr<const BackendsDraft> draft;  // what `backends` was made of
    std::vector<std::uint16_t> outers;           // and the numbers that its outer templates have here
    ImageObjectPtr quic;                         // nullptr: connection IDs name no backends
    ImageObjectPtr history;                      // nullptr: all slots are settled
    Scheduler scheduler = Scheduler::maglev;
    std::uint8_t source_bits4 = 32;
    std::uint8_t source_bits6 = 128;
    std::uint8_t flags = 0;             // kPool…
    bool closed = true;                 // no backend takes new flows
    std::uint64_t owners_checksum = 0;  // of the owners alone, whatever is settled
    std::uint32_t unsettled_slots = 0;
    std::uint32_t crowded_slots = 0;  // of them, those with more living previous owners than are kept
    std::uint32_t kept_slots = 0;     // of them, those that are so for drained backends alone
  };
  FlowHashKeys hash_keys{};
  std::uint64_t config_digest = 0;
  ImageObjectPtr vips, index4, index6, directory, outers;
  std::vector<Pool> pools;

  template <typename Visitor>
  void for_each_object(Visitor visit) const {
    for (const ImageObjectPtr& object : {vips, index4, index6, directory, outers})
      if (object) visit(object);
    for (const Pool& pool : pools)
      for (const ImageObjectPtr& object : {pool.slots, pool.backends, pool.quic, pool.history})
        if (object) visit(object);
  }

  // Fleet-wide identity of the slot tables: equal on every LB that has the same configuration and health.
  std::uint64_t slots_digest() const;
};

// What a pool's slot table depends on, and nothing else.
Weights weights_of(const DesiredPool& pool);

// Builds images; objects whose input did not change since the last build are shared with it, so that one flapping
// backend costs one slot table. Stateless otherwise: a fresh builder gives the same bytes.
// Thread-safety: one thread.
class ImageBuilder {
 public:
  TableImage build(const DesiredTables& desired);

 private:
  DesiredTables last_desired_;
  TableImage last_image_;
  SlotTables tables_;
};

}  // namespace guideway
