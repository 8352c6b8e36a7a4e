/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/* For tc: gives each IPv4 packet VLAN tag 7, beside the frame and not in it. A device that cannot send such a tag
 * beside the frame (`ethtool -K DEV txvlan off`) gets it into the frame by the kernel. */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

SEC("tc")
int push_tag(struct __sk_buff* skb) {
  if (skb->protocol == bpf_htons(ETH_P_IP) || skb->protocol == bpf_htons(ETH_P_8021Q))
    bpf_skb_vlan_push(skb, bpf_htons(ETH_P_8021Q), 7);
  return TC_ACT_OK;
}

char LICENSE[] SEC("license") = "GPL";
