/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/*
 * Steers packets for VIPs to the data plane's AF_XDP sockets; the kernel keeps the NIC and all other packets.
 *
 * DPDK 22.11 loads and attaches this itself (net_af_xdp, `xdp_prog=PATH`, drivers/net/af_xdp/rte_eth_af_xdp.c). It
 * opens PATH as an ELF object, takes the first program in it (libbpf tells the type from the section name "xdp"), and
 * puts each queue's socket into the map named "xsks_map" under the queue's number. bpf/steer_program.h gives such a
 * PATH; the data plane fills the map `vips` through bpf/steer_map.h.
 *
 * Of a frame with one or two VLAN tags in it, the packet behind them counts. A tag that the NIC or the kernel has put
 * aside is out of the program's sight and lost to the socket; docs/dataplane.md says how to have it in the frame.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <stddef.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "guideway/abi/xsk_steer.h"

struct {
  __uint(type, BPF_MAP_TYPE_XSKMAP);
  __uint(max_entries, GUIDEWAY_STEER_QUEUES_MAX);
  __type(key, __u32);
  __type(value, __u32);
} xsks_map SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_LPM_TRIE);
  __uint(max_entries, GUIDEWAY_STEER_VIPS_MAX);
  __type(key, struct guideway_prefix);
  __type(value, guideway_present);
  __uint(map_flags, BPF_F_NO_PREALLOC);
} vips SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, GUIDEWAY_STEER_COUNTERS);
  __type(key, __u32);
  __type(value, __u64);
} counters SEC(".maps");

static __always_inline void count(enum guideway_steer_counter which) {
  __u32 key = which;
  __u64* counter = bpf_map_lookup_elem(&counters, &key);
  if (counter) ++*counter;
}

#define TAGS_MAX 2

struct vlan_tag { /* IEEE 802.1Q, section 9.6, behind the EtherType that announces it */
  __be16 control;
  __be16 ether_type;
};

/* What is behind the Ethernet header and its VLAN tags, and which EtherType it has; null if the frame ends before. */
static __always_inline void* network_header(struct xdp_md* ctx, __be16* ether_type) {
  void* end = (void*)(long)ctx->data_end;
  struct ethhdr* eth = (void*)(long)ctx->data;
  void* header = eth + 1;
  if (header > end) return NULL;
  *ether_type = eth->h_proto;
#pragma unroll
  for (int i = 0; i < TAGS_MAX; i++) {
    if (*ether_type != bpf_htons(ETH_P_8021Q) && *ether_type != bpf_htons(ETH_P_8021AD)) break;
    struct vlan_tag* tag = header;
    header = tag + 1;
    if (header > end) return NULL;
    *ether_type = tag->ether_type;
  }
  return header;
}

/* Where the packet goes, as a key of `vips`; 0 if the frame has no such address. */
static __always_inline int destination_of(struct xdp_md* ctx, struct guideway_address* destination) {
  void* end = (void*)(long)ctx->data_end;
  __be16 ether_type = 0;
  void* header = network_header(ctx, &ether_type);
  if (!header) return 0;

  if (ether_type == bpf_htons(ETH_P_IP)) {
    struct iphdr* ip = header;
    if ((void*)(ip + 1) > end) return 0;
    destination->family = 4;
    destination->bytes[10] = destination->bytes[11] = 0xff;
    __builtin_memcpy(&destination->bytes[12], &ip->daddr, 4);
    return 1;
  }
  if (ether_type == bpf_htons(ETH_P_IPV6)) {
    struct ipv6hdr* ip = header;
    if ((void*)(ip + 1) > end) return 0;
    destination->family = 6;
    __builtin_memcpy(destination->bytes, &ip->daddr, 16);
    return 1;
  }
  return 0;
}

SEC("xdp")
int xsk_steer(struct xdp_md* ctx) {
  struct guideway_prefix key = {.bits = GUIDEWAY_PREFIX_BITS_MAX};
  if (!destination_of(ctx, &key.address) || !bpf_map_lookup_elem(&vips, &key)) {
    count(GUIDEWAY_STEER_PASSED);
    return XDP_PASS;
  }
  /* The flags argument is the verdict when the queue has no socket (bpf-helpers(7), bpf_redirect_map). */
  int verdict = (int)bpf_redirect_map(&xsks_map, ctx->rx_queue_index, XDP_PASS);
  count(verdict == XDP_REDIRECT ? GUIDEWAY_STEER_STEERED : GUIDEWAY_STEER_UNBOUND);
  return verdict;
}

/* Of the two licences above this names the one under which the kernel takes it. */
char LICENSE[] SEC("license") = "GPL";
