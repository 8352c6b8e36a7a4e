/* What the backends' XDP program (bpf/backend_decap.bpf.c) and its loader share. C and C++. */
#ifndef GUIDEWAY_ABI_BACKEND_DECAP_H
#define GUIDEWAY_ABI_BACKEND_DECAP_H

#ifdef __cplusplus
#include <cstdint>
typedef std::uint8_t guideway_u8;
typedef std::uint16_t guideway_u16;
typedef std::uint32_t guideway_u32;
typedef std::uint64_t guideway_u64;
#else
typedef __u8 guideway_u8;
typedef __u16 guideway_u16;
typedef __u32 guideway_u32;
typedef __u64 guideway_u64;
#endif

/* Map `sources` (LPM trie): who may send us encapsulated packets. IPv4 as IPv4-mapped, prefix lengths of 96 and more. */
struct guideway_decap_source {
  guideway_u32 prefix_bits; /* 0…128 */
  guideway_u8 address[16];
};

/* Map `config` (array, one element). */
struct guideway_decap_config {
  guideway_u16 gue_port; /* host order; 0: GUE is left alone */
  guideway_u8 ipip;      /* 1: IPIP is decapsulated */
  guideway_u8 reserved;
};

/* Map `counters` (per-CPU array), one element each. */
enum guideway_decap_counter {
  GUIDEWAY_DECAP_IPIP,          /* decapsulated from IPIP */
  GUIDEWAY_DECAP_GUE,           /* decapsulated from GUE */
  GUIDEWAY_DECAP_PASSED,        /* not encapsulated: to the stack untouched */
  GUIDEWAY_DECAP_STRANGER,      /* encapsulated, but from no configured source: dropped */
  GUIDEWAY_DECAP_MALFORMED,     /* encapsulated by a friend, but cut short or contradictory: dropped */
  GUIDEWAY_DECAP_BAD_CHECKSUM,  /* outer IPv4 header checksum wrong: dropped */
  GUIDEWAY_DECAP_UNSUPPORTED,   /* GUE with what we do not know (variant, control message, protocol): dropped */
  GUIDEWAY_DECAP_COUNTERS
};

#endif
