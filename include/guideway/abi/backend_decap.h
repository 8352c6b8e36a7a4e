/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/* What the backends' XDP program (bpf/backend_decap.bpf.c) and its loader share. C and C++. */
#ifndef GUIDEWAY_ABI_BACKEND_DECAP_H
#define GUIDEWAY_ABI_BACKEND_DECAP_H

#ifdef __cplusplus
#include <cstdint>
typedef std::uint8_t guideway_u8;
typedef std::uint16_t guideway_u16;
typedef std::uint32_t guideway_u32;
#else
typedef __u8 guideway_u8;
typedef __u16 guideway_u16;
typedef __u32 guideway_u32;
#endif

/* An address with its family, IPv4 as IPv4-mapped: what is IPv4-mapped on the wire of IPv6 is another address. */
struct guideway_decap_address {
  guideway_u32 family; /* 4 or 6 */
  guideway_u8 address[16];
};

/* Key of map `sources` (LPM trie): who may send us encapsulated packets. */
struct guideway_decap_source {
  guideway_u32 prefix_bits; /* 32 for the family, then the prefix length; 96 more for IPv4 */
  struct guideway_decap_address prefix;
};

/* Map `locals` (hash), key guideway_decap_address: our addresses. Packets that are not for one of them are somebody
 * else's and go to the stack untouched, encapsulated or not. */

/* Value of the maps `sources` and `locals`: it is the key that counts. */
typedef guideway_u8 guideway_decap_present; /* 1 */

#define GUIDEWAY_DECAP_SOURCES_MAX 4096
#define GUIDEWAY_DECAP_LOCALS_MAX 256

/* Map `config` (array, one element). */
struct guideway_decap_config {
  guideway_u16 gue_port; /* host order; 0: GUE is left alone */
  guideway_u8 ipip;      /* 1: IPIP is decapsulated */
  guideway_u8 reserved;
};

/* Map `counters` (per-CPU array of 64-bit numbers): packets. Each packet is counted once. "Encapsulated" is what is
 * IPIP or GUE by the configuration and addressed to one of `locals`. */
enum guideway_decap_counter {
  GUIDEWAY_DECAP_IPIP,         /* decapsulated from IPIP */
  GUIDEWAY_DECAP_GUE,          /* decapsulated from GUE */
  GUIDEWAY_DECAP_PASSED,       /* not encapsulated: to the stack untouched */
  GUIDEWAY_DECAP_STRANGER,     /* encapsulated, but from no configured source: dropped */
  GUIDEWAY_DECAP_MALFORMED,    /* encapsulated by a friend, but cut short or contradictory: dropped */
  GUIDEWAY_DECAP_BAD_CHECKSUM, /* outer IPv4 header checksum, or nonzero outer UDP checksum, wrong: dropped */
  GUIDEWAY_DECAP_UNSUPPORTED,  /* GUE with what we do not know (variant, control, flags, protocol): dropped */
  GUIDEWAY_DECAP_FRAGMENT,     /* a fragment of an encapsulated packet: dropped */
  GUIDEWAY_DECAP_CONGESTION,   /* outer says congestion, inner cannot carry it (RFC 6040, section 4.2): dropped */
  GUIDEWAY_DECAP_COUNTERS
};

#endif
