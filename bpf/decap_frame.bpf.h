/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/* A frame on a backend, for the parts of the decapsulation program: its outer headers, its bytes, their sums. */
#ifndef GUIDEWAY_BPF_DECAP_FRAME_H
#define GUIDEWAY_BPF_DECAP_FRAME_H

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>
#include <stddef.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "guideway/abi/backend_decap.h"

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, GUIDEWAY_DECAP_LOCALS_MAX);
  __type(key, struct guideway_address);
  __type(value, guideway_present);
} locals SEC(".maps");

static __always_inline int is_ours(const struct guideway_address* address) {
  return bpf_map_lookup_elem(&locals, address) != NULL;
}

#define IPV4_FRAGMENT 0x3fff /* more fragments, or an offset */
#define IPV4_OFFSET 0x1fff
#define IPV6_OFFSET 0xfff8

struct gue_header { /* draft-ietf-intarea-gue-09, variant 0 */
  __u8 variant_control_hlen;
  __u8 protocol;
  __be16 flags;
};

/* The outer headers, as far as they are read. Offsets are from the Ethernet header. */
struct outer {
  __u32 payload;         /* offset of what is still packed */
  __u32 end;             /* offset of its end, as the last header says; 0: it contradicts itself */
  __u32 ip_header_bytes; /* IPv4 only */
  __u32 addresses;       /* offset of the source address; the destination follows */
  __u32 addresses_bytes; /* both */
  __u32 hops;            /* offset of the hop list; 0: there is none */
  __u32 generation;      /* offset of the generation behind it; 0: there is none */
  __u32 egress;          /* the interface that a packet for another backend leaves by */
  __u8 protocol;         /* of what is still packed */
  __u8 ecn;
  __u8 is_fragment;
  __u8 is_later_fragment; /* its L4 header is in another one */
  struct guideway_prefix source;
  struct guideway_address destination;
};

/* Steps answer with the counter of the packet's end, or GO_ON. */
#define GO_ON GUIDEWAY_DECAP_COUNTERS

static __always_inline void* frame(struct xdp_md* ctx) {
  return (void*)(long)ctx->data;
}
static __always_inline void* frame_end(struct xdp_md* ctx) {
  return (void*)(long)ctx->data_end;
}
static __always_inline __u32 frame_bytes(struct xdp_md* ctx) {
  return (__u32)(ctx->data_end - ctx->data);
}

/* All headers that are read end before this. The longest: Ethernet 14, IPv4 60, UDP 8, GUE 4 and its hop list 124;
 * inside, IPv4 60, ICMP 8, IPv4 60 again and TCP's ports. */
#define HEADERS_BYTES_MAX 512

/* REQUIRES: offset < HEADERS_BYTES_MAX. The mask says so to the verifier; the barrier keeps the compiler from dropping
 * a mask that it, but not the verifier, can prove needless. */
static __always_inline void* header_at(struct xdp_md* ctx, __u32 offset) {
  barrier_var(offset);
  return frame(ctx) + (offset & (HEADERS_BYTES_MAX - 1));
}

static __always_inline __u32 fold(__u64 sum) {
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return (__u32)sum;
}

/* Without the barrier clang turns the loops' comparisons into ones with end + 1, which the verifier forbids. */
static __always_inline int is_beyond(void* at, void* end) {
  barrier_var(at);
  return at > end;
}

#define CHUNK_BYTES 64
#define SUMMED_BYTES_MAX (10 * 1024) /* jumbo frames */
#define NOT_SUMMED 0x10000

/*
 * The ones' complement sum (RFC 1071) of a part of the frame, as it lies in memory; NOT_SUMMED if the part is not all
 * in the frame or longer than SUMMED_BYTES_MAX. It is two global functions because the verifier checks such a one by
 * itself and once, and not again for each number of chunks that may lie before the rest.
 */
__attribute__((noinline)) __u32 ones_sum_rest(struct xdp_md* ctx, __u32 offset, __u32 bytes) {
  if (offset > HEADERS_BYTES_MAX + SUMMED_BYTES_MAX) return NOT_SUMMED;
  void* end = frame_end(ctx);
  __u8* at = frame(ctx) + offset;
  __u64 sum = 0;
  for (__u32 i = 0; i < CHUNK_BYTES / 4 - 1; i++) {
    if (bytes < 4) break;
    if (is_beyond(at + 4, end)) return NOT_SUMMED;
    sum += *(__u32*)at;
    at += 4;
    bytes -= 4;
  }
  if (bytes >= 4) return NOT_SUMMED;
  if (bytes >= 2) {
    if (is_beyond(at + 2, end)) return NOT_SUMMED;
    sum += *(__u16*)at;
    at += 2;
    bytes -= 2;
  }
  if (bytes == 1) {
    if (is_beyond(at + 1, end)) return NOT_SUMMED;
    sum += *at;
  }
  return fold(sum);
}

/* REQUIRES: offset < HEADERS_BYTES_MAX. */
__attribute__((noinline)) __u32 ones_sum(struct xdp_md* ctx, __u32 offset, __u32 bytes) {
  void* end = frame_end(ctx);
  __u8* at = header_at(ctx, offset);
  __u64 sum = 0;
  for (__u32 i = 0; i < SUMMED_BYTES_MAX / CHUNK_BYTES; i++) {
    if (bytes < CHUNK_BYTES) break;
    if (is_beyond(at + CHUNK_BYTES, end)) return NOT_SUMMED;
    for (__u32 w = 0; w < CHUNK_BYTES / 4; w++) sum += ((__u32*)at)[w];
    at += CHUNK_BYTES;
    offset += CHUNK_BYTES;
    bytes -= CHUNK_BYTES;
  }
  __u32 rest = ones_sum_rest(ctx, offset, bytes);
  return rest == NOT_SUMMED ? NOT_SUMMED : fold(sum + rest);
}

/* RFC 1624, equation 3: `taken` is the sum of the complements of the words that were there, `put` that of the new ones.
 * Words of 32 bits add up to the same. */
static __always_inline __u16 updated_checksum(__u16 checksum, __u64 taken, __u64 put) {
  return (__u16)~fold((__u16)~checksum + taken + put);
}

#endif
