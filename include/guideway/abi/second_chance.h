/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/* The hop list in a GUE header: the numbers that load balancers and backends agree on. docs/second_chance.md is the
 * contract. C and C++. */
#ifndef GUIDEWAY_ABI_SECOND_CHANCE_H
#define GUIDEWAY_ABI_SECOND_CHANCE_H

/* Private data types: the family of the hops, which is that of the outer header. */
#define GUIDEWAY_HOPS_IPV4 0 /* the layout of GLB Director, github.com/github/glb-director */
#define GUIDEWAY_HOPS_IPV6 1

#define GUIDEWAY_GUE_WORD_BYTES 4 /* the unit of GUE's hlen */
#define GUIDEWAY_GUE_HLEN_MAX 31  /* it has five bits */

/* In words: the fixed part, a hop, and the generation, which may be left out. */
#define GUIDEWAY_HOPS_HEADER_WORDS 1
#define GUIDEWAY_HOPS_IPV4_WORDS 1
#define GUIDEWAY_HOPS_IPV6_WORDS 4
#define GUIDEWAY_HOPS_GENERATION_WORDS 1

#endif
