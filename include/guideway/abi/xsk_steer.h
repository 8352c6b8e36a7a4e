/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/* What the steering XDP program (bpf/xsk_steer.bpf.c) and the data plane share. C and C++. */
#ifndef GUIDEWAY_ABI_XSK_STEER_H
#define GUIDEWAY_ABI_XSK_STEER_H

#include "guideway/abi/ip_prefix.h"

/* Map `vips` (LPM trie): guideway_prefix → guideway_present: packets to these prefixes go to the AF_XDP socket of their
 * queue (map `xsks_map`), all others stay with the kernel. */

#define GUIDEWAY_STEER_VIPS_MAX 65536
#define GUIDEWAY_STEER_QUEUES_MAX 256

/* Map `counters` (per-CPU array of 64-bit numbers): packets, one element each. Their sum is all the NIC received. */
enum guideway_steer_counter {
  /* For a VIP: handed to the socket of its queue. What the socket has no room for is lost after this count, so it is
   * this counter less the packets that the data plane received. */
  GUIDEWAY_STEER_STEERED,
  GUIDEWAY_STEER_UNBOUND, /* for a VIP, but no socket is bound to the queue: left to the kernel */
  GUIDEWAY_STEER_PASSED,  /* not for a VIP: left to the kernel */
  GUIDEWAY_STEER_COUNTERS
};

#endif
