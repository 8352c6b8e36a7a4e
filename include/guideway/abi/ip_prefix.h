/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/* Addresses and prefixes as keys of BPF maps. C and C++; bpf/map_key.h makes them. */
#ifndef GUIDEWAY_ABI_IP_PREFIX_H
#define GUIDEWAY_ABI_IP_PREFIX_H

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
struct guideway_address {
  guideway_u32 family; /* 4 or 6 */
  guideway_u8 bytes[16];
};

/* Key of an LPM trie. */
struct guideway_prefix {
  guideway_u32 bits; /* 32 for the family, then the prefix length; 96 more for IPv4 */
  struct guideway_address address;
};
#define GUIDEWAY_PREFIX_BITS_MAX (8 * sizeof(struct guideway_address)) /* of an address, which is looked up */

/* Value where it is the key that counts. */
typedef guideway_u8 guideway_present; /* 1 */

#endif
