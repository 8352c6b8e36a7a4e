/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/*
 * Steers packets for VIPs to the data plane's AF_XDP sockets; the kernel keeps the NIC and all other packets.
 *
 * DPDK 22.11 loads and attaches this itself (net_af_xdp, `xdp_prog=PATH`, drivers/net/af_xdp/rte_eth_af_xdp.c). It
 * opens PATH as an ELF object, takes the first program in it (libbpf tells the type from the section name "xdp"), and
 * puts each queue's socket into the map named "xsks_map" under the queue's number. bpf/steer_program.h gives such a
 * PATH; the data plane fills the map `vips` through bpf/steer_map.h.
 *
 * Frames with a VLAN tag stay with the kernel: the socket would not tell its tagged from its untagged neighbours.
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
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, GUIDEWAY_STEER_VIPS_MAX);
  __type(key, struct guideway_steer_key);
  __type(value, guideway_steer_value);
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

/* The destination of the packet as a key of `vips`; 0 if the frame has none. */
static __always_inline int destination_of(struct xdp_md* ctx, struct guideway_steer_key* key) {
  void* data = (void*)(long)ctx->data;
  void* end = (void*)(long)ctx->data_end;
  struct ethhdr* eth = data;
  if ((void*)(eth + 1) > end) return 0;

  if (eth->h_proto == bpf_htons(ETH_P_IP)) {
    struct iphdr* ip = (void*)(eth + 1);
    if ((void*)(ip + 1) > end) return 0;
    key->family = 4;
    key->address[10] = key->address[11] = 0xff;
    __builtin_memcpy(&key->address[12], &ip->daddr, 4);
    return 1;
  }
  if (eth->h_proto == bpf_htons(ETH_P_IPV6)) {
    struct ipv6hdr* ip = (void*)(eth + 1);
    if ((void*)(ip + 1) > end) return 0;
    key->family = 6;
    __builtin_memcpy(key->address, &ip->daddr, 16);
    return 1;
  }
  return 0;
}

SEC("xdp")
int xsk_steer(struct xdp_md* ctx) {
  struct guideway_steer_key key = {};
  if (!destination_of(ctx, &key) || !bpf_map_lookup_elem(&vips, &key)) {
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
