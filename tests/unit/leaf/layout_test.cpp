// Every size and offset that another program relies on, as numbers: whoever changes one sees it here. A change in
// shared memory needs a new k…LayoutVersion, too; then the hashes at the end are pinned anew.
#include <gtest/gtest.h>

#include "guideway/abi/backend_decap.h"
#include "guideway/abi/xsk_steer.h"
#include "guideway/flows.h"
#include "guideway/stats.h"
#include "guideway/tables.h"

namespace guideway {
namespace {

#define EXPECT_TYPE(T, size_bytes, alignment) \
  EXPECT_EQ(sizeof(T), size_bytes##U) << #T;  \
  EXPECT_EQ(alignof(T), alignment##U) << #T
#define EXPECT_FIELD(T, f, offset, size_bytes)       \
  EXPECT_EQ(offsetof(T, f), offset##U) << #T "." #f; \
  EXPECT_EQ(sizeof(T::f), size_bytes##U) << #T "." #f

TEST(Layout, WireHeadersAreThoseOfTheRfcs) {
  EXPECT_TYPE(EthernetHeader, 14, 1);
  EXPECT_FIELD(EthernetHeader, destination, 0, 6);
  EXPECT_FIELD(EthernetHeader, source, 6, 6);
  EXPECT_FIELD(EthernetHeader, ether_type, 12, 2);
  EXPECT_TYPE(Ipv4Header, 20, 1);
  EXPECT_FIELD(Ipv4Header, version_ihl, 0, 1);
  EXPECT_FIELD(Ipv4Header, tos, 1, 1);
  EXPECT_FIELD(Ipv4Header, total_length, 2, 2);
  EXPECT_FIELD(Ipv4Header, id, 4, 2);
  EXPECT_FIELD(Ipv4Header, flags_fragment, 6, 2);
  EXPECT_FIELD(Ipv4Header, ttl, 8, 1);
  EXPECT_FIELD(Ipv4Header, protocol, 9, 1);
  EXPECT_FIELD(Ipv4Header, checksum, 10, 2);
  EXPECT_FIELD(Ipv4Header, source, 12, 4);
  EXPECT_FIELD(Ipv4Header, destination, 16, 4);
  EXPECT_TYPE(Ipv6Header, 40, 1);
  EXPECT_FIELD(Ipv6Header, version_class_label, 0, 4);
  EXPECT_FIELD(Ipv6Header, payload_length, 4, 2);
  EXPECT_FIELD(Ipv6Header, next_header, 6, 1);
  EXPECT_FIELD(Ipv6Header, hop_limit, 7, 1);
  EXPECT_FIELD(Ipv6Header, source, 8, 16);
  EXPECT_FIELD(Ipv6Header, destination, 24, 16);
  EXPECT_TYPE(Ports, 4, 1);
  EXPECT_FIELD(Ports, source, 0, 2);
  EXPECT_FIELD(Ports, destination, 2, 2);
  EXPECT_TYPE(TcpHeader, 20, 1);
  EXPECT_FIELD(TcpHeader, ports, 0, 4);
  EXPECT_FIELD(TcpHeader, sequence, 4, 4);
  EXPECT_FIELD(TcpHeader, acknowledgement, 8, 4);
  EXPECT_FIELD(TcpHeader, data_offset, 12, 1);
  EXPECT_FIELD(TcpHeader, flags, 13, 1);
  EXPECT_FIELD(TcpHeader, window, 14, 2);
  EXPECT_FIELD(TcpHeader, checksum, 16, 2);
  EXPECT_FIELD(TcpHeader, urgent, 18, 2);
  EXPECT_TYPE(UdpHeader, 8, 1);
  EXPECT_FIELD(UdpHeader, ports, 0, 4);
  EXPECT_FIELD(UdpHeader, length, 4, 2);
  EXPECT_FIELD(UdpHeader, checksum, 6, 2);
  EXPECT_TYPE(GueHeader, 4, 1);
  EXPECT_FIELD(GueHeader, variant_control_hlen, 0, 1);
  EXPECT_FIELD(GueHeader, protocol, 1, 1);
  EXPECT_FIELD(GueHeader, flags, 2, 2);
}

TEST(Layout, FlowKeysAreWholeAesBlocks) {
  EXPECT_TYPE(FlowKey4, 16, 1);
  EXPECT_FIELD(FlowKey4, source, 0, 4);
  EXPECT_FIELD(FlowKey4, destination, 4, 4);
  EXPECT_FIELD(FlowKey4, ports, 8, 4);
  EXPECT_FIELD(FlowKey4, protocol, 12, 1);
  EXPECT_FIELD(FlowKey4, family, 13, 1);
  EXPECT_FIELD(FlowKey4, zero, 14, 2);
  EXPECT_TYPE(FlowKey6, 48, 1);
  EXPECT_FIELD(FlowKey6, source, 0, 16);
  EXPECT_FIELD(FlowKey6, destination, 16, 16);
  EXPECT_FIELD(FlowKey6, ports, 32, 4);
  EXPECT_FIELD(FlowKey6, protocol, 36, 1);
  EXPECT_FIELD(FlowKey6, family, 37, 1);
  EXPECT_FIELD(FlowKey6, zero, 38, 10);
}

TEST(Layout, SegmentHeaderIsPinned) {
  EXPECT_TYPE(SegmentHeader, 64, 8);
  EXPECT_FIELD(SegmentHeader, magic, 0, 8);
  EXPECT_FIELD(SegmentHeader, kind, 8, 4);
  EXPECT_FIELD(SegmentHeader, layout_version, 12, 4);
  EXPECT_FIELD(SegmentHeader, layout_hash, 16, 8);
  EXPECT_FIELD(SegmentHeader, size_bytes, 24, 8);
  EXPECT_FIELD(SegmentHeader, created_unix_ns, 32, 8);
  EXPECT_FIELD(SegmentHeader, creator_pid, 40, 4);
  EXPECT_FIELD(SegmentHeader, reserved, 44, 4);
  EXPECT_FIELD(SegmentHeader, spare, 48, 16);
}

TEST(Layout, TablesRegionIsPinned) {
  EXPECT_TYPE(TablesHeader, 128, 64);
  EXPECT_FIELD(TablesHeader, segment, 0, 64);
  EXPECT_FIELD(TablesHeader, root, 64, 8);
  EXPECT_TYPE(ObjectHeader, 24, 8);
  EXPECT_FIELD(ObjectHeader, checksum, 0, 8);
  EXPECT_FIELD(ObjectHeader, kind, 8, 4);
  EXPECT_FIELD(ObjectHeader, count, 12, 4);
  EXPECT_FIELD(ObjectHeader, size_bytes, 16, 4);
  EXPECT_FIELD(ObjectHeader, probes_max, 20, 4);
  EXPECT_TYPE(ObjectRef, 16, 8);
  EXPECT_FIELD(ObjectRef, checksum, 0, 8);
  EXPECT_FIELD(ObjectRef, offset_units, 8, 4);
  EXPECT_FIELD(ObjectRef, size_bytes, 12, 4);
  EXPECT_TYPE(GenerationRoot, 256, 16);
  EXPECT_FIELD(GenerationRoot, header, 0, 24);
  EXPECT_FIELD(GenerationRoot, generation, 24, 8);
  EXPECT_FIELD(GenerationRoot, config_digest, 32, 8);
  EXPECT_FIELD(GenerationRoot, published_unix_ns, 40, 8);
  EXPECT_FIELD(GenerationRoot, hash_keys, 48, 80);
  EXPECT_FIELD(GenerationRoot, vips, 128, 16);
  EXPECT_FIELD(GenerationRoot, index4, 144, 16);
  EXPECT_FIELD(GenerationRoot, index6, 160, 16);
  EXPECT_FIELD(GenerationRoot, pools, 176, 16);
  EXPECT_FIELD(GenerationRoot, directory, 192, 16);
  EXPECT_FIELD(GenerationRoot, outers, 208, 16);
  EXPECT_FIELD(GenerationRoot, spare, 224, 32);
  EXPECT_TYPE(VipRecord, 32, 4);
  EXPECT_FIELD(VipRecord, address, 0, 16);
  EXPECT_FIELD(VipRecord, port, 16, 2);
  EXPECT_FIELD(VipRecord, protocol, 18, 1);
  EXPECT_FIELD(VipRecord, flags, 19, 1);
  EXPECT_FIELD(VipRecord, pool, 20, 2);
  EXPECT_FIELD(VipRecord, tracking, 22, 1);
  EXPECT_FIELD(VipRecord, reserved, 23, 1);
  EXPECT_FIELD(VipRecord, stats_index, 24, 4);
  EXPECT_FIELD(VipRecord, unserved, 28, 1);
  EXPECT_FIELD(VipRecord, no_backend, 29, 1);
  EXPECT_FIELD(VipRecord, prefix_bits, 30, 1);
  EXPECT_FIELD(VipRecord, spare, 31, 1);
  EXPECT_TYPE(VipIndex4Key, 8, 1);
  EXPECT_FIELD(VipIndex4Key, address, 0, 4);
  EXPECT_FIELD(VipIndex4Key, port, 4, 2);
  EXPECT_FIELD(VipIndex4Key, protocol, 6, 1);
  EXPECT_FIELD(VipIndex4Key, tag, 7, 1);
  EXPECT_TYPE(VipIndex4Entry, 16, 4);
  EXPECT_FIELD(VipIndex4Entry, key, 0, 8);
  EXPECT_FIELD(VipIndex4Entry, vip, 8, 4);
  EXPECT_FIELD(VipIndex4Entry, pool, 12, 2);
  EXPECT_FIELD(VipIndex4Entry, tracking, 14, 1);
  EXPECT_FIELD(VipIndex4Entry, reserved, 15, 1);
  EXPECT_TYPE(VipIndex6Key, 24, 1);
  EXPECT_FIELD(VipIndex6Key, address, 0, 16);
  EXPECT_FIELD(VipIndex6Key, port, 16, 2);
  EXPECT_FIELD(VipIndex6Key, protocol, 18, 1);
  EXPECT_FIELD(VipIndex6Key, tag, 19, 1);
  EXPECT_FIELD(VipIndex6Key, zero, 20, 4);
  EXPECT_TYPE(VipIndex6Entry, 32, 4);
  EXPECT_FIELD(VipIndex6Entry, key, 0, 24);
  EXPECT_FIELD(VipIndex6Entry, vip, 24, 4);
  EXPECT_FIELD(VipIndex6Entry, pool, 28, 2);
  EXPECT_FIELD(VipIndex6Entry, tracking, 30, 1);
  EXPECT_FIELD(VipIndex6Entry, reserved, 31, 1);
  EXPECT_TYPE(PoolRecord, 128, 8);
  EXPECT_FIELD(PoolRecord, slots, 0, 16);
  EXPECT_FIELD(PoolRecord, backends, 16, 16);
  EXPECT_FIELD(PoolRecord, quic, 32, 16);
  EXPECT_FIELD(PoolRecord, history, 48, 16);
  EXPECT_FIELD(PoolRecord, slot_count, 64, 4);
  EXPECT_FIELD(PoolRecord, backend_count, 68, 4);
  EXPECT_FIELD(PoolRecord, encap, 72, 1);
  EXPECT_FIELD(PoolRecord, scheduler, 73, 1);
  EXPECT_FIELD(PoolRecord, flags, 74, 1);
  EXPECT_FIELD(PoolRecord, source_bits4, 75, 1);
  EXPECT_FIELD(PoolRecord, source_bits6, 76, 1);
  EXPECT_FIELD(PoolRecord, spare, 77, 51);
  EXPECT_TYPE(HistoryBlock, 8, 4);
  EXPECT_FIELD(HistoryBlock, first, 0, 4);
  EXPECT_FIELD(HistoryBlock, mask, 4, 4);
  EXPECT_TYPE(PastOwners, 8, 2);
  EXPECT_FIELD(PastOwners, backends, 0, 8);
  EXPECT_TYPE(BackendPlace, 4, 2);
  EXPECT_FIELD(BackendPlace, pool, 0, 2);
  EXPECT_FIELD(BackendPlace, backend_and_flag, 2, 2);
  EXPECT_TYPE(OuterTemplate, 128, 4);
  EXPECT_FIELD(OuterTemplate, path_mtu_bytes, 0, 2);
  EXPECT_FIELD(OuterTemplate, header_bytes, 2, 1);
  EXPECT_FIELD(OuterTemplate, ip_at, 3, 1);
  EXPECT_FIELD(OuterTemplate, encap, 4, 1);
  EXPECT_FIELD(OuterTemplate, family, 5, 1);
  EXPECT_FIELD(OuterTemplate, oversize, 6, 1);
  EXPECT_FIELD(OuterTemplate, tos_keep, 7, 1);
  EXPECT_FIELD(OuterTemplate, tos_set, 8, 1);
  EXPECT_FIELD(OuterTemplate, reserved, 9, 3);
  EXPECT_FIELD(OuterTemplate, ipv4_sum, 12, 4);
  EXPECT_FIELD(OuterTemplate, source_entropy, 16, 4);
  EXPECT_FIELD(OuterTemplate, header, 20, 80);
  EXPECT_FIELD(OuterTemplate, spare, 100, 28);
  EXPECT_TYPE(BackendRecord, 32, 4);
  EXPECT_FIELD(BackendRecord, address, 0, 16);
  EXPECT_FIELD(BackendRecord, stats_index, 16, 4);
  EXPECT_FIELD(BackendRecord, next_hop, 20, 6);
  EXPECT_FIELD(BackendRecord, outer, 26, 2);
  EXPECT_FIELD(BackendRecord, weight, 28, 2);
  EXPECT_FIELD(BackendRecord, flags, 30, 1);
  EXPECT_FIELD(BackendRecord, port, 31, 1);
}

TEST(Layout, FlowsRegionIsPinned) {
  EXPECT_TYPE(FlowsHeader, 128, 8);
  EXPECT_FIELD(FlowsHeader, segment, 0, 64);
  EXPECT_FIELD(FlowsHeader, worker_count, 64, 4);
  EXPECT_FIELD(FlowsHeader, buckets_per_worker, 68, 4);
  EXPECT_FIELD(FlowsHeader, clock_s, 72, 4);
  EXPECT_FIELD(FlowsHeader, reserved, 76, 4);
  EXPECT_FIELD(FlowsHeader, spare, 80, 48);
  EXPECT_TYPE(FlowBucket, 64, 64);
  EXPECT_FIELD(FlowBucket, tag_high, 0, 24);
  EXPECT_FIELD(FlowBucket, tag_low, 24, 12);
  EXPECT_FIELD(FlowBucket, backend, 36, 12);
  EXPECT_FIELD(FlowBucket, seen_s, 48, 12);
  EXPECT_FIELD(FlowBucket, states, 60, 4);
}

TEST(Layout, StatsRegionIsPinned) {
  EXPECT_TYPE(Traffic, 16, 8);
  EXPECT_FIELD(Traffic, packets, 0, 8);
  EXPECT_FIELD(Traffic, bytes, 8, 8);
  EXPECT_TYPE(StatsText, 128, 4);
  EXPECT_FIELD(StatsText, version, 0, 4);
  EXPECT_FIELD(StatsText, text, 4, 124);
  EXPECT_TYPE(PortInfo, 96, 4);
  EXPECT_FIELD(PortInfo, name, 0, 32);
  EXPECT_FIELD(PortInfo, device, 32, 32);
  EXPECT_FIELD(PortInfo, kernel_name, 64, 16);
  EXPECT_FIELD(PortInfo, mac, 80, 6);
  EXPECT_FIELD(PortInfo, mtu_bytes, 86, 2);
  EXPECT_FIELD(PortInfo, state, 88, 4);
  EXPECT_FIELD(PortInfo, queue_count, 92, 4);
  EXPECT_TYPE(StatsHeader, 1984, 64);
  EXPECT_FIELD(StatsHeader, segment, 0, 64);
  EXPECT_FIELD(StatsHeader, worker_count, 64, 4);
  EXPECT_FIELD(StatsHeader, vip_capacity, 68, 4);
  EXPECT_FIELD(StatsHeader, backend_capacity, 72, 4);
  EXPECT_FIELD(StatsHeader, port_count, 76, 4);
  EXPECT_FIELD(StatsHeader, start, 80, 24);
  EXPECT_TYPE(StartDigests, 24, 8);
  EXPECT_FIELD(StartDigests, dataplane, 0, 8);
  EXPECT_FIELD(StartDigests, flows, 8, 8);
  EXPECT_FIELD(StartDigests, bgp, 16, 8);
  EXPECT_FIELD(StatsHeader, spare0, 104, 24);
  EXPECT_FIELD(StatsHeader, gatekeeper_pin, 128, 8);
  EXPECT_FIELD(StatsHeader, active_generation, 136, 8);
  EXPECT_FIELD(StatsHeader, rejected_generation, 144, 8);
  EXPECT_FIELD(StatsHeader, main_heartbeat, 152, 8);
  EXPECT_FIELD(StatsHeader, announced_generation, 160, 8);
  EXPECT_FIELD(StatsHeader, speaker_state, 168, 4);
  EXPECT_FIELD(StatsHeader, workers_alive, 172, 4);
  EXPECT_FIELD(StatsHeader, spare1, 176, 16);
  EXPECT_FIELD(StatsHeader, rejected_reason, 192, 128);
  EXPECT_FIELD(StatsHeader, speaker_error, 320, 128);
  EXPECT_FIELD(StatsHeader, ports, 448, 1536);
  EXPECT_TYPE(WorkerBlock, 1088, 64);
  EXPECT_FIELD(WorkerBlock, pin, 0, 8);
  EXPECT_FIELD(WorkerBlock, heartbeat, 8, 8);
  EXPECT_FIELD(WorkerBlock, lcore, 16, 4);
  EXPECT_FIELD(WorkerBlock, reserved, 20, 4);
  EXPECT_FIELD(WorkerBlock, spare, 24, 40);
  EXPECT_FIELD(WorkerBlock, counters, 64, 1024);
}

TEST(Layout, BpfMapsArePinned) {
  EXPECT_TYPE(guideway_address, 20, 4);
  EXPECT_FIELD(guideway_address, family, 0, 4);
  EXPECT_FIELD(guideway_address, bytes, 4, 16);
  EXPECT_TYPE(guideway_prefix, 24, 4);
  EXPECT_FIELD(guideway_prefix, bits, 0, 4);
  EXPECT_FIELD(guideway_prefix, address, 4, 20);
  EXPECT_TYPE(guideway_decap_config, 28, 4);
  EXPECT_FIELD(guideway_decap_config, gue_port, 0, 2);
  EXPECT_FIELD(guideway_decap_config, ipip, 2, 1);
  EXPECT_FIELD(guideway_decap_config, gre, 3, 1);
  EXPECT_FIELD(guideway_decap_config, hop_rate, 4, 4);
  EXPECT_FIELD(guideway_decap_config, second_chance, 8, 1);
  EXPECT_FIELD(guideway_decap_config, netns_count, 9, 1);
  EXPECT_FIELD(guideway_decap_config, netns, 12, 16);
}

TEST(Layout, HashesArePinned) {
  EXPECT_EQ(kTablesLayoutVersion, 6U);
  EXPECT_EQ(tables_layout_hash(), 0xf3421dfc230d549bU);
  EXPECT_EQ(kStatsLayoutVersion, 4U);
  EXPECT_EQ(stats_layout_hash(), 0xc135b6f476de8494U) << "a new counter changes it, too: pin it anew";
  EXPECT_EQ(kFlowsLayoutVersion, 1U);
  EXPECT_EQ(flows_layout_hash(), 0xd9f8023bae04beefU);
}

TEST(Layout, ConstantsOfTheFormatsArePinned) {
  EXPECT_EQ(kSegmentMagic, 0x7961776564697567U);
  EXPECT_EQ(kObjectUnitBytes, 64U);
  EXPECT_EQ(kTablesBytesMax, 1U << 30);
  EXPECT_EQ(kSlotOwnerMask, 0x7fff);
  EXPECT_EQ(kSlotUnsettled, 0x8000);
  EXPECT_EQ(elements_offset_bytes(ObjectKind::slots), 24U);
  EXPECT_EQ(elements_offset_bytes(ObjectKind::backends), 64U);
  EXPECT_EQ(elements_offset_bytes(ObjectKind::slots) + kSlotCountDefault * sizeof(SlotEntry), 131066U);  // < 128 KiB
  EXPECT_EQ(stats_bytes(2, 16384, 32768), 1984U + 2 * (1088U + 16384 * 16 + 32768 * 16 + 32768 * 4));
}

TEST(RootWord, KeepsGenerationAndOffset) {
  const RootWord word = RootWord::make(static_cast<Generation>(0x123456789a), kTablesBytesMax - kObjectUnitBytes);
  EXPECT_EQ(number(word.generation()), 0x123456789aU);
  EXPECT_EQ(word.offset_bytes(), kTablesBytesMax - kObjectUnitBytes);
  EXPECT_FALSE(word.empty());
  EXPECT_TRUE(RootWord{}.empty());
}

}  // namespace
}  // namespace guideway
