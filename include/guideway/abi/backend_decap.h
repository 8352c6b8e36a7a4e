/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/* What the backends' XDP program (bpf/backend_decap.bpf.c) and its loader share. C and C++. */
#ifndef GUIDEWAY_ABI_BACKEND_DECAP_H
#define GUIDEWAY_ABI_BACKEND_DECAP_H

#include "guideway/abi/ip_prefix.h"

/* Map `sources` (LPM trie): guideway_prefix → guideway_present: who may send us encapsulated packets.
 *
 * Map `locals` (hash): guideway_address → guideway_present: our addresses. Packets that are not for one of them are
 * somebody else's and go to the stack untouched, encapsulated or not. */
#define GUIDEWAY_DECAP_SOURCES_MAX 4096
#define GUIDEWAY_DECAP_LOCALS_MAX 256

#define GUIDEWAY_DECAP_NETNS_MAX 4

/* Map `config` (array, one element). */
struct guideway_decap_config {
  guideway_u16 gue_port;     /* host order; 0: GUE is left alone */
  guideway_u8 ipip;          /* 1: IPIP is decapsulated */
  guideway_u8 gre;           /* 1: GRE is decapsulated */
  guideway_u32 hop_rate;     /* packets a second that are passed on to other backends */
  guideway_u8 second_chance; /* 1: packets with a hop list get one; 0: they are decapsulated here */
  guideway_u8 netns_count;
  guideway_u16 spare;
  guideway_u32 netns[GUIDEWAY_DECAP_NETNS_MAX]; /* further network namespaces with sockets: their ids in our own */
};

/* Map `counters` (per-CPU array of 64-bit numbers): packets. Each packet is counted once. "Encapsulated" is what is
 * IPIP, GUE or GRE by the configuration and addressed to one of `locals`. */
enum guideway_decap_counter {
  /* Decapsulated: from IPIP, from GUE without a hop list, from GRE … */
  GUIDEWAY_DECAP_IPIP,
  GUIDEWAY_DECAP_GUE,
  GUIDEWAY_DECAP_GRE,
  /* … and from GUE with a hop list (docs/second_chance.md), because: */
  GUIDEWAY_DECAP_ACCEPTED_SYN,    /* it opens a connection */
  GUIDEWAY_DECAP_ACCEPTED_SOCKET, /* the kernel has its connection */
  GUIDEWAY_DECAP_ACCEPTED_COOKIE, /* it carries a SYN cookie of a listening socket */
  GUIDEWAY_DECAP_ACCEPTED_LAST,   /* nobody on the list has its connection */
  GUIDEWAY_DECAP_ACCEPTED_OTHER,  /* it is of no connection that could be looked up, or second chance is off */
  GUIDEWAY_DECAP_PASSED,          /* not encapsulated: to the stack untouched */
  /* Passed on to the next hop: */
  GUIDEWAY_DECAP_HOP_ROUTED,    /* by the kernel's routes */
  GUIDEWAY_DECAP_HOP_REFLECTED, /* by the router that it came from */
  GUIDEWAY_DECAP_STRANGER,      /* encapsulated, but from no configured source: dropped */
  GUIDEWAY_DECAP_MALFORMED,     /* encapsulated by a friend, but cut short or contradictory: dropped */
  GUIDEWAY_DECAP_BAD_CHECKSUM,  /* outer IPv4 header checksum, or nonzero outer UDP checksum, wrong: dropped */
  GUIDEWAY_DECAP_UNSUPPORTED,   /* GUE or GRE with what we do not know (version, flags, hops, …): dropped */
  GUIDEWAY_DECAP_FRAGMENT,      /* a fragment of an encapsulated packet: dropped */
  GUIDEWAY_DECAP_CONGESTION,    /* outer says congestion, inner cannot carry it (RFC 6040, section 4.2): dropped */
  GUIDEWAY_DECAP_HOP_EXPIRED,   /* for the next hop, but its TTL is at its end: dropped */
  GUIDEWAY_DECAP_HOP_LIMITED,   /* for the next hop, but beyond the rate: dropped */
  GUIDEWAY_DECAP_HOP_STALE,     /* nobody on the list has its connection, and the list is of old tables: dropped */
  GUIDEWAY_DECAP_COUNTERS
};

#endif
