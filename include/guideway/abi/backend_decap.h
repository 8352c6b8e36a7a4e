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

/* Map `config` (array, one element). */
struct guideway_decap_config {
  guideway_u16 gue_port; /* host order; 0: GUE is left alone */
  guideway_u8 ipip;      /* 1: IPIP is decapsulated */
  guideway_u8 gre;       /* 1: GRE is decapsulated */
};

/* Map `counters` (per-CPU array of 64-bit numbers): packets. Each packet is counted once. "Encapsulated" is what is
 * IPIP, GUE or GRE by the configuration and addressed to one of `locals`. */
enum guideway_decap_counter {
  GUIDEWAY_DECAP_IPIP,         /* decapsulated from IPIP */
  GUIDEWAY_DECAP_GUE,          /* decapsulated from GUE */
  GUIDEWAY_DECAP_GRE,          /* decapsulated from GRE */
  GUIDEWAY_DECAP_PASSED,       /* not encapsulated: to the stack untouched */
  GUIDEWAY_DECAP_STRANGER,     /* encapsulated, but from no configured source: dropped */
  GUIDEWAY_DECAP_MALFORMED,    /* encapsulated by a friend, but cut short or contradictory: dropped */
  GUIDEWAY_DECAP_BAD_CHECKSUM, /* outer IPv4 header checksum, or nonzero outer UDP checksum, wrong: dropped */
  GUIDEWAY_DECAP_UNSUPPORTED,  /* GUE or GRE with what we do not know (version, flags, protocol, …): dropped */
  GUIDEWAY_DECAP_FRAGMENT,     /* a fragment of an encapsulated packet: dropped */
  GUIDEWAY_DECAP_CONGESTION,   /* outer says congestion, inner cannot carry it (RFC 6040, section 4.2): dropped */
  GUIDEWAY_DECAP_COUNTERS
};

#endif
