"""Finds addresses, headers and fragments, and says what is wrong with them: docs/packet_policy.md, sections 1 and 2."""
import struct

from .wire import (DONT_FRAGMENT, ETHER_IP, ETHER_QINQ, ETHER_VLAN, EXTENSIONS, EXTENSIONS_MAX, FRAGMENT,
                   IP_BYTES_MAX, MORE_FRAGMENTS, OFFSET_MASK)

LOOPBACK6 = bytes(15) + b"\1"


class Packet:
    """frame: as it came. l3: where the IP header begins. The rest is there once `problem_of()` found none:
    data: the IP packet without padding; l4: where the L4 header begins in it; protocol_at: the byte that names it."""
    __slots__ = ("frame", "l3", "version", "source", "destination", "data", "l4", "protocol", "protocol_at", "fragment",
                 "number")

    def __init__(self, frame, l3, version, source, destination):
        self.frame, self.l3, self.version, self.source, self.destination = frame, l3, version, source, destination
        self.fragment = None

    def segment(self):
        return self.data[self.l4:]

    def traffic_class(self):
        return self.data[1] if self.version == 4 else (self.data[0] << 4 | self.data[1] >> 4) & 255

    def may_be_fragmented(self):
        if self.version == 4:
            return not struct.unpack_from("!H", self.data, 6)[0] & DONT_FRAGMENT
        return False

    def is_to_group(self):
        """IEEE 802, the lowest bit of the first byte of the destination."""
        return bool(self.frame[0] & 1)


class Fragment:
    """offset and length of the fragment's payload in bytes; begin: where it lies in Packet.data."""
    __slots__ = ("offset", "more", "identification", "begin", "length")

    def __init__(self, offset, more, identification, begin, length):
        self.offset, self.more, self.identification = offset, more, identification
        self.begin, self.length = begin, length


def parse(frame):
    """None if the frame names no IP addresses."""
    at = 12
    for _ in range(2):
        if frame[at:at + 2] in (ETHER_VLAN, ETHER_QINQ):
            at += 4
    ether_type, l3 = frame[at:at + 2], at + 2
    if ether_type == ETHER_IP[4] and len(frame) >= l3 + 20:
        return Packet(frame, l3, 4, frame[l3 + 12:l3 + 16], frame[l3 + 16:l3 + 20])
    if ether_type == ETHER_IP[6] and len(frame) >= l3 + 40:
        return Packet(frame, l3, 6, frame[l3 + 8:l3 + 24], frame[l3 + 24:l3 + 40])
    return None


def is_bad_source(packet):
    source = packet.source
    if source == packet.destination:
        return True
    if packet.version == 4:
        return (source[0] == 127 or source[0] >> 4 == 14 or source[:2] == b"\xa9\xfe"
                or source in (b"\0\0\0\0", b"\xff\xff\xff\xff"))
    return (source[0] == 255 or source[0] == 0xFE and source[1] >> 6 == 2
            or source[0] == 0 and source in (bytes(16), LOOPBACK6))


def problem_of(packet):
    """The reason to drop it, should it be for a VIP; or None."""
    return problem_of_ipv4(packet) if packet.version == 4 else problem_of_ipv6(packet)


def problem_of_ipv4(packet):
    data = packet.frame[packet.l3:]
    header, total = 4 * (data[0] & 15), data[2] << 8 | data[3]
    if data[0] >> 4 != 4:
        return "ipv4_bad_version"
    if not 20 <= header <= len(data):
        return "ipv4_bad_header_length"
    if not header <= total <= len(data):
        return "ipv4_bad_total_length"
    packet.data, packet.l4, packet.protocol, packet.protocol_at = data[:total], header, data[9], 9
    word = data[6] << 8 | data[7]
    if word & (MORE_FRAGMENTS | OFFSET_MASK):
        packet.fragment = Fragment(8 * (word & OFFSET_MASK), bool(word & MORE_FRAGMENTS), data[4:6], header,
                                   total - header)
    return None


def problem_of_ipv6(packet):
    data = packet.frame[packet.l3:]
    length = 40 + (data[4] << 8 | data[5])
    if data[0] >> 4 != 6:
        return "ipv6_bad_version"
    if length > len(data):
        return "ipv6_bad_length"
    if length > IP_BYTES_MAX:
        return "too_big"
    packet.data = data[:length]
    chain = Chain(packet.data)
    packet.l4, packet.protocol, packet.protocol_at = chain.at, chain.next, chain.named_at
    packet.fragment = chain.fragment
    if chain.count > EXTENSIONS_MAX:
        return "ipv6_too_many_extensions"
    if chain.is_truncated:
        return "fragment_tiny" if chain.fragment else "ipv6_extension_truncated"
    return None


class Chain:
    """The extension headers of an IPv6 packet (RFC 8200, section 4), up to the first that is none. A later fragment's
    end at its fragment header. next: what follows; at: where; named_at: the byte that names it."""

    def __init__(self, data):
        self.at, self.named_at, self.next = 40, 6, data[6]
        self.count, self.fragment, self.is_truncated = 0, None, False
        while self.next in EXTENSIONS:
            self.count += 1
            if self.count > EXTENSIONS_MAX or not self.step(data):
                return

    def step(self, data):
        """Over one extension header; False at the end of the chain."""
        room = len(data) - self.at
        size = 8 if self.next == FRAGMENT or room < 2 else 8 + 8 * data[self.at + 1]
        if room < size:
            self.is_truncated = True
            return False
        is_fragment = self.next == FRAGMENT
        self.next, self.named_at, self.at = data[self.at], self.at, self.at + size
        if is_fragment:
            return self.step_over_fragment(data)
        return True

    def step_over_fragment(self, data):
        word, identification = struct.unpack_from("!H4s", data, self.at - 6)
        offset, more = word & 0xFFF8, bool(word & 1)
        if not offset and not more:  # RFC 6946
            return True
        if self.fragment:  # fragments of a fragment: no L4 header can be known
            self.next = FRAGMENT
            return False
        self.fragment = Fragment(offset, more, identification, self.at, len(data) - self.at)
        return offset == 0
