// The tables region: what the control plane tells the data plane, as it lies in shared memory.
//
//   SegmentHeader │ root word │ … immutable objects, 64-byte aligned, anywhere …
//
//   root word ──► GenerationRoot ──► vips, index4, index6, directory, outers, pools ──► slots, backends, quic, history
//                                                                                             of each pool
//
// The root word is the only thing that ever changes. Everything it reaches is immutable until the writer has unlinked
// it *and* every live reader has moved on; a generation shares all unchanged objects with the one before. An ObjectRef
// carries the checksum of what it points to, so the root's checksum vouches for the whole tree (a Merkle tree).
//
// One writer (controlplane), any number of readers (read-only mappings). Positions are offsets, never pointers.
// tables_view.h reads it; common/shm/tables_writer.h writes it; docs/shm_contract.md is the contract in prose.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "guideway/address.h"
#include "guideway/flow_hash.h"
#include "guideway/layout.h"
#include "guideway/quic_tables.h"
#include "guideway/segment.h"
#include "guideway/units.h"
#include "guideway/wire.h"

namespace guideway {

inline constexpr std::uint32_t kTablesLayoutVersion = 6;
inline constexpr std::uint32_t kObjectUnitBytes = 64;

// {generation, offset of the GenerationRoot} in one word: one store publishes, one load adopts.
struct RootWord {
  std::uint64_t value = 0;  // 40 bits generation, 24 bits offset in units; 0 = nothing published yet

  static constexpr RootWord make(Generation g, std::uint64_t offset_bytes) {
    return {number(g) << 24 | offset_bytes / kObjectUnitBytes};
  }
  constexpr Generation generation() const { return static_cast<Generation>(value >> 24); }
  constexpr std::uint64_t offset_bytes() const { return (value & 0xffffff) * kObjectUnitBytes; }
  constexpr bool empty() const { return value == 0; }
  friend constexpr bool operator==(RootWord, RootWord) = default;
};
inline constexpr std::uint64_t kTablesBytesMax = (std::uint64_t{1} << 24) * kObjectUnitBytes;  // 1 GiB

struct TablesHeader {
  SegmentHeader segment;
  alignas(kCacheLineBytes) std::atomic<std::uint64_t> root;
};
static_assert(sizeof(TablesHeader) == 128 && offsetof(TablesHeader, root) == 64);

enum class ObjectKind : std::uint32_t {
  root = 1,
  vips = 2,
  index4 = 3,
  index6 = 4,
  pools = 5,
  slots = 6,
  backends = 7,
  quic = 8,
  history = 9,
  directory = 10,
  outers = 11,
};

struct ObjectHeader {
  std::uint64_t checksum;  // XXH3-64 over everything behind this field, size_bytes - 8 bytes
  ObjectKind kind;
  std::uint32_t count;       // of the elements behind the header
  std::uint32_t size_bytes;  // header included, padding to the unit not
  std::uint32_t probes_max;  // index4/index6: how many entries a lookup looks at before it gives up; else 0
};
static_assert(sizeof(ObjectHeader) == 24);

// Where an object's elements begin: on a cache line of their own, but for slots directly behind the header, so that
// the default table fits 128 KiB. In a quic object QuicDecoders lie in front of them.
constexpr std::uint32_t elements_offset_bytes(ObjectKind kind) {
  if (kind == ObjectKind::slots) return sizeof(ObjectHeader);
  return kObjectUnitBytes + (kind == ObjectKind::quic ? sizeof(QuicDecoders) : 0);
}

struct ObjectRef {
  std::uint64_t checksum;
  std::uint32_t offset_units;  // 0 = no object
  std::uint32_t size_bytes;
  friend constexpr bool operator==(const ObjectRef&, const ObjectRef&) = default;
};
static_assert(sizeof(ObjectRef) == 16);

struct GenerationRoot {
  ObjectHeader header;
  Generation generation;
  std::uint64_t config_digest;  // of the configuration it was built from
  std::uint64_t published_unix_ns;
  FlowHashKeys hash_keys;
  ObjectRef vips;       // VipRecord[]
  ObjectRef index4;     // VipIndex4Entry[], a power of two
  ObjectRef index6;     // VipIndex6Entry[], a power of two
  ObjectRef pools;      // PoolRecord[]
  ObjectRef directory;  // BackendPlace[], by stats_index
  ObjectRef outers;     // OuterTemplate[]
  std::uint8_t spare[32];
};
static_assert(sizeof(GenerationRoot) == 256 && offsetof(GenerationRoot, hash_keys) == 48);

// What happens to packets to a VIP's address that no VIP serves, and to packets that no backend can take.
enum class Unserved : std::uint8_t { drop = 0, kernel = 1, reject = 2 };
enum class NoBackend : std::uint8_t { drop = 0, reject = 1 };

// For which flows a worker remembers the backend (docs/continuity.md).
enum class Tracking : std::uint8_t {
  moved = 0,  // of unsettled slots, from their SYN or QUIC Initial on, and those that slots have left behind
  all = 1,
  none = 2,
};

inline constexpr std::uint8_t kVipAnnounce = 0x01;  // the prefix should be announced while this generation is in force
inline constexpr std::uint8_t kVipEcho = 0x02;      // echo requests to it are answered
inline constexpr std::uint8_t kVipQuic = 0x04;      // UDP whose packets may name their backend (docs/quic.md)

struct VipRecord {
  IpAddress address;  // the first of its prefix
  Be16 port;          // 0: any
  IpProto protocol;
  std::uint8_t flags;  // kVip…
  PoolId pool;
  Tracking tracking;
  std::uint8_t reserved;
  std::uint32_t stats_index;  // position in the stats region; stays the same over generations
  Unserved unserved;
  NoBackend no_backend;
  std::uint8_t prefix_bits;  // 0 … 32 or 0 … 128
  std::uint8_t spare;
};
static_assert(sizeof(VipRecord) == 32);
static_assert(offsetof(VipRecord, pool) == 20 && offsetof(VipRecord, tracking) == 22);
static_assert(offsetof(VipRecord, stats_index) == 24);
static_assert(offsetof(VipRecord, unserved) == 28 && offsetof(VipRecord, prefix_bits) == 30);

// The classify stage finds a service with one probe: open addressing, linear probing, at most half full. An entry is of
// a prefix, and of
//   a protocol and a port   a service
//   a protocol and port 0   a service on any port
//   protocol 0 and port 0   "this prefix is a VIP's"; its `vip` is one of that prefix's records. With pool `own`:
//                           "these addresses are our own, we put them into outer headers"; such an entry
//                           has no vip
constexpr std::uint8_t prefix_tag(std::uint32_t prefix_bits) {
  return static_cast<std::uint8_t>(prefix_bits + 1);
}
// A VipIndex4Key in a register: put together in memory, it could not be read as a whole at once.
enum class VipIndex4Word : std::uint64_t {};
struct VipIndex4Key {
  Be32 address;  // bits behind the prefix are 0
  Be16 port;
  std::uint8_t protocol = 0;
  std::uint8_t tag = 0;  // prefix_tag(); 0: the entry is free
  friend constexpr bool operator==(const VipIndex4Key& a, const VipIndex4Key& b) {
    return a == std::bit_cast<VipIndex4Word>(b);
  }
  friend constexpr bool operator==(const VipIndex4Key& a, VipIndex4Word b) {
    return std::bit_cast<VipIndex4Word>(a) == b;
  }
};
struct VipIndex4Entry {
  VipIndex4Key key;
  VipId vip;
  PoolId pool;  // none or own in address entries
  Tracking tracking;
  std::uint8_t reserved;
};
static_assert(sizeof(VipIndex4Key) == 8 && sizeof(VipIndex4Entry) == 16);

// A VipIndex6Key in registers: put together in memory, it could not be read in larger pieces at once.
using VipIndex6Words = std::array<std::uint64_t, 3>;
struct VipIndex6Key {
  Block16 address{};
  Be16 port;
  std::uint8_t protocol = 0;
  std::uint8_t tag = 0;
  std::uint8_t zero[4]{};
  friend constexpr bool operator==(const VipIndex6Key& a, const VipIndex6Key& b) {
    return a == std::bit_cast<VipIndex6Words>(b);
  }
  friend constexpr bool operator==(const VipIndex6Key& a, const VipIndex6Words& b) {
    const auto words = std::bit_cast<VipIndex6Words>(a);
    return ((words[0] ^ b[0]) | (words[1] ^ b[1]) | (words[2] ^ b[2])) == 0;
  }
};
struct VipIndex6Entry {
  VipIndex6Key key;
  VipId vip;
  PoolId pool;
  Tracking tracking;
  std::uint8_t reserved;
};
static_assert(sizeof(VipIndex6Key) == 24 && sizeof(VipIndex6Entry) == 32);

// VipIndex6Key{address, port, protocol, prefix_tag(128)}.
constexpr VipIndex6Words service_words(const Block16& address, IpProto protocol, Be16 port) {
  const auto halves = std::bit_cast<std::array<std::uint64_t, 2>>(address);
  const std::uint64_t rest =
      port.raw() | static_cast<std::uint64_t>(protocol) << 16 | std::uint64_t{prefix_tag(128)} << 24;
  return {halves[0], halves[1], rest};
}
constexpr VipIndex6Key service_key(const Block16& address, IpProto protocol, Be16 port) {
  return std::bit_cast<VipIndex6Key>(service_words(address, protocol, port));
}
static_assert(service_key(Block16{1}, IpProto::tcp, Be16::from_host(80)) ==
              VipIndex6Key{
                  Block16{1}, Be16::from_host(80), static_cast<std::uint8_t>(IpProto::tcp), prefix_tag(128), {}});

constexpr VipIndex4Word service_word(Be32 address, IpProto protocol, Be16 port) {
  return VipIndex4Word{address.raw() | std::uint64_t{port.raw()} << 32 | static_cast<std::uint64_t>(protocol) << 48 |
                       std::uint64_t{prefix_tag(32)} << 56};
}
static_assert(std::bit_cast<VipIndex4Key>(service_word(Be32::from_host(1), IpProto::tcp, Be16::from_host(80))) ==
              VipIndex4Key{Be32::from_host(1), Be16::from_host(80), static_cast<std::uint8_t>(IpProto::tcp),
                           prefix_tag(32)});

constexpr bool is_free(const VipIndex4Key& key) {
  return key.tag == 0;
}
constexpr bool is_free(const VipIndex6Key& key) {
  return key.tag == 0;
}
constexpr bool is_free(const QuicServerId& key) {
  return key.size_bytes == 0;
}

// Where a key's entry is, or begins to be looked for: these bits of the product of the key and 2^64 divided by the
// golden ratio (Knuth, The Art of Computer Programming, volume 3, section 6.4). All bits of the key reach them, and
// addresses or ports in a row come to lie apart.
constexpr std::uint64_t kIndexFactor = 0x9e3779b97f4a7c15;
constexpr std::uint64_t index_place(std::uint64_t last_word) {
  return last_word * kIndexFactor >> 40;
}
// A word of a key before the last one.
constexpr std::uint64_t index_mix(std::uint64_t word) {
  word *= kIndexFactor;
  return word ^ (word >> 32);
}
inline std::uint64_t index_hash(VipIndex4Word word) {
  return index_place(static_cast<std::uint64_t>(word));
}
inline std::uint64_t index_hash(const VipIndex4Key& key) {
  return index_hash(std::bit_cast<VipIndex4Word>(key));
}
inline std::uint64_t index_hash(const VipIndex6Words& words) {
  return index_place(index_mix(index_mix(words[0]) ^ words[1]) ^ words[2]);
}
inline std::uint64_t index_hash(const VipIndex6Key& key) {
  return index_hash(std::bit_cast<VipIndex6Words>(key));
}
inline std::uint64_t index_hash(const QuicServerId& key) {
  const auto words = std::bit_cast<std::array<std::uint64_t, 2>>(key);
  return index_place(index_mix(words[0]) ^ words[1]);
}

// Which backend a flow that nobody knows goes to.
enum class Scheduler : std::uint8_t {
  maglev = 0,             // the owner of the flow's slot
  source_hash = 1,        // the owner of the slot that the client's address hashes to
  round_robin = 2,        // the owner of the next slot; needs tracking `all`
  least_connections = 3,  // the backend with the fewest tracked flows for its weight; needs tracking `all`
};

inline constexpr std::uint8_t kPoolSecondChance = 0x01;  // packets of unsettled slots carry a hop list
inline constexpr std::uint8_t kPoolClosed = 0x02;        // no backend takes new flows: all slots are without an owner

struct PoolRecord {
  ObjectRef slots;     // Slot entries; slot_count 0 = no usable backend
  ObjectRef backends;  // BackendRecord[]
  ObjectRef quic;      // how connection IDs name backends; offset 0: they do not
  ObjectRef history;   // HistoryWord[]: previous owners of unsettled slots; offset 0: all slots are settled
  std::uint32_t slot_count;
  std::uint32_t backend_count;
  Encap encap;
  Scheduler scheduler;
  std::uint8_t flags;         // kPool…
  std::uint8_t source_bits4;  // source_hash: of a client's address, those that are hashed
  std::uint8_t source_bits6;
  std::uint8_t spare[51];
};
static_assert(sizeof(PoolRecord) == 128 && offsetof(PoolRecord, quic) == 32 && offsetof(PoolRecord, slot_count) == 64);

// An element of a slots object: BackendId in the lower 15 bits; the top bit says that the slot is unsettled: it has
// previous owners that are alive.
using SlotEntry = std::uint16_t;
inline constexpr SlotEntry kSlotOwnerMask = 0x7fff;
inline constexpr SlotEntry kSlotUnsettled = 0x8000;
inline constexpr std::uint32_t kPoolsMax = 4096;
inline constexpr std::uint32_t kBackendsPerPoolMax = 0x7fff;
inline constexpr std::uint32_t kSlotCountDefault = 65521;  // prime; 24 + 2 × 65521 bytes fit 128 KiB
inline constexpr std::uint32_t kSlotCountMax = 1U << 20;

inline constexpr std::uint8_t kBackendAlive = 0x01;  // may keep connections: not known to be down

// What happens to packets that are too big for the path once encapsulated and may be fragmented.
enum class Oversize : std::uint8_t { fragment_outer = 0, fragment_inner = 1, drop = 2 };

// The previous owners of unsettled slots, for docs/continuity.md. A history object holds, in words of 8 bytes,
//
//   HistoryBlock for each 32 slots │ PastOwners for each unsettled slot, in the order of the slots
inline constexpr std::uint32_t kSlotsPerHistoryBlock = 32;
struct HistoryBlock {
  std::uint32_t first;  // which PastOwners is that of the first slot in `mask`
  std::uint32_t mask;   // the unsettled slots of the block
};
inline constexpr std::uint32_t kPastOwnersMax = 4;
struct PastOwners {
  // Alive, none twice: where flows go that nobody knows, or none; then hops alone, the newest last; then none.
  std::array<BackendId, kPastOwnersMax> backends;
};
using HistoryWord = std::uint64_t;
static_assert(sizeof(HistoryBlock) == sizeof(HistoryWord) && sizeof(PastOwners) == sizeof(HistoryWord));
constexpr std::uint32_t history_blocks(std::uint32_t slot_count) {
  return (slot_count + kSlotsPerHistoryBlock - 1) / kSlotsPerHistoryBlock;
}

// Where the backend of a stats index is: what remembers a backend over generations remembers that number. Those from
// kDirectorySizeMax on cannot be remembered.
inline constexpr std::uint32_t kDirectorySizeMax = 0xffff;
struct BackendPlace {
  PoolId pool = PoolId::none;
  std::uint16_t backend_and_flag = 0;  // BackendId in the lower 15 bits; the top bit: alive and reachable

  static constexpr BackendPlace of(PoolId pool, BackendId backend, bool can_take) {
    const auto position = static_cast<std::uint16_t>(index(backend));
    return {pool, static_cast<std::uint16_t>(position | (can_take ? kCanTake : 0))};
  }
  constexpr BackendId backend() const { return static_cast<BackendId>(backend_and_flag & ~kCanTake & 0xffff); }
  constexpr bool can_take() const { return (backend_and_flag & kCanTake) != 0; }

 private:
  static constexpr std::uint16_t kCanTake = 0x8000;
};
static_assert(sizeof(BackendPlace) == 4);

// All that the encap stage needs to know of a backend: the headers it will put in front of a packet, complete but for
// what depends on that packet, and how to complete them. What IPIP over IPv4 takes lies in the first cache line.
// What outer headers have in common that leave by the same way and are of the same kind: all but the next hop's address
// and the backend's. There are few of them, so they stay in the core's own cache; most pools have one.
struct OuterTemplate {
  std::uint16_t path_mtu_bytes;  // the largest outer IP packet that fits the way
  std::uint8_t header_bytes;     // used bytes of `header`
  std::uint8_t ip_at;            // offset of the outer IP header in `header`: 14, 18 or 22
  Encap encap;
  Family family;
  Oversize oversize;
  std::uint8_t tos_keep;  // outer traffic class = (inner & tos_keep) | tos_set
  std::uint8_t tos_set;
  std::uint8_t reserved[3];
  std::uint32_t ipv4_sum;  // IPv4: ones' complement sum of the outer IP header as stored (native order, unfolded)
  Be32 source_entropy;     // which of the last 32 bits of the outer source come from the flow's entropy
  // Ethernet, up to two VLAN tags, outer IP, and for GUE: UDP and the GUE header; for GRE its header. Left zero and
  // filled in per backend: the destinations, of Ethernet and of IP; per packet: lengths, DSCP/ECN, IPv4 header
  // checksum, IPv6 flow label, the source's host bits, UDP source port and checksum, and what names the inner protocol.
  // With l2dsr it ends with the EtherType, which is filled in.
  std::uint8_t header[80];
  std::uint8_t spare[28];
};
static_assert(sizeof(OuterTemplate) == 128);
static_assert(offsetof(OuterTemplate, header) == 20);
static_assert(offsetof(OuterTemplate, header) + sizeof(EthernetHeader) + sizeof(Ipv4Header) <= kCacheLineBytes);
inline constexpr std::uint32_t kOutersMax = 0xffff;
inline constexpr std::uint16_t kNoOuter = 0xffff;

// All that is of one backend alone, in half a cache line: those of many pools do not fit the core's own cache.
struct BackendRecord {
  IpAddress address;          // where it is; also names it when tables are built
  std::uint32_t stats_index;  // position in the stats region; stays the same over generations
  MacAddress next_hop;
  std::uint16_t outer;   // position in the generation's OuterTemplates; kNoOuter: not reachable, no next hop is known
  std::uint16_t weight;  // in force
  std::uint8_t flags;    // kBackend…
  std::uint8_t port;     // position of the egress port in the data plane's configuration
};
static_assert(sizeof(BackendRecord) == 32 && kCacheLineBytes % sizeof(BackendRecord) == 0);
static_assert(offsetof(BackendRecord, stats_index) == 16 && offsetof(BackendRecord, next_hop) == 20);
static_assert(offsetof(BackendRecord, outer) == 26 && offsetof(BackendRecord, flags) == 30);

namespace detail {

constexpr void add_objects(LayoutHash& hash) {
  hash.GUIDEWAY_TYPE(TablesHeader)
      .GUIDEWAY_FIELD(TablesHeader, root)
      .GUIDEWAY_TYPE(ObjectHeader)
      .GUIDEWAY_FIELD(ObjectHeader, checksum)
      .GUIDEWAY_FIELD(ObjectHeader, kind)
      .GUIDEWAY_FIELD(ObjectHeader, count)
      .GUIDEWAY_FIELD(ObjectHeader, size_bytes)
      .GUIDEWAY_FIELD(ObjectHeader, probes_max)
      .GUIDEWAY_TYPE(ObjectRef)
      .GUIDEWAY_FIELD(ObjectRef, checksum)
      .GUIDEWAY_FIELD(ObjectRef, offset_units)
      .GUIDEWAY_FIELD(ObjectRef, size_bytes)
      .GUIDEWAY_TYPE(GenerationRoot)
      .GUIDEWAY_FIELD(GenerationRoot, generation)
      .GUIDEWAY_FIELD(GenerationRoot, config_digest)
      .GUIDEWAY_FIELD(GenerationRoot, published_unix_ns)
      .GUIDEWAY_FIELD(GenerationRoot, hash_keys)
      .GUIDEWAY_FIELD(GenerationRoot, vips)
      .GUIDEWAY_FIELD(GenerationRoot, index4)
      .GUIDEWAY_FIELD(GenerationRoot, index6)
      .GUIDEWAY_FIELD(GenerationRoot, pools)
      .GUIDEWAY_FIELD(GenerationRoot, directory)
      .GUIDEWAY_FIELD(GenerationRoot, outers)
      .GUIDEWAY_TYPE(BackendPlace)
      .GUIDEWAY_FIELD(BackendPlace, pool)
      .GUIDEWAY_FIELD(BackendPlace, backend_and_flag);
}
constexpr void add_vips(LayoutHash& hash) {
  hash.GUIDEWAY_TYPE(VipRecord)
      .GUIDEWAY_FIELD(VipRecord, address)
      .GUIDEWAY_FIELD(VipRecord, port)
      .GUIDEWAY_FIELD(VipRecord, protocol)
      .GUIDEWAY_FIELD(VipRecord, flags)
      .GUIDEWAY_FIELD(VipRecord, pool)
      .GUIDEWAY_FIELD(VipRecord, tracking)
      .GUIDEWAY_FIELD(VipRecord, stats_index)
      .GUIDEWAY_FIELD(VipRecord, unserved)
      .GUIDEWAY_FIELD(VipRecord, no_backend)
      .GUIDEWAY_FIELD(VipRecord, prefix_bits)
      .GUIDEWAY_TYPE(VipIndex4Entry)
      .GUIDEWAY_FIELD(VipIndex4Entry, key)
      .GUIDEWAY_FIELD(VipIndex4Entry, vip)
      .GUIDEWAY_FIELD(VipIndex4Entry, pool)
      .GUIDEWAY_FIELD(VipIndex4Entry, tracking)
      .GUIDEWAY_TYPE(VipIndex6Entry)
      .GUIDEWAY_FIELD(VipIndex6Entry, key)
      .GUIDEWAY_FIELD(VipIndex6Entry, vip)
      .GUIDEWAY_FIELD(VipIndex6Entry, pool)
      .GUIDEWAY_FIELD(VipIndex6Entry, tracking);
}
constexpr void add_pools(LayoutHash& hash) {
  hash.GUIDEWAY_TYPE(PoolRecord)
      .GUIDEWAY_FIELD(PoolRecord, slots)
      .GUIDEWAY_FIELD(PoolRecord, backends)
      .GUIDEWAY_FIELD(PoolRecord, quic)
      .GUIDEWAY_FIELD(PoolRecord, slot_count)
      .GUIDEWAY_FIELD(PoolRecord, backend_count)
      .GUIDEWAY_FIELD(PoolRecord, encap)
      .GUIDEWAY_FIELD(PoolRecord, history)
      .GUIDEWAY_FIELD(PoolRecord, scheduler)
      .GUIDEWAY_FIELD(PoolRecord, flags)
      .GUIDEWAY_FIELD(PoolRecord, source_bits4)
      .GUIDEWAY_FIELD(PoolRecord, source_bits6)
      .GUIDEWAY_TYPE(HistoryBlock)
      .GUIDEWAY_FIELD(HistoryBlock, first)
      .GUIDEWAY_FIELD(HistoryBlock, mask)
      .GUIDEWAY_TYPE(PastOwners)
      .GUIDEWAY_FIELD(PastOwners, backends)
      .GUIDEWAY_TYPE(OuterTemplate)
      .GUIDEWAY_FIELD(OuterTemplate, path_mtu_bytes)
      .GUIDEWAY_FIELD(OuterTemplate, header_bytes)
      .GUIDEWAY_FIELD(OuterTemplate, ip_at)
      .GUIDEWAY_FIELD(OuterTemplate, encap)
      .GUIDEWAY_FIELD(OuterTemplate, family)
      .GUIDEWAY_FIELD(OuterTemplate, oversize)
      .GUIDEWAY_FIELD(OuterTemplate, tos_keep)
      .GUIDEWAY_FIELD(OuterTemplate, tos_set)
      .GUIDEWAY_FIELD(OuterTemplate, ipv4_sum)
      .GUIDEWAY_FIELD(OuterTemplate, source_entropy)
      .GUIDEWAY_FIELD(OuterTemplate, header)
      .GUIDEWAY_TYPE(BackendRecord)
      .GUIDEWAY_FIELD(BackendRecord, address)
      .GUIDEWAY_FIELD(BackendRecord, stats_index)
      .GUIDEWAY_FIELD(BackendRecord, next_hop)
      .GUIDEWAY_FIELD(BackendRecord, outer)
      .GUIDEWAY_FIELD(BackendRecord, weight)
      .GUIDEWAY_FIELD(BackendRecord, flags)
      .GUIDEWAY_FIELD(BackendRecord, port)
      .GUIDEWAY_TYPE(QuicShape)
      .GUIDEWAY_FIELD(QuicShape, kind)
      .GUIDEWAY_FIELD(QuicShape, server_id_bytes)
      .GUIDEWAY_FIELD(QuicShape, nonce_bytes)
      .GUIDEWAY_TYPE(QuicDecoders)
      .GUIDEWAY_FIELD(QuicDecoders, shapes)
      .GUIDEWAY_FIELD(QuicDecoders, keys)
      .GUIDEWAY_TYPE(QuicServerEntry)
      .GUIDEWAY_FIELD(QuicServerEntry, key)
      .GUIDEWAY_FIELD(QuicServerEntry, backend);
}

}  // namespace detail

constexpr std::uint64_t tables_layout_hash() {
  LayoutHash hash;
  hash.constant("kTablesLayoutVersion", kTablesLayoutVersion);
  detail::add_objects(hash);
  detail::add_vips(hash);
  detail::add_pools(hash);
  return hash.value();
}

inline constexpr SegmentExpectation kTablesSegment{SegmentKind::tables, kTablesLayoutVersion, tables_layout_hash(),
                                                   sizeof(TablesHeader)};

}  // namespace guideway
