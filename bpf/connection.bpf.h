/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/*
 * Whose is an inner packet? What it says of its connection, and whether the kernel knows that one.
 *
 *   inner packet → its connection (client, VIP, ports) → a socket, or a valid SYN cookie, in one of our namespaces?
 *
 * Segments of TCP and ICMP errors that quote one have a connection. Fragments have none, because only the first has
 * ports, and all of them shall stay together; nor has what has IPv6 extension headers in front.
 */
#ifndef GUIDEWAY_BPF_CONNECTION_H
#define GUIDEWAY_BPF_CONNECTION_H

#include <linux/tcp.h>

#include "bpf/decap_frame.bpf.h"

enum inside {
  INSIDE_OTHER,   /* of no connection that could be looked up */
  INSIDE_SYN,     /* opens a connection */
  INSIDE_SEGMENT, /* of a TCP connection */
  INSIDE_ERROR,   /* ICMP about a TCP connection */
};

struct icmp_header { /* RFC 792; RFC 4443, section 2.1 */
  __u8 type;
  __u8 code;
  __be16 checksum;
  __be32 rest;
};
/* The errors that load balancers carry to backends; those of ICMPv6 are 1 to 4. */
enum {
  ICMP_UNREACHABLE = 3,
  ICMP_TIME_EXCEEDED = 11,
  ICMP_PARAMETER = 12,
  ICMP6_FIRST_ERROR = 1,
  ICMP6_LAST_ERROR = 4
};

struct connection {
  struct bpf_sock_tuple tuple; /* source: the client; destination: the VIP */
  __u32 tcp;                   /* offset of the TCP header; 0: an error, which has none of ours */
  __u8 is_ipv4;
};

struct port_pair {
  __be16 source;
  __be16 destination;
};

static __always_inline int has_bytes(const struct outer* outer, __u32 offset, __u32 bytes) {
  return offset + bytes <= outer->end;
}

static __always_inline int read_segment(struct xdp_md* ctx, const struct outer* outer, __u32 offset,
                                        struct connection* connection, struct port_pair* ports) {
  struct tcphdr* tcp = header_at(ctx, offset);
  if (!has_bytes(outer, offset, sizeof *tcp) || (void*)(tcp + 1) > frame_end(ctx)) return INSIDE_OTHER;
  connection->tcp = offset;
  ports->source = tcp->source;
  ports->destination = tcp->dest;
  return tcp->syn && !tcp->ack ? INSIDE_SYN : INSIDE_SEGMENT;
}

/* A quoted packet went from the VIP to the client. */
static __always_inline int read_quoted_ports(struct xdp_md* ctx, const struct outer* outer, __u32 offset,
                                             struct port_pair* ports) {
  struct port_pair* quoted = header_at(ctx, offset);
  if (!has_bytes(outer, offset, sizeof *quoted) || (void*)(quoted + 1) > frame_end(ctx)) return INSIDE_OTHER;
  ports->source = quoted->destination;
  ports->destination = quoted->source;
  return INSIDE_ERROR;
}

static __always_inline int read_quote_ipv4(struct xdp_md* ctx, const struct outer* outer, __u32 offset,
                                           struct connection* connection, struct port_pair* ports) {
  struct icmp_header* icmp = header_at(ctx, offset);
  struct iphdr* quoted = (void*)(icmp + 1);
  if (!has_bytes(outer, offset, sizeof *icmp + sizeof *quoted) || (void*)(quoted + 1) > frame_end(ctx))
    return INSIDE_OTHER;
  if (icmp->type != ICMP_UNREACHABLE && icmp->type != ICMP_TIME_EXCEEDED && icmp->type != ICMP_PARAMETER)
    return INSIDE_OTHER;
  if (quoted->version != 4 || quoted->ihl < 5 || quoted->protocol != IPPROTO_TCP ||
      (quoted->frag_off & bpf_htons(IPV4_OFFSET)))
    return INSIDE_OTHER;
  connection->tuple.ipv4.saddr = quoted->daddr;
  connection->tuple.ipv4.daddr = quoted->saddr;
  return read_quoted_ports(ctx, outer, offset + sizeof *icmp + quoted->ihl * 4, ports);
}

static __always_inline int read_inside_ipv4(struct xdp_md* ctx, const struct outer* outer,
                                            struct connection* connection) {
  struct iphdr* ip = header_at(ctx, outer->payload);
  if ((void*)(ip + 1) > frame_end(ctx) || (ip->frag_off & bpf_htons(IPV4_FRAGMENT))) return INSIDE_OTHER;
  const __u32 offset = outer->payload + ip->ihl * 4;
  struct port_pair ports = {};
  int inside = INSIDE_OTHER;
  if (ip->protocol == IPPROTO_TCP) {
    connection->tuple.ipv4.saddr = ip->saddr;
    connection->tuple.ipv4.daddr = ip->daddr;
    inside = read_segment(ctx, outer, offset, connection, &ports);
  } else if (ip->protocol == IPPROTO_ICMP) {
    inside = read_quote_ipv4(ctx, outer, offset, connection, &ports);
  }
  connection->is_ipv4 = 1;
  connection->tuple.ipv4.sport = ports.source;
  connection->tuple.ipv4.dport = ports.destination;
  return inside;
}

static __always_inline int read_quote_ipv6(struct xdp_md* ctx, const struct outer* outer, __u32 offset,
                                           struct connection* connection, struct port_pair* ports) {
  struct icmp_header* icmp = header_at(ctx, offset);
  struct ipv6hdr* quoted = (void*)(icmp + 1);
  if (!has_bytes(outer, offset, sizeof *icmp + sizeof *quoted) || (void*)(quoted + 1) > frame_end(ctx))
    return INSIDE_OTHER;
  if (icmp->type < ICMP6_FIRST_ERROR || icmp->type > ICMP6_LAST_ERROR) return INSIDE_OTHER;
  if (quoted->version != 6 || quoted->nexthdr != IPPROTO_TCP) return INSIDE_OTHER;
  __builtin_memcpy(connection->tuple.ipv6.saddr, &quoted->daddr, sizeof quoted->daddr);
  __builtin_memcpy(connection->tuple.ipv6.daddr, &quoted->saddr, sizeof quoted->saddr);
  return read_quoted_ports(ctx, outer, offset + sizeof *icmp + sizeof *quoted, ports);
}

static __always_inline int read_inside_ipv6(struct xdp_md* ctx, const struct outer* outer,
                                            struct connection* connection) {
  struct ipv6hdr* ip = header_at(ctx, outer->payload);
  if ((void*)(ip + 1) > frame_end(ctx)) return INSIDE_OTHER;
  const __u32 offset = outer->payload + sizeof *ip;
  struct port_pair ports = {};
  int inside = INSIDE_OTHER;
  if (ip->nexthdr == IPPROTO_TCP) {
    __builtin_memcpy(connection->tuple.ipv6.saddr, &ip->saddr, sizeof ip->saddr);
    __builtin_memcpy(connection->tuple.ipv6.daddr, &ip->daddr, sizeof ip->daddr);
    inside = read_segment(ctx, outer, offset, connection, &ports);
  } else if (ip->nexthdr == IPPROTO_ICMPV6) {
    inside = read_quote_ipv6(ctx, outer, offset, connection, &ports);
  }
  connection->tuple.ipv6.sport = ports.source;
  connection->tuple.ipv6.dport = ports.destination;
  return inside;
}

/* REQUIRES: the inner IP header was checked, `outer->end` is its packet's. `connection` is all zero. */
static __always_inline enum inside read_inside(struct xdp_md* ctx, const struct outer* outer,
                                               struct connection* connection) {
  return outer->protocol == IPPROTO_IPIP ? read_inside_ipv4(ctx, outer, connection)
                                         : read_inside_ipv6(ctx, outer, connection);
}

static __always_inline int has_valid_cookie(struct xdp_md* ctx, const struct outer* outer,
                                            const struct connection* connection, struct bpf_sock* listener) {
  if (connection->tcp == 0) return 0;
  struct tcphdr* tcp = header_at(ctx, connection->tcp);
  if ((void*)(tcp + 1) > frame_end(ctx)) return 0;
  if (connection->is_ipv4) {
    struct iphdr* ip = header_at(ctx, outer->payload);
    if ((void*)(ip + 1) > frame_end(ctx)) return 0;
    return bpf_tcp_check_syncookie(listener, ip, sizeof *ip, tcp, sizeof *tcp) == 0;
  }
  struct ipv6hdr* ip = header_at(ctx, outer->payload);
  if ((void*)(ip + 1) > frame_end(ctx)) return 0;
  return bpf_tcp_check_syncookie(listener, ip, sizeof *ip, tcp, sizeof *tcp) == 0;
}

/* In one network namespace: GUIDEWAY_DECAP_ACCEPTED_… or GO_ON. A global function: the verifier looks at it once. */
__attribute__((noinline)) int who_has(struct xdp_md* ctx, const struct outer* outer, struct connection* connection,
                                      __s64 netns) {
  if (!outer || !connection) return GO_ON;
  struct bpf_sock_tuple* tuple = &connection->tuple;
  struct bpf_sock* socket = connection->is_ipv4 ? bpf_skc_lookup_tcp(ctx, tuple, sizeof tuple->ipv4, (__u64)netns, 0)
                                                : bpf_skc_lookup_tcp(ctx, tuple, sizeof tuple->ipv6, (__u64)netns, 0);
  if (!socket) return GO_ON;
  int end = GUIDEWAY_DECAP_ACCEPTED_SOCKET;
  if (socket->state == BPF_TCP_LISTEN)
    end = has_valid_cookie(ctx, outer, connection, socket) ? GUIDEWAY_DECAP_ACCEPTED_COOKIE : GO_ON;
  bpf_sk_release(socket);
  return end;
}

/* In the interface's own network namespace, then in those of the configuration. */
static __always_inline int find_connection(struct xdp_md* ctx, const struct outer* outer, struct connection* connection,
                                           const struct guideway_decap_config* wanted) {
  int end = who_has(ctx, outer, connection, BPF_F_CURRENT_NETNS);
  for (__u32 i = 0; i < GUIDEWAY_DECAP_NETNS_MAX; i++) {
    if (end != GO_ON || i >= wanted->netns_count) break;
    end = who_has(ctx, outer, connection, wanted->netns[i]);
  }
  return end;
}

#endif
