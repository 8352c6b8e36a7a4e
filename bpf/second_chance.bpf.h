/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/*
 * A packet with a hop list: whose is it → ours: accept, or not ours: pass it on to the next hop. docs/second_chance.md
 * is the contract, include/guideway/second_chance.h writes the lists.
 */
#ifndef GUIDEWAY_BPF_SECOND_CHANCE_H
#define GUIDEWAY_BPF_SECOND_CHANCE_H

#include "bpf/connection.bpf.h"
#include "bpf/decap_frame.bpf.h"
#include "guideway/abi/second_chance.h"

#define AF_INET 2
#define AF_INET6 10
#define LOOPBACK_INDEX 1 /* of `lo`, in every network namespace */

#define SECOND_NS 1000000000ULL
#define GENERATION_MEMORY_S 30
#define GENERATION_SOURCES_MAX 1024

struct hop_list {
  __be16 type;
  __u8 next_hop;
  __u8 hop_count;
};

/* The highest generation seen lately from an outer source: generation << 32 | second when it was confirmed. */
struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, GENERATION_SOURCES_MAX);
  __type(key, struct guideway_address);
  __type(value, __u64);
} generations SEC(".maps");

/* When the packets passed on so far would all have had their turn, at the allowed rate. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, __u64);
} hop_turns SEC(".maps");

static __always_inline int is_outer_ipv4(const struct outer* outer) {
  return outer->ip_header_bytes != 0;
}

static __always_inline __u32 hop_words(const struct outer* outer) {
  return is_outer_ipv4(outer) ? GUIDEWAY_HOPS_IPV4_WORDS : GUIDEWAY_HOPS_IPV6_WORDS;
}

/* The private data of a GUE header, `hlen` words at outer->payload, to where they are noted; then it is unpacked.
 * REQUIRES: hlen > 0. */
static __always_inline int open_hop_list(struct xdp_md* ctx, struct outer* outer, __u32 hlen) {
  struct hop_list* list = header_at(ctx, outer->payload);
  const __u32 bytes = hlen * GUIDEWAY_GUE_WORD_BYTES;
  if (outer->payload + bytes > outer->end || (void*)(list + 1) > frame_end(ctx)) return GUIDEWAY_DECAP_MALFORMED;
  if (list->type != bpf_htons(is_outer_ipv4(outer) ? GUIDEWAY_HOPS_IPV4 : GUIDEWAY_HOPS_IPV6))
    return GUIDEWAY_DECAP_UNSUPPORTED;
  const __u32 words = GUIDEWAY_HOPS_HEADER_WORDS + list->hop_count * hop_words(outer);
  if (hlen != words && hlen != words + GUIDEWAY_HOPS_GENERATION_WORDS) return GUIDEWAY_DECAP_MALFORMED;
  if (list->next_hop > list->hop_count) return GUIDEWAY_DECAP_MALFORMED;
  outer->hops = outer->payload;
  if (hlen != words) outer->generation = outer->payload + words * GUIDEWAY_GUE_WORD_BYTES;
  outer->payload += bytes;
  return GO_ON;
}

/* Notes the packet's generation. True: its load balancer has newer tables by now (serial numbers, RFC 1982). */
static __always_inline int is_left_behind(struct xdp_md* ctx, const struct outer* outer) {
  if (outer->generation == 0) return 0;
  __be32* at = header_at(ctx, outer->generation);
  if ((void*)(at + 1) > frame_end(ctx)) return 0;
  const __u32 generation = bpf_ntohl(*at);
  const __u32 now_s = (__u32)(bpf_ktime_get_ns() / SECOND_NS);
  const __u64 noted = (__u64)generation << 32 | now_s;
  const struct guideway_address source = outer->source.address; /* a key has to lie on the stack */
  __u64* known = bpf_map_lookup_elem(&generations, &source);
  if (!known) {
    bpf_map_update_elem(&generations, &source, &noted, BPF_ANY);
    return 0;
  }
  const __u32 behind = (__u32)(*known >> 32) - generation;
  const __u32 confirmed_s = (__u32)*known;
  /* -1: confirmed by another CPU, which is in the next second already. */
  const __s32 confirmed_ago_s = (__s32)(now_s - confirmed_s);
  if (behind != 0 && behind < 1U << 31 && confirmed_ago_s < GENERATION_MEMORY_S) return 1;
  if (*known != noted) *known = noted;
  return 0;
}

/* False: the list is at its end, or would lead to ourselves, who have just been asked. */
static __always_inline int next_hop(struct xdp_md* ctx, const struct outer* outer, struct guideway_address* hop) {
  struct hop_list* list = header_at(ctx, outer->hops);
  if ((void*)(list + 1) > frame_end(ctx) || list->next_hop >= list->hop_count) return 0;
  const __u32 hop_bytes = hop_words(outer) * GUIDEWAY_GUE_WORD_BYTES;
  __u8* at = header_at(ctx, outer->hops + sizeof *list + list->next_hop * hop_bytes);
  if (is_outer_ipv4(outer)) {
    if ((void*)(at + 4) > frame_end(ctx)) return 0;
    hop->family = 4;
    hop->bytes[10] = hop->bytes[11] = 0xff;
    __builtin_memcpy(&hop->bytes[12], at, 4);
  } else {
    if ((void*)(at + 16) > frame_end(ctx)) return 0;
    hop->family = 6;
    __builtin_memcpy(hop->bytes, at, 16);
  }
  return !is_ours(hop);
}

/* Of no single host on the network. */
static __always_inline int is_no_backend(const struct guideway_address* hop) {
  if (hop->family == 4) return hop->bytes[12] == 0 || hop->bytes[12] == 127 || hop->bytes[12] >= 224;
  const int is_link_local = hop->bytes[0] == 0xfe && (hop->bytes[1] & 0xc0) == 0x80;
  return hop->bytes[0] == 0 || hop->bytes[0] == 0xff || is_link_local;
}

static __always_inline int is_expired(struct xdp_md* ctx, const struct outer* outer) {
  const __u32 at = is_outer_ipv4(outer) ? offsetof(struct iphdr, ttl) : offsetof(struct ipv6hdr, hop_limit);
  __u8* ttl = header_at(ctx, sizeof(struct ethhdr) + at);
  return (void*)(ttl + 1) > frame_end(ctx) || *ttl <= 1;
}

/* `rate` packets a second, with a burst of as many. Two CPUs at once may let one more through. */
static __always_inline int is_beyond_rate(__u32 rate) {
  const __u32 zero = 0;
  __u64* turns = bpf_map_lookup_elem(&hop_turns, &zero);
  if (!turns || rate == 0) return 1;
  const __u64 now = bpf_ktime_get_ns();
  const __u64 turn = (*turns > now ? *turns : now) + SECOND_NS / rate;
  if (turn > now + SECOND_NS) return 1;
  *turns = turn;
  return 0;
}

/* The change of the destination, as sums for updated_checksum(). */
struct change {
  __u64 taken;
  __u64 put;
};

static __always_inline void replace_word(__u32* word, const __u8* new_bytes, struct change* change) {
  change->taken += ~*word;
  __builtin_memcpy(word, new_bytes, sizeof *word);
  change->put += *word;
}

static __always_inline int readdress_ipv4(struct xdp_md* ctx, const struct guideway_address* hop,
                                          struct change* change) {
  struct iphdr* ip = frame(ctx) + sizeof(struct ethhdr);
  if ((void*)(ip + 1) > frame_end(ctx)) return GUIDEWAY_DECAP_MALFORMED;
  replace_word(&ip->daddr, &hop->bytes[12], change);
  __u16* ttl_word = (void*)&ip->ttl;
  const __u16 ttl_before = *ttl_word;
  ip->ttl--;
  ip->check = updated_checksum(ip->check, change->taken + (__u16)~ttl_before, change->put + *ttl_word);
  return GO_ON;
}

static __always_inline int readdress_ipv6(struct xdp_md* ctx, const struct guideway_address* hop,
                                          struct change* change) {
  struct ipv6hdr* ip = frame(ctx) + sizeof(struct ethhdr);
  if ((void*)(ip + 1) > frame_end(ctx)) return GUIDEWAY_DECAP_MALFORMED;
  ip->hop_limit--;
  for (__u32 i = 0; i < 4; i++) replace_word(&ip->daddr.in6_u.u6_addr32[i], &hop->bytes[4 * i], change);
  return GO_ON;
}

/* The outer UDP checksum goes with what it covers: the destination and the next hop's index. Zero is none. */
static __always_inline int count_hop(struct xdp_md* ctx, const struct outer* outer, struct change* change) {
  struct hop_list* list = header_at(ctx, outer->hops);
  struct udphdr* udp = header_at(ctx, outer->hops - sizeof(struct gue_header) - sizeof *udp);
  if ((void*)(list + 1) > frame_end(ctx) || (void*)(udp + 1) > frame_end(ctx)) return GUIDEWAY_DECAP_MALFORMED;
  __u16* index_word = (void*)&list->next_hop;
  change->taken += (__u16) ~*index_word;
  list->next_hop++;
  change->put += *index_word;
  if (udp->check == 0) return GO_ON;
  const __u16 checksum = updated_checksum(udp->check, change->taken, change->put);
  udp->check = checksum == 0 ? 0xffff : checksum; /* RFC 768 */
  return GO_ON;
}

/* The kernel lends its routes only where forwarding is on, and asks the interface that the packet came in on. We name
 * `lo`: forwarding can be on there without any packet of the network being forwarded by the stack. */
static __always_inline int ask_routes(struct xdp_md* ctx, const struct guideway_address* hop,
                                      struct bpf_fib_lookup* route) {
  route->ifindex = LOOPBACK_INDEX;
  route->l4_protocol = IPPROTO_UDP;
  if (hop->family == 4) {
    route->family = AF_INET;
    __builtin_memcpy(&route->ipv4_dst, &hop->bytes[12], 4);
  } else {
    route->family = AF_INET6;
    __builtin_memcpy(route->ipv6_dst, hop->bytes, 16);
  }
  return bpf_fib_lookup(ctx, route, sizeof *route, 0) == BPF_FIB_LKUP_RET_SUCCESS;
}

static __always_inline int send_on(struct xdp_md* ctx, struct outer* outer, const struct guideway_address* hop) {
  struct bpf_fib_lookup route = {};
  const int is_routed = ask_routes(ctx, hop, &route);
  struct ethhdr* eth = frame(ctx);
  if ((void*)(eth + 1) > frame_end(ctx)) return GUIDEWAY_DECAP_MALFORMED;
  if (is_routed) {
    outer->egress = route.ifindex;
    __builtin_memcpy(eth->h_dest, route.dmac, ETH_ALEN);
    __builtin_memcpy(eth->h_source, route.smac, ETH_ALEN);
    return GUIDEWAY_DECAP_HOP_ROUTED;
  }
  __u8 ours[ETH_ALEN];
  outer->egress = ctx->ingress_ifindex;
  __builtin_memcpy(ours, eth->h_dest, ETH_ALEN);
  __builtin_memcpy(eth->h_dest, eth->h_source, ETH_ALEN);
  __builtin_memcpy(eth->h_source, ours, ETH_ALEN);
  return GUIDEWAY_DECAP_HOP_REFLECTED;
}

static __always_inline int came_to_a_group(struct xdp_md* ctx) {
  struct ethhdr* eth = frame(ctx);
  return (void*)(eth + 1) > frame_end(ctx) || (eth->h_dest[0] & 1);
}

/* Global, as who_has(). */
__attribute__((noinline)) int pass_on(struct xdp_md* ctx, struct outer* outer, const struct guideway_address* hop,
                                      __u32 rate) {
  if (!outer || !hop) return GUIDEWAY_DECAP_MALFORMED;
  if (is_no_backend(hop) || came_to_a_group(ctx)) return GUIDEWAY_DECAP_MALFORMED;
  if (is_expired(ctx, outer)) return GUIDEWAY_DECAP_HOP_EXPIRED;
  if (is_beyond_rate(rate)) return GUIDEWAY_DECAP_HOP_LIMITED;
  struct change change = {};
  int end = is_outer_ipv4(outer) ? readdress_ipv4(ctx, hop, &change) : readdress_ipv6(ctx, hop, &change);
  if (end == GO_ON) end = count_hop(ctx, outer, &change);
  return end == GO_ON ? send_on(ctx, outer, hop) : end;
}

/* REQUIRES: the inner IP header was checked, `outer->end` is its packet's. Accepted is GUIDEWAY_DECAP_ACCEPTED_…; what
 * else comes out is the end of the packet. Global, as who_has(). */
__attribute__((noinline)) int second_chance(struct xdp_md* ctx, struct outer* outer,
                                            const struct guideway_decap_config* wanted) {
  if (!outer || !wanted) return GUIDEWAY_DECAP_MALFORMED;
  struct connection connection = {};
  struct guideway_address hop = {};
  const int is_old = is_left_behind(ctx, outer);
  const enum inside inside = read_inside(ctx, outer, &connection);
  if (!wanted->second_chance || inside == INSIDE_OTHER) return GUIDEWAY_DECAP_ACCEPTED_OTHER;
  if (inside == INSIDE_SYN) return GUIDEWAY_DECAP_ACCEPTED_SYN;
  const int found = find_connection(ctx, outer, &connection, wanted);
  if (found != GO_ON) return found;
  if (next_hop(ctx, outer, &hop)) return pass_on(ctx, outer, &hop, wanted->hop_rate);
  return is_old && inside == INSIDE_SEGMENT ? GUIDEWAY_DECAP_HOP_STALE : GUIDEWAY_DECAP_ACCEPTED_LAST;
}

#endif
