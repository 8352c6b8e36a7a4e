/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/*
 * Unpacks on a backend what a load balancer packed: IPIP (4in4, 6in4, 4in6, 6in6), GUE and GRE → the inner packet goes
 * into the local stack, which has the VIP on `lo`. bpf/decap_program.h loads it; docs/backend.md is for operators.
 *
 *   is it encapsulated, for us? → from a friend? → whole? → outer checksums → GUE or GRE header → inner header
 *   → whose connection is it? (with a hop list: second_chance.bpf.h) → ECN → strip
 *
 * Exactly one layer is taken off. Frames with a VLAN tag and packets with IPv6 extension headers in front of the inner
 * packet go to the stack as they are. Fragments of encapsulated packets are dropped: the stack could put them together
 * but not unpack them. Of a fragmented GUE packet only the first fragment can be told; the others go to the stack and
 * time out there.
 */
#include "bpf/decap_frame.bpf.h"
#include "bpf/second_chance.bpf.h"

struct {
  __uint(type, BPF_MAP_TYPE_LPM_TRIE);
  __uint(max_entries, GUIDEWAY_DECAP_SOURCES_MAX);
  __type(key, struct guideway_prefix);
  __type(value, guideway_present);
  __uint(map_flags, BPF_F_NO_PREALLOC);
} sources SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct guideway_decap_config);
} config SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, GUIDEWAY_DECAP_COUNTERS);
  __type(key, __u32);
  __type(value, __u64);
} counters SEC(".maps");

#define GUE_VARIANT(first_byte) ((first_byte) >> 6)
#define GUE_CONTROL 0x20
#define GUE_HLEN 0x1f

enum ecn { NOT_ECT = 0, ECT_1 = 1, ECT_0 = 2, CE = 3 }; /* RFC 3168, section 5 */

struct fragment_header { /* RFC 8200, section 4.5 */
  __u8 next_header;
  __u8 reserved;
  __be16 offset_more;
  __be32 id;
};

struct gre_header { /* RFC 2784, section 2.1 */
  __be16 flags_version;
  __be16 protocol; /* an EtherType */
};
/* The version, which is 0, and the bits that say what RFC 1701 has and we do not know: checksum, key, sequence number
 * and others. The bits between are reserved, and to be ignored. */
#define GRE_UNKNOWN 0xfc07

static __always_inline int parse_outer_ipv4(struct xdp_md* ctx, struct outer* outer) {
  struct iphdr* ip = frame(ctx) + sizeof(struct ethhdr);
  if ((void*)(ip + 1) > frame_end(ctx) || ip->version != 4 || ip->ihl < 5) return 0;
  __u32 total_bytes = bpf_ntohs(ip->tot_len);
  outer->ip_header_bytes = ip->ihl * 4;
  outer->payload = sizeof(struct ethhdr) + outer->ip_header_bytes;
  outer->end = total_bytes < outer->ip_header_bytes ? 0 : sizeof(struct ethhdr) + total_bytes;
  outer->addresses = sizeof(struct ethhdr) + offsetof(struct iphdr, saddr);
  outer->addresses_bytes = 8;
  outer->protocol = ip->protocol;
  outer->ecn = ip->tos & 3;
  outer->is_fragment = (ip->frag_off & bpf_htons(IPV4_FRAGMENT)) != 0;
  outer->is_later_fragment = (ip->frag_off & bpf_htons(IPV4_OFFSET)) != 0;
  outer->source.address.family = outer->destination.family = 4;
  outer->source.address.bytes[10] = outer->source.address.bytes[11] = 0xff;
  outer->destination.bytes[10] = outer->destination.bytes[11] = 0xff;
  __builtin_memcpy(&outer->source.address.bytes[12], &ip->saddr, 4);
  __builtin_memcpy(&outer->destination.bytes[12], &ip->daddr, 4);
  return 1;
}

static __always_inline int parse_outer_ipv6(struct xdp_md* ctx, struct outer* outer) {
  struct ipv6hdr* ip = frame(ctx) + sizeof(struct ethhdr);
  if ((void*)(ip + 1) > frame_end(ctx) || ip->version != 6) return 0;
  outer->payload = sizeof(struct ethhdr) + sizeof(struct ipv6hdr);
  outer->end = outer->payload + bpf_ntohs(ip->payload_len);
  outer->addresses = sizeof(struct ethhdr) + offsetof(struct ipv6hdr, saddr);
  outer->addresses_bytes = 32;
  outer->protocol = ip->nexthdr;
  outer->ecn = ip->flow_lbl[0] >> 4 & 3;
  outer->source.address.family = outer->destination.family = 6;
  __builtin_memcpy(outer->source.address.bytes, &ip->saddr, 16);
  __builtin_memcpy(outer->destination.bytes, &ip->daddr, 16);
  if (ip->nexthdr == IPPROTO_FRAGMENT) {
    struct fragment_header* fragment = (void*)(ip + 1);
    if ((void*)(fragment + 1) > frame_end(ctx)) return 0;
    outer->payload += sizeof *fragment;
    outer->protocol = fragment->next_header;
    outer->is_fragment = 1;
    outer->is_later_fragment = (fragment->offset_more & bpf_htons(IPV6_OFFSET)) != 0;
  }
  return 1;
}

/* False: no IP packet that could be encapsulated. */
static __always_inline int parse_outer(struct xdp_md* ctx, struct outer* outer) {
  struct ethhdr* eth = frame(ctx);
  if ((void*)(eth + 1) > frame_end(ctx)) return 0;
  outer->source.bits = GUIDEWAY_PREFIX_BITS_MAX;
  if (eth->h_proto == bpf_htons(ETH_P_IP)) return parse_outer_ipv4(ctx, outer);
  if (eth->h_proto == bpf_htons(ETH_P_IPV6)) return parse_outer_ipv6(ctx, outer);
  return 0;
}

static __always_inline int is_gue(struct xdp_md* ctx, const struct outer* outer, __u16 gue_port) {
  if (outer->protocol != IPPROTO_UDP || outer->is_later_fragment || gue_port == 0) return 0;
  struct udphdr* udp = header_at(ctx, outer->payload);
  return (void*)(udp + 1) <= frame_end(ctx) && udp->dest == bpf_htons(gue_port);
}

static __always_inline int is_encapsulated(struct xdp_md* ctx, const struct outer* outer,
                                           const struct guideway_decap_config* wanted) {
  if (outer->protocol == IPPROTO_IPIP || outer->protocol == IPPROTO_IPV6) return wanted->ipip;
  if (outer->protocol == IPPROTO_GRE) return wanted->gre;
  return is_gue(ctx, outer, wanted->gue_port);
}

static __always_inline int check_outer(struct xdp_md* ctx, const struct outer* outer) {
  if (outer->end < outer->payload || outer->end > frame_bytes(ctx)) return GUIDEWAY_DECAP_MALFORMED;
  if (outer->ip_header_bytes != 0 && ones_sum(ctx, sizeof(struct ethhdr), outer->ip_header_bytes) != 0xffff)
    return GUIDEWAY_DECAP_BAD_CHECKSUM;
  if (outer->is_fragment) return GUIDEWAY_DECAP_FRAGMENT;
  return GO_ON;
}

/* RFC 768 and RFC 8200, section 8.1. Zero is allowed for IPv4 by the former, for IPv6 tunnels by RFC 6935. */
static __always_inline int udp_checksum_is_right(struct xdp_md* ctx, const struct outer* outer, __u32 udp_bytes) {
  __u32 addresses = ones_sum(ctx, outer->addresses, outer->addresses_bytes);
  __u32 datagram = ones_sum(ctx, outer->payload, udp_bytes);
  if (addresses == NOT_SUMMED || datagram == NOT_SUMMED) return 0;
  return fold((__u64)addresses + datagram + bpf_htons(IPPROTO_UDP) + bpf_htons((__u16)udp_bytes)) == 0xffff;
}

/* Variant 1 has no header: the two bits of the variant are the first of the inner IP header's version. */
static __always_inline int open_gue(struct xdp_md* ctx, struct outer* outer) {
  struct udphdr* udp = header_at(ctx, outer->payload);
  struct gue_header* gue = (void*)(udp + 1);
  if ((void*)(gue + 1) > frame_end(ctx)) return GUIDEWAY_DECAP_MALFORMED;
  __u32 udp_bytes = bpf_ntohs(udp->len);
  if (udp_bytes < sizeof *udp + sizeof *gue || udp_bytes > outer->end - outer->payload) return GUIDEWAY_DECAP_MALFORMED;
  __u8 first = gue->variant_control_hlen;
  __u8 protocol = gue->protocol;
  __be16 flags = gue->flags;
  if (udp->check != 0 && !udp_checksum_is_right(ctx, outer, udp_bytes)) return GUIDEWAY_DECAP_BAD_CHECKSUM;

  outer->end = outer->payload + udp_bytes;
  outer->payload += sizeof *udp;
  if (GUE_VARIANT(first) == 1) {
    outer->protocol = first >> 4 == 4 ? IPPROTO_IPIP : first >> 4 == 6 ? IPPROTO_IPV6 : IPPROTO_RAW;
  } else {
    /* The draft: drop what has flags that we do not know, or private data (hlen beyond the flags' fields) that we do
     * not expect. We know no flags; private data is a hop list. */
    if (GUE_VARIANT(first) != 0 || (first & GUE_CONTROL) || flags != 0) return GUIDEWAY_DECAP_UNSUPPORTED;
    outer->protocol = protocol;
    outer->payload += sizeof *gue;
    const int end = first & GUE_HLEN ? open_hop_list(ctx, outer, first & GUE_HLEN) : GO_ON;
    if (end != GO_ON) return end;
  }
  if (outer->protocol != IPPROTO_IPIP && outer->protocol != IPPROTO_IPV6) return GUIDEWAY_DECAP_UNSUPPORTED;
  return GO_ON;
}

static __always_inline int open_gre(struct xdp_md* ctx, struct outer* outer) {
  struct gre_header* gre = header_at(ctx, outer->payload);
  if ((void*)(gre + 1) > frame_end(ctx)) return GUIDEWAY_DECAP_MALFORMED;
  outer->payload += sizeof *gre;
  if (outer->payload > outer->end) return GUIDEWAY_DECAP_MALFORMED;
  if (gre->flags_version & bpf_htons(GRE_UNKNOWN)) return GUIDEWAY_DECAP_UNSUPPORTED;
  if (gre->protocol == bpf_htons(ETH_P_IP))
    outer->protocol = IPPROTO_IPIP;
  else if (gre->protocol == bpf_htons(ETH_P_IPV6))
    outer->protocol = IPPROTO_IPV6;
  else
    return GUIDEWAY_DECAP_UNSUPPORTED;
  return GO_ON;
}

/* RFC 6040, section 4.2: what the inner header shall say; -1: drop. */
static __always_inline int combine_ecn(__u8 inner, __u8 outer) {
  if (outer == CE) return inner == NOT_ECT ? -1 : CE;
  if (outer == ECT_1 && inner == ECT_0) return ECT_1;
  return inner;
}

/* From here on `outer->end` is the inner packet's. */
static __always_inline int check_inner_ipv4(struct xdp_md* ctx, struct outer* outer) {
  struct iphdr* ip = header_at(ctx, outer->payload);
  if ((void*)(ip + 1) > frame_end(ctx) || ip->version != 4 || ip->ihl < 5) return GUIDEWAY_DECAP_MALFORMED;
  __u32 total_bytes = bpf_ntohs(ip->tot_len);
  if (total_bytes < ip->ihl * 4u || outer->payload + total_bytes > outer->end) return GUIDEWAY_DECAP_MALFORMED;
  outer->end = outer->payload + total_bytes;
  return GO_ON;
}

static __always_inline int check_inner_ipv6(struct xdp_md* ctx, struct outer* outer) {
  struct ipv6hdr* ip = header_at(ctx, outer->payload);
  if ((void*)(ip + 1) > frame_end(ctx) || ip->version != 6) return GUIDEWAY_DECAP_MALFORMED;
  const __u32 total_bytes = sizeof *ip + bpf_ntohs(ip->payload_len);
  if (outer->payload + total_bytes > outer->end) return GUIDEWAY_DECAP_MALFORMED;
  outer->end = outer->payload + total_bytes;
  return GO_ON;
}

static __always_inline int mark_inner_ipv4(struct xdp_md* ctx, const struct outer* outer) {
  struct iphdr* ip = header_at(ctx, outer->payload);
  if ((void*)(ip + 1) > frame_end(ctx)) return GUIDEWAY_DECAP_MALFORMED;
  int ecn = combine_ecn(ip->tos & 3, outer->ecn);
  if (ecn < 0) return GUIDEWAY_DECAP_CONGESTION;
  if (ecn == (ip->tos & 3)) return GO_ON;
  /* The sum is taken over 16-bit words; this one is version, ihl and tos. */
  __be16* word = (void*)ip;
  const __u16 taken = (__u16) ~*word;
  ip->tos = (__u8)((ip->tos & ~3) | ecn);
  ip->check = updated_checksum(ip->check, taken, *word);
  return GO_ON;
}

static __always_inline int mark_inner_ipv6(struct xdp_md* ctx, const struct outer* outer) {
  struct ipv6hdr* ip = header_at(ctx, outer->payload);
  if ((void*)(ip + 1) > frame_end(ctx)) return GUIDEWAY_DECAP_MALFORMED;
  int ecn = combine_ecn(ip->flow_lbl[0] >> 4 & 3, outer->ecn);
  if (ecn < 0) return GUIDEWAY_DECAP_CONGESTION;
  ip->flow_lbl[0] = (__u8)((ip->flow_lbl[0] & ~0x30) | ecn << 4);
  return GO_ON;
}

/* The Ethernet header moves to the inner packet and names its family. */
static __always_inline int strip(struct xdp_md* ctx, const struct outer* outer) {
  struct ethhdr* eth = frame(ctx);
  if ((void*)(eth + 1) > frame_end(ctx)) return GUIDEWAY_DECAP_MALFORMED;
  struct ethhdr kept = *eth;
  kept.h_proto = outer->protocol == IPPROTO_IPIP ? bpf_htons(ETH_P_IP) : bpf_htons(ETH_P_IPV6);
  if (bpf_xdp_adjust_head(ctx, (int)(outer->payload - sizeof kept)) != 0) return GUIDEWAY_DECAP_MALFORMED;
  eth = frame(ctx);
  if ((void*)(eth + 1) > frame_end(ctx)) return GUIDEWAY_DECAP_MALFORMED;
  *eth = kept;
  return GO_ON;
}

/* The counter of a packet that is for us as soon as its headers say so. */
static __always_inline int accepted_from(__u8 carrier) {
  return carrier == IPPROTO_UDP   ? GUIDEWAY_DECAP_GUE
         : carrier == IPPROTO_GRE ? GUIDEWAY_DECAP_GRE
                                  : GUIDEWAY_DECAP_IPIP;
}

static __always_inline int is_accepted(int end) {
  return end < GUIDEWAY_DECAP_PASSED;
}

/* Up to the inner header. */
static __always_inline int unpack(struct xdp_md* ctx, struct outer* outer) {
  const __u8 carrier = outer->protocol;
  int end = check_outer(ctx, outer);
  if (end == GO_ON && carrier == IPPROTO_UDP) end = open_gue(ctx, outer);
  if (end == GO_ON && carrier == IPPROTO_GRE) end = open_gre(ctx, outer);
  if (end == GO_ON) end = outer->protocol == IPPROTO_IPIP ? check_inner_ipv4(ctx, outer) : check_inner_ipv6(ctx, outer);
  return end;
}

static __always_inline int decapsulate(struct xdp_md* ctx, struct outer* outer) {
  const __u32 zero = 0;
  const struct guideway_decap_config* wanted = bpf_map_lookup_elem(&config, &zero);
  if (!wanted || !parse_outer(ctx, outer) || !is_encapsulated(ctx, outer, wanted) || !is_ours(&outer->destination))
    return GUIDEWAY_DECAP_PASSED;
  if (!bpf_map_lookup_elem(&sources, &outer->source)) return GUIDEWAY_DECAP_STRANGER;

  const __u8 carrier = outer->protocol;
  int end = unpack(ctx, outer);
  if (end != GO_ON) return end;
  const int accepted = outer->hops != 0 ? second_chance(ctx, outer, wanted) : accepted_from(carrier);
  if (!is_accepted(accepted)) return accepted;
  end = outer->protocol == IPPROTO_IPIP ? mark_inner_ipv4(ctx, outer) : mark_inner_ipv6(ctx, outer);
  if (end == GO_ON) end = strip(ctx, outer);
  return end == GO_ON ? accepted : end;
}

static __always_inline int verdict_of(int end, __u32 egress, __u32 ingress) {
  if (end <= GUIDEWAY_DECAP_PASSED) return XDP_PASS;
  if (end != GUIDEWAY_DECAP_HOP_ROUTED && end != GUIDEWAY_DECAP_HOP_REFLECTED) return XDP_DROP;
  return egress == ingress ? XDP_TX : (int)bpf_redirect(egress, 0);
}

SEC("xdp")
int backend_decap(struct xdp_md* ctx) {
  struct outer outer = {};
  __u32 end = (__u32)decapsulate(ctx, &outer);
  __u64* counter = bpf_map_lookup_elem(&counters, &end);
  if (counter) ++*counter;
  return verdict_of((int)end, outer.egress, ctx->ingress_ifindex);
}

/* Of the two licences above this names the one under which the kernel takes it. */
char LICENSE[] SEC("license") = "GPL";
