"""Outer headers, and what is too big for them: docs/packet_policy.md, sections 6 and 7."""
import struct

from .ways import ethernet
from .wire import (ETHER_IP, FRAGMENT, GRE, GUE_PORT, IP_BYTES_MAX, IPIP, IPV4_HEADER, IPV6, IPV6_MTU_MIN,
                   MORE_FRAGMENTS, UDP, checksum, fragment_header, ipv4_header, ipv6_header, segment_checksum)

INNER_PROTOCOL = {4: IPIP, 6: IPV6}
HOPS_MAX = {4: 4, 6: 3}  # by the outer header's version
SHIM_BYTES = {"ipip": 0, "gue": 12, "gue1": 8, "gre": 4}


def overhead_of(way):
    return 0 if way.encap == "l2dsr" else SHIM_BYTES[way.encap] + (20 if way.version == 4 else 40)


def hop_list(way, hops, generation):
    """The private data of a GUE header: docs/second_chance.md. hops: addresses as bytes."""
    if not hops:
        return b""
    front = struct.pack("!HBB", 0 if way.version == 4 else 1, 0, len(hops))
    return front + b"".join(hops) + struct.pack("!I", generation)


def longest_list(way):
    return len(hop_list(way, [way.destination] * HOPS_MAX[way.version], 0))


class Outer:
    """The outer headers of one packet. hops: the list of them, if any."""

    def __init__(self, way, version, traffic_class, entropy, hops=b""):
        self.way, self.version, self.entropy, self.hops = way, version, entropy, hops
        self.traffic_class = way.traffic_class(traffic_class)
        self.source = way.source_of(entropy)
        self.protocol = {"ipip": INNER_PROTOCOL[version], "gre": GRE}.get(way.encap, UDP)

    def frame(self, inner):
        if self.way.encap == "l2dsr":
            return ethernet(self.way.ethernet, self.version) + inner
        payload = self.payload(inner)
        return ethernet(self.way.ethernet, self.way.version) + self.ip_header(len(payload)) + payload

    def payload(self, inner):
        """Of the outer IP packet."""
        if self.way.encap == "ipip":
            return inner
        if self.way.encap == "gre":
            return b"\0\0" + ETHER_IP[self.version] + inner
        gue = b""
        if self.way.encap == "gue":
            gue = bytes((len(self.hops) // 4, INNER_PROTOCOL[self.version], 0, 0)) + self.hops
        ports = struct.pack("!HHH", 0xC000 | self.entropy & 0x3FFF, GUE_PORT, 8 + len(gue) + len(inner))
        if self.way.version == 4:
            return ports + b"\0\0" + gue + inner
        proof = segment_checksum(self.source, self.way.destination, UDP, ports + b"\0\0" + gue + inner)
        return ports + (proof or 0xFFFF).to_bytes(2, "big") + gue + inner

    def ip_header(self, payload_bytes):
        if self.way.version == 4:
            return ipv4_header(self.source, self.way.destination, self.protocol, payload_bytes, self.traffic_class)
        return ipv6_header(self.source, self.way.destination, self.protocol, payload_bytes, self.traffic_class,
                           self.entropy & 0xFFFFF)

    def fragments(self, inner, identification):
        """The frames of an outer packet that is larger than the way's MTU."""
        payload, front = self.payload(inner), ethernet(self.way.ethernet, self.way.version)
        frames = []
        for offset, part in parts_of(payload, self.way.mtu - (20 if self.way.version == 4 else 48)):
            more = offset + len(part) < len(payload)
            if self.way.version == 4:
                word = offset // 8 | (MORE_FRAGMENTS if more else 0)
                header = ipv4_header(self.source, self.way.destination, self.protocol, len(part), self.traffic_class,
                                     identification & 0xFFFF, word)
            else:
                header = ipv6_header(self.source, self.way.destination, FRAGMENT, 8 + len(part), self.traffic_class,
                                     self.entropy & 0xFFFFF)
                header += fragment_header(self.protocol, offset, more, identification)
            frames.append(front + header + part)
        return frames


def parts_of(payload, room):
    """(offset, bytes) each, as RFC 791, section 3.2, makes them: multiples of 8, but the last may use all the room."""
    offset = 0
    while len(payload) - offset > room:
        yield offset, payload[offset:offset + room // 8 * 8]
        offset += room // 8 * 8
    yield offset, payload[offset:]


def fragments_of_ipv4(packet, mtu):
    """RFC 791, section 3.2: as a router makes them. None if the MTU has no room for 8 bytes of payload."""
    header_bytes = 4 * (packet[0] & 15)
    if mtu - header_bytes < 8:
        return None
    fields = IPV4_HEADER.unpack_from(packet)
    fragments = []
    for offset, part in parts_of(packet[header_bytes:], mtu - header_bytes):
        options = packet[20:header_bytes] if offset == 0 else copied_options(packet[20:header_bytes])
        word = fields[4] + offset // 8
        if header_bytes + offset + len(part) < len(packet):
            word |= MORE_FRAGMENTS
        header = IPV4_HEADER.pack(0x45 + len(options) // 4, fields[1], 20 + len(options) + len(part), fields[3], word,
                                  *fields[5:7], 0, *fields[8:]) + options
        fragments.append(header[:10] + checksum(header).to_bytes(2, "big") + header[12:] + part)
    return fragments


def copied_options(options):
    """Those without the copied flag (RFC 791, section 3.1) become "no operation", so that all headers are as long. The
    policy says nothing of lengths that cannot be: here the data plane is followed, which takes the nearest that can."""
    copied, at = bytearray(options), 0
    while at < len(options) and options[at] != 0:
        length = 1
        if options[at] != 1:
            length = min(max(options[at + 1] if at + 1 < len(options) else 0, 2), len(options) - at)
        if not options[at] & 0x80:
            copied[at:at + length] = b"\1" * length
        at += length
    return bytes(copied)


def is_answered_when_too_big(packet):
    if packet.version == 6:
        return len(packet.data) > IPV6_MTU_MIN
    return not packet.may_be_fragmented()


def frames_when_too_big(outer, packet, next_identification):
    """[] if it has to be dropped."""
    way, oversize = outer.way, outer.way.oversize
    if oversize == "drop" or way.encap == "l2dsr" and packet.version == 6:
        return []
    if packet.version == 4 and (way.encap == "l2dsr" or oversize == "fragment-inner"):
        outer.hops = b""
        inner = fragments_of_ipv4(packet.data, way.mtu - overhead_of(way))
        return [outer.frame(part) for part in inner or ()]
    if overhead_of(way) + len(outer.hops) + len(packet.data) > IP_BYTES_MAX:
        return []
    return outer.fragments(packet.data, next_identification())
