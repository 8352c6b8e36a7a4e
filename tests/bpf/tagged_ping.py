#!/usr/bin/python3
"""Pings with VLAN tags: says which tags the answer has, the outer one first, or that there is none.

usage: tagged_ping.py INTERFACE MAC_TO IP_FROM IP_TO [TYPE:ID …]      (e.g. 0x88a8:5 0x8100:7)
"""
import select
import socket
import struct
import sys
import time

from scapy.all import ICMP, IP, Dot1AD, Dot1Q, Ether, Raw, raw

SOL_PACKET = 263
PACKET_AUXDATA = 8
TP_STATUS_VLAN_VALID = 1 << 4


def with_tags(packet, tags):
    for tag in reversed(tags):
        ether_type, number = (int(word, 0) for word in tag.split(":"))
        packet = (Dot1AD if ether_type == 0x88A8 else Dot1Q)(vlan=number) / packet
    return packet


def tags_of(frame, auxiliary):
    """The kernel takes the first tag out of the frame and tells it beside."""
    tags = []
    for level, kind, data in auxiliary:
        if (level, kind) == (SOL_PACKET, PACKET_AUXDATA):
            status, tci = struct.unpack_from("=I12xH", data)
            if status & TP_STATUS_VLAN_VALID:
                tags.append(tci & 0xFFF)
    tags += [layer.vlan for layer in (frame.getlayer(Dot1Q, n) for n in (1, 2)) if layer]
    return tags


def main():
    interface, mac_to, ip_from, ip_to, *tags = sys.argv[1:]
    link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    link.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
    link.bind((interface, 0))
    packet = IP(src=ip_from, dst=ip_to) / ICMP(id=77) / Raw(bytes(range(32)))
    link.send(raw(Ether(src=link.getsockname()[4], dst=mac_to) / with_tags(packet, tags)))
    deadline = time.monotonic() + 1
    while (left := deadline - time.monotonic()) > 0 and select.select([link], [], [], left)[0]:
        data, auxiliary, *_ = link.recvmsg(65536, 256)
        frame = Ether(data)
        if ICMP in frame and frame[ICMP].type == 0 and frame[ICMP].id == 77:
            print("answer with tags", tags_of(frame, auxiliary))
            return 0
    print("no answer")
    return 1


if __name__ == "__main__":
    sys.exit(main())
