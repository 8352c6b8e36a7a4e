// Images: what is in their objects, what is shared between builds, and that a reader finds everything again.
#include "common/tables/image.h"

#include <gtest/gtest.h>

#include <random>

#include "common/net/address_text.h"
#include "common/shm/tables_writer.h"
#include "common/tables/backends_image.h"
#include "guideway/tables_view.h"

namespace guideway {
namespace {

IpAddress ip(const std::string& text) {
  return *parse_ip(text);
}

Egress egress_from(const char* source) {
  return {2, *parse_mac("02:00:00:00:00:01"), *parse_mac("02:00:00:00:00:02"), ip(source), 1480};
}

DesiredPool pool_of(Encap encap, std::vector<DesiredBackend> backends) {
  return {.encap = encap, .slot_count = 251, .backends = std::move(backends)};
}
IpPrefix host(const char* address) {
  return IpPrefix::of(ip(address));
}

// Two pools, a VIP of each family on both protocols.
DesiredTables two_pools() {
  DesiredTables desired;
  desired.hash_secret.fill(7);
  desired.config_digest = 42;
  desired.pools = {pool_of(Encap::gue0, {{ip("10.0.0.1"), 1, 0, true, egress_from("192.0.2.1")},
                                         {ip("10.0.0.2"), 3, 1, true, egress_from("192.0.2.1")},
                                         {ip("10.0.0.3"), 5, 2, true, std::nullopt}}),
                   pool_of(Encap::ipip, {{ip("2001:db8::1"), 1, 3, true, egress_from("2001:db8:ff::1")}})};
  desired.vips = {
      {.prefix = host("203.0.113.10"), .port = 80, .announce = true},
      {.prefix = host("203.0.113.10"),
       .port = 53,
       .protocol = IpProto::udp,
       .pool = 1,
       .stats_index = 1,
       .announce = true},
      {.prefix = host("2001:db8:1::10"), .port = 80, .pool = 1, .stats_index = 2, .unserved = Unserved::kernel}};
  return desired;
}

template <typename Element>
std::vector<Element> elements_of(const ImageObjectPtr& object) {
  const std::size_t at = elements_offset_bytes(object->kind);
  std::vector<Element> elements((object->bytes.size() - at) / sizeof(Element));
  std::memcpy(elements.data(), object->bytes.data() + at, elements.size() * sizeof(Element));
  return elements;
}

ObjectHeader header_of(const ImageObjectPtr& object) {
  ObjectHeader header{};
  std::memcpy(&header, object->bytes.data(), sizeof header);
  return header;
}

std::string hex(const std::uint8_t* bytes, std::size_t count) {
  std::string text;
  for (std::size_t i = 0; i < count; i++) {
    text += "0123456789abcdef"[bytes[i] >> 4];
    text += "0123456789abcdef"[bytes[i] & 0xf];
  }
  return text;
}

TEST(Image, HeadersDescribeTheirObjects) {
  const TableImage image = ImageBuilder{}.build(two_pools());
  const auto expect_header = [](const ImageObjectPtr& object, ObjectKind kind, std::uint32_t count, std::size_t size) {
    const ObjectHeader header = header_of(object);
    EXPECT_EQ(header.kind, kind);
    EXPECT_EQ(header.count, count);
    EXPECT_EQ(header.size_bytes, size);
    EXPECT_EQ(object->bytes.size(), size);
    EXPECT_EQ(header.checksum, object_checksum(object->bytes));
    EXPECT_EQ(object->checksum(), header.checksum);
  };
  expect_header(image.vips, ObjectKind::vips, 3, 64 + 3 * 32);
  expect_header(image.index4, ObjectKind::index4, 8, 64 + 8 * 16);
  expect_header(image.index6, ObjectKind::index6, 4, 64 + 4 * 32);
  expect_header(image.pools[0].slots, ObjectKind::slots, 251, 24 + 251 * 2);
  expect_header(image.pools[0].backends, ObjectKind::backends, 3, 64 + 3 * 32);
  expect_header(image.outers, ObjectKind::outers, 2, 64 + 2 * 128);
}

TEST(Image, Ipv4GueOuterHeaderIsCompleteButForThePacket) {
  const TableImage image = ImageBuilder{}.build(two_pools());
  const auto backend = elements_of<BackendRecord>(image.pools[0].backends)[1];
  const auto outer = elements_of<OuterTemplate>(image.outers)[backend.outer];
  EXPECT_EQ(hex(outer.header, outer.header_bytes),
            "000000000000"  // the next hop is the backend's
            "020000000001"
            "0800"      // Ethernet
            "45000000"  // version, IHL; TOS and length per packet
            "00004000"  // id 0, DF
            "40000000"  // TTL 64; protocol and checksum per packet
            "c0000201"
            "00000000"  // so is where it goes
            "000017c0"  // UDP: source port per packet, 6080
            "00000000"
            "00000000");  // GUE variant 0, no options; protocol per packet
  EXPECT_EQ(outer.ipv4_sum, 0x0045U + 0x0040U + 0x0040U + 0x00c0U + 0x0102U);
  EXPECT_EQ(outer.ip_at, 14);
  EXPECT_EQ(outer.family, Family::ipv4);
  EXPECT_EQ(outer.path_mtu_bytes, 1480);
  EXPECT_EQ(outer.encap, Encap::gue0);
  EXPECT_EQ(backend.flags, kBackendAlive);
  EXPECT_EQ(backend.address, ip("10.0.0.2"));
  EXPECT_EQ(hex(backend.next_hop.bytes.data(), 6), "020000000002");
  EXPECT_EQ(backend.port, 2);
  EXPECT_EQ(backend.stats_index, 1U);
}

TEST(Image, TagsSourcesAndClassesAreOfThePoolAndPort) {
  DesiredTables desired = two_pools();
  desired.pools[0].encap = Encap::gre;
  desired.pools[0].dscp = 46;
  desired.pools[0].oversize = Oversize::drop;
  Egress& egress = *desired.pools[0].backends[0].egress;
  egress.vlans = {100, 200};
  egress.source_prefix = IpPrefix{ip("198.18.0.0"), 15};
  const TableImage image = ImageBuilder{}.build(desired);
  const auto backend = elements_of<BackendRecord>(image.pools[0].backends)[0];
  const auto outer = elements_of<OuterTemplate>(image.outers)[backend.outer];
  EXPECT_EQ(hex(outer.header + 12, 10),
            "88a800648100"
            "00c8"
            "0800");
  EXPECT_EQ(outer.ip_at, 22);
  EXPECT_EQ(outer.header_bytes, 22 + 20 + 4);
  EXPECT_EQ(hex(outer.header + 22 + 12, 4), "c6120000");
  EXPECT_EQ(outer.source_entropy.host(), 0x0001ffffU);
  EXPECT_EQ(outer.tos_keep, 0x03);
  EXPECT_EQ(outer.tos_set, 46 << 2);
  EXPECT_EQ(outer.oversize, Oversize::drop);
}

// Longest and most specific wins: docs/packet_policy.md, section 3.
TEST(Image, ServicesAreFoundInTheOrderOfThePolicy) {
  DesiredTables desired;
  for (std::uint16_t i = 0; i < 6; i++) desired.pools.push_back(pool_of(Encap::ipip, {}));
  const auto vip = [&](const char* address, std::uint8_t bits, std::uint16_t port, std::uint32_t pool) {
    desired.vips.push_back({.prefix = {ip(address), bits}, .port = port, .pool = pool});
  };
  vip("203.0.113.10", 32, 80, 0);
  vip("203.0.113.0", 24, 80, 1);
  vip("203.0.0.0", 16, 80, 2);
  vip("203.0.113.10", 32, 0, 3);
  vip("203.0.113.0", 24, 0, 4);
  vip("203.0.113.128", 25, 443, 5);
  desired.own = {IpPrefix::of(ip("203.0.113.77"))};
  auto writer = shm::TablesWriter::create(1 << 20);
  ASSERT_EQ(writer->publish(ImageBuilder{}.build(desired)), shm::PublishResult::published);
  std::vector<PoolView> pools(6);
  TablesView view;
  ASSERT_EQ(open_generation(writer->memory(), writer->root(), pools, nullptr, view), TablesError::none);
  struct Row {
    const char* address;
    std::uint16_t port;
    PoolId pool;
  };
  for (const Row& row :
       {Row{"203.0.113.10", 80, PoolId{0}}, Row{"203.0.113.11", 80, PoolId{1}}, Row{"203.0.1.1", 80, PoolId{2}},
        Row{"203.0.113.10", 81, PoolId{3}}, Row{"203.0.113.11", 81, PoolId{4}}, Row{"203.0.113.129", 443, PoolId{5}},
        Row{"203.0.113.129", 444, PoolId{4}}, Row{"203.0.1.1", 81, PoolId::none}, Row{"203.0.113.10", 0, PoolId{3}}}) {
    const VipMatch match = find_vip4(view, ip(row.address).v4(), IpProto::tcp, Be16::from_host(row.port));
    EXPECT_NE(match.vip, VipId::none) << row.address;
    EXPECT_EQ(match.pool, row.pool) << row.address << " " << row.port;
  }
  const VipMatch own = find_vip4(view, ip("203.0.113.77").v4(), IpProto::tcp, Be16::from_host(81));
  EXPECT_EQ(own.vip, VipId::none);
  EXPECT_EQ(own.pool, PoolId::own);
  EXPECT_EQ(find_vip4(view, ip("198.51.100.1").v4(), IpProto::tcp, Be16::from_host(80)).vip, VipId::none);
}

TEST(Image, Ipv6IpipOuterHeaderIsCompleteButForThePacket) {
  const TableImage image = ImageBuilder{}.build(two_pools());
  const auto backend = elements_of<BackendRecord>(image.pools[1].backends)[0];
  const auto outer = elements_of<OuterTemplate>(image.outers)[backend.outer];
  EXPECT_EQ(hex(outer.header, outer.header_bytes),
            "000000000000"
            "020000000001"
            "86dd"
            "60000000"  // version 6; class and label per packet
            "00000040"  // length and next header per packet, hop limit 64
            "20010db800ff00000000000000000001"
            "00000000000000000000000000000000");
  EXPECT_EQ(outer.ipv4_sum, 0U);
  EXPECT_EQ(backend.address, ip("2001:db8::1"));
}

TEST(Image, OuterBytesFollowFamilyAndEncap) {
  for (const auto& [address, source, encap, bytes] : {std::tuple{"10.0.0.1", "192.0.2.1", Encap::ipip, 34},
                                                      {"10.0.0.1", "192.0.2.1", Encap::gue1, 42},
                                                      {"10.0.0.1", "192.0.2.1", Encap::gue0, 46},
                                                      {"10.0.0.1", "192.0.2.1", Encap::gre, 38},
                                                      {"10.0.0.1", "192.0.2.1", Encap::l2dsr, 14},
                                                      {"2001:db8::1", "2001:db8::2", Encap::ipip, 54},
                                                      {"2001:db8::1", "2001:db8::2", Encap::gue1, 62},
                                                      {"2001:db8::1", "2001:db8::2", Encap::gue0, 66}}) {
    DesiredTables desired;
    desired.pools = {pool_of(encap, {{ip(address), 1, 0, true, egress_from(source)}})};
    const TableImage image = ImageBuilder{}.build(desired);
    EXPECT_EQ(elements_of<OuterTemplate>(image.outers).at(0).header_bytes, bytes) << address;
  }
}

TEST(Image, BackendWithoutEgressOwnsNoSlot) {
  const TableImage image = ImageBuilder{}.build(two_pools());
  for (const SlotEntry owner : elements_of<SlotEntry>(image.pools[0].slots)) ASSERT_LT(owner, 2);
  const auto backend = elements_of<BackendRecord>(image.pools[0].backends)[2];
  EXPECT_EQ(backend.flags, kBackendAlive);
  EXPECT_EQ(backend.outer, kNoOuter);
  EXPECT_EQ(backend.address, ip("10.0.0.3"));
}

TEST(Image, PoolsWithoutUsableBackendsHaveNoSlots) {
  DesiredTables desired;
  desired.pools = {pool_of(Encap::gue0, {}),
                   pool_of(Encap::gue0, {{ip("10.0.0.1"), 0, 0, true, egress_from("192.0.2.1")}})};
  const TableImage image = ImageBuilder{}.build(desired);
  EXPECT_EQ(image.pools[0].backends, nullptr);
  EXPECT_EQ(image.pools[0].slots, nullptr);
  EXPECT_NE(image.pools[1].backends, nullptr);
  EXPECT_EQ(image.pools[1].slots, nullptr);
  EXPECT_EQ(image.pools[1].slot_count, 0U);
}

TEST(Image, IndexesAreAtMostHalfFullAndProbesMaxIsTheLongestWay) {
  std::mt19937_64 random(20260105);
  DesiredTables desired;
  desired.pools.resize(1);
  for (std::uint32_t i = 0; i < 3000; i++)
    desired.vips.push_back({.prefix = IpPrefix::of(IpAddress::from_v4(Be32::from_host(0xcb007100 + i % 700))),
                            .port = static_cast<std::uint16_t>(i + 1),
                            .stats_index = i});
  const TableImage image = ImageBuilder{}.build(desired);
  const auto entries = elements_of<VipIndex4Entry>(image.index4);
  EXPECT_TRUE(std::has_single_bit(entries.size()));
  std::size_t used = 0;
  std::uint64_t longest = 0;
  for (std::size_t i = 0; i < entries.size(); i++) {
    if (entries[i].key.tag == 0) continue;
    used++;
    longest = std::max(longest, ((i - index_hash(entries[i].key)) & (entries.size() - 1)) + 1);
  }
  EXPECT_EQ(used, 3000U + 700U);
  EXPECT_LE(2 * used, entries.size());
  EXPECT_EQ(header_of(image.index4).probes_max, longest);
  EXPECT_EQ(header_of(image.index6).count, 2U);
}

// Addresses and ports in a row are what operators have; their entries must not come to lie one behind the other.
TEST(Image, VipsInARowAreFoundAtOnce) {
  struct Case {
    const char* what;
    std::uint32_t addresses, ports;
    const char* first;
  };
  for (const Case& c : {Case{"ports of an address", 1, 2000, "203.0.113.1"},
                        {"addresses", 10000, 1, "203.0.113.0"},
                        {"both", 100, 20, "10.0.0.0"},
                        {"IPv6 ports", 1, 2000, "2001:db8::1"},
                        {"IPv6 addresses", 10000, 1, "2001:db8::"}}) {
    DesiredTables desired;
    desired.pools.resize(1);
    for (std::uint32_t i = 0; i < c.addresses * c.ports; i++) {
      IpAddress address = ip(c.first);
      store(&address.bytes[12], Be32::from_host(load<Be32>(&address.bytes[12]).host() + i % c.addresses));
      desired.vips.push_back({.prefix = IpPrefix::of(address),
                              .port = static_cast<std::uint16_t>(1000 + i / c.addresses),
                              .stats_index = i});
    }
    const TableImage image = ImageBuilder{}.build(desired);
    const bool is_v4 = ip(c.first).family() == Family::ipv4;
    EXPECT_LE(header_of(is_v4 ? image.index4 : image.index6).probes_max, 16U) << c.what;
  }
}

// ---- sharing and digests -------------------------------------------------------------------------------------------

TEST(Image, RebuildSharesWhatDidNotChange) {
  ImageBuilder builder;
  DesiredTables desired = two_pools();
  const TableImage before = builder.build(desired);
  desired.pools[0].backends[0].weight = 2;
  const TableImage after = builder.build(desired);
  EXPECT_EQ(after.vips, before.vips);
  EXPECT_EQ(after.index4, before.index4);
  EXPECT_EQ(after.index6, before.index6);
  EXPECT_EQ(after.pools[1].slots, before.pools[1].slots);
  EXPECT_EQ(after.pools[1].backends, before.pools[1].backends);
  EXPECT_NE(after.pools[0].slots, before.pools[0].slots);
}

TEST(Image, NewNextHopRebuildsNoSlotTable) {
  ImageBuilder builder;
  DesiredTables desired = two_pools();
  const TableImage before = builder.build(desired);
  desired.pools[0].backends[0].egress->next_hop_mac = *parse_mac("02:00:00:00:00:99");
  const TableImage after = builder.build(desired);
  EXPECT_EQ(after.pools[0].slots, before.pools[0].slots);
  EXPECT_NE(after.pools[0].backends->bytes, before.pools[0].backends->bytes);
}

TEST(Image, BackendsOfOneWayOutShareATemplate) {
  DesiredTables desired = two_pools();
  desired.pools.push_back(desired.pools[0]);
  desired.pools[2].backends[1].egress->path_mtu_bytes = 1400;
  desired.pools[2].backends[0].egress->next_hop_mac = *parse_mac("02:00:00:00:00:99");
  const TableImage image = ImageBuilder{}.build(desired);
  const auto outers = [&](std::size_t pool) {
    std::vector<std::uint16_t> numbers;
    for (const BackendRecord& backend : elements_of<BackendRecord>(image.pools[pool].backends))
      numbers.push_back(backend.outer);
    return numbers;
  };
  EXPECT_EQ(outers(0), (std::vector<std::uint16_t>{0, 0, kNoOuter}));
  EXPECT_EQ(outers(1), (std::vector<std::uint16_t>{1}));
  EXPECT_EQ(outers(2), (std::vector<std::uint16_t>{0, 2, kNoOuter})) << "a next hop is the backend's own";
  EXPECT_EQ(elements_of<OuterTemplate>(image.outers).size(), 3U);
}

TEST(Image, WhereTemplatesAreOtherOnesRecordsSaySo) {
  ImageBuilder builder;
  DesiredTables desired = two_pools();
  const TableImage before = builder.build(desired);
  for (DesiredBackend& backend : desired.pools[0].backends) backend.egress.reset();
  const TableImage after = builder.build(desired);
  EXPECT_EQ(elements_of<BackendRecord>(before.pools[1].backends)[0].outer, 1);
  EXPECT_EQ(elements_of<BackendRecord>(after.pools[1].backends)[0].outer, 0);
  EXPECT_EQ(elements_of<OuterTemplate>(after.outers).size(), 1U);
}

TEST(OuterTemplates, BeyondTheLastNumberThereIsNone) {
  OuterTemplates outers;
  OuterTemplate outer{};
  for (std::uint32_t i = 0; i < kOutersMax; i++) {
    outer.ipv4_sum = i;
    ASSERT_EQ(outers.number_of(outer), i);
  }
  outer.ipv4_sum = kOutersMax;
  EXPECT_EQ(outers.number_of(outer), kNoOuter);
  EXPECT_EQ(outers.all().size(), kOutersMax);
  outer.ipv4_sum = 7;
  EXPECT_EQ(outers.number_of(outer), 7);
}

void expect_same_bytes(const TableImage& a, const TableImage& b) {
  const auto same = [](const ImageObjectPtr& x, const ImageObjectPtr& y) {
    return (x == nullptr) == (y == nullptr) && (x == nullptr || x->bytes == y->bytes);
  };
  EXPECT_TRUE(same(a.vips, b.vips) && same(a.index4, b.index4) && same(a.index6, b.index6));
  EXPECT_TRUE(same(a.directory, b.directory) && same(a.outers, b.outers));
  ASSERT_EQ(a.pools.size(), b.pools.size());
  for (std::size_t i = 0; i < a.pools.size(); i++) {
    EXPECT_TRUE(same(a.pools[i].slots, b.pools[i].slots)) << "pool " << i;
    EXPECT_TRUE(same(a.pools[i].backends, b.pools[i].backends)) << "pool " << i;
    EXPECT_EQ(a.pools[i].slot_count, b.pools[i].slot_count) << "pool " << i;
    EXPECT_EQ(a.pools[i].backend_count, b.pools[i].backend_count) << "pool " << i;
    EXPECT_EQ(a.pools[i].encap, b.pools[i].encap) << "pool " << i;
  }
  EXPECT_EQ(a.slots_digest(), b.slots_digest());
}

// A builder that carries on and a fresh one give the same bytes, whatever changed before.
TEST(Image, HistoryDoesNotMatter) {
  std::mt19937_64 random(20260106);
  ImageBuilder carries_on;
  DesiredTables desired = two_pools();
  for (int step = 0; step < 60; step++) {
    SCOPED_TRACE("seed 20260106, step " + std::to_string(step));
    DesiredPool& pool = desired.pools[random() % desired.pools.size()];
    switch (random() % 7) {
      case 0:
        if (!pool.backends.empty()) pool.backends[random() % pool.backends.size()].weight = random() % 4;
        break;
      case 1:
        if (!pool.backends.empty()) pool.backends.pop_back();
        break;
      case 2:
        pool.backends.push_back({IpAddress::from_v4(Be32::from_host(0x0a010000 + static_cast<std::uint32_t>(step))), 1,
                                 0, true, egress_from("192.0.2.1")});
        break;
      case 3:
        pool.encap = static_cast<Encap>(1 + random() % 5);
        break;
      case 4:
        if (desired.pools.size() < 5) desired.pools.push_back(desired.pools.back());
        break;
      case 5:
        desired.vips[0].port = static_cast<std::uint16_t>(random());
        break;
      case 6:
        for (DesiredBackend& backend : pool.backends)
          if (backend.egress) backend.egress->path_mtu_bytes = static_cast<std::uint16_t>(1400 + random() % 3);
        break;
    }
    expect_same_bytes(carries_on.build(desired), ImageBuilder{}.build(desired));
  }
}

TEST(Image, SlotsDigestIsAboutSlotsOnly) {
  const DesiredTables desired = two_pools();
  const std::uint64_t digest = ImageBuilder{}.build(desired).slots_digest();
  DesiredTables other_host = desired;
  for (DesiredPool& pool : other_host.pools)
    for (DesiredBackend& backend : pool.backends)
      if (backend.egress) backend.egress->source_mac = *parse_mac("02:00:00:00:00:77");
  EXPECT_EQ(ImageBuilder{}.build(other_host).slots_digest(), digest);
  DesiredTables reweighted = desired;
  reweighted.pools[0].backends[0].weight = 4;
  EXPECT_NE(ImageBuilder{}.build(reweighted).slots_digest(), digest);
}

// ---- through shared memory -----------------------------------------------------------------------------------------

TEST(Image, ReadersFindWhatWasDesired) {
  const auto writer = shm::TablesWriter::create(4 << 20);
  ASSERT_EQ(writer->publish(ImageBuilder{}.build(two_pools())), shm::PublishResult::published);
  std::vector<PoolView> pools(pool_count(writer->memory(), writer->root()));
  TablesView view;
  ASSERT_EQ(open_generation(writer->memory(), writer->root(), pools, nullptr, view), TablesError::none);

  const auto v4 = ip("203.0.113.10").v4();
  const VipMatch http = find_vip4(view, v4, IpProto::tcp, Be16::from_host(80));
  EXPECT_EQ(index(http.vip), 0U);
  EXPECT_EQ(index(http.pool), 0U);
  EXPECT_EQ(index(find_vip4(view, v4, IpProto::udp, Be16::from_host(53)).vip), 1U);
  const VipMatch unserved = find_vip4(view, v4, IpProto::udp, Be16::from_host(80));
  EXPECT_NE(unserved.vip, VipId::none);
  EXPECT_EQ(unserved.pool, PoolId::none);
  EXPECT_EQ(find_vip4(view, ip("203.0.113.11").v4(), IpProto::tcp, Be16::from_host(80)).vip, VipId::none);

  EXPECT_EQ(index(find_vip6(view, ip("2001:db8:1::10").bytes, IpProto::tcp, Be16::from_host(80)).vip), 2U);
  // The IPv4 VIP's IPv4-mapped form on the wire is another address.
  EXPECT_EQ(find_vip6(view, ip("203.0.113.10").bytes, IpProto::tcp, Be16::from_host(80)).vip, VipId::none);

  EXPECT_EQ(vip_record(view, VipId{0})->flags, kVipAnnounce | kVipEcho);
  EXPECT_EQ(vip_record(view, VipId{2})->flags, kVipEcho);
  EXPECT_EQ(vip_record(view, VipId{2})->unserved, Unserved::kernel);
  std::array<int, 2> owned{};
  for (std::uint32_t s = 0; s < 251; s++)
    owned.at(static_cast<std::size_t>(owner_of(view.pools[0], view.pools[0].slots[s]) - view.pools[0].backends))++;
  EXPECT_EQ(owned, (std::array{63, 188}));
  EXPECT_EQ(view.hash_keys.round, expand_flow_hash_keys(two_pools().hash_secret).round);
}

}  // namespace
}  // namespace guideway
