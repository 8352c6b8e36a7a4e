"""ICMP to a VIP: docs/packet_policy.md, section 5 (RFC 792, RFC 4443)."""
import struct

from .parse import Chain
from .wire import EXTENSIONS_MAX, ICMP6, OFFSET_MASK, TCP, UDP, checksum, segment_checksum

ECHO_REQUEST = {4: 8, 6: 128}
ECHO_REPLY = {4: 0, 6: 129}
ERRORS = {4: (3, 11, 12), 6: (1, 2, 3, 4)}
PORTS_BYTES = 4


def is_echo_request(packet):
    return packet.segment()[0] == ECHO_REQUEST[packet.version]


def is_error(packet):
    return packet.segment()[0] in ERRORS[packet.version]


def is_checksum_right(packet):
    if packet.version == 4:
        return checksum(packet.segment()) == 0
    return segment_checksum(packet.source, packet.destination, ICMP6, packet.segment()) == 0


def echo_reply(packet):
    """The ICMP message; the reply's addresses are the request's exchanged, which changes no checksum."""
    reply = bytes((ECHO_REPLY[packet.version], packet.segment()[1], 0, 0)) + packet.segment()[4:]
    proof = (checksum(reply) if packet.version == 4
             else segment_checksum(packet.destination, packet.source, ICMP6, reply))
    return reply[:2] + proof.to_bytes(2, "big") + reply[4:]


class Quote:
    """The packet that an ICMP error is about. is_bad: cut before the ports, a later fragment, in
    contradiction with itself, or neither TCP nor UDP."""

    def __init__(self, version, data):
        self.version, self.data = version, data
        self.source = self.destination = self.protocol = None
        self.ports, self.is_bad = (0, 0), True
        if len(data) < (20 if version == 4 else 40) or data[0] >> 4 != version:
            return
        l4 = self.read_ipv4() if version == 4 else self.read_ipv6()
        if l4 is not None and self.protocol in (TCP, UDP) and l4 + PORTS_BYTES <= len(self.data):
            self.ports, self.is_bad = struct.unpack_from("!HH", self.data, l4), False

    def read_ipv4(self):
        """Where L4 begins, or None."""
        data = self.data
        self.source, self.destination, self.protocol = data[12:16], data[16:20], data[9]
        header, total = 4 * (data[0] & 15), data[2] << 8 | data[3]
        if header < 20 or total < header or (data[6] << 8 | data[7]) & OFFSET_MASK:
            return None
        self.data = data[:total]
        return header

    def read_ipv6(self):
        data = self.data
        self.source, self.destination = data[8:24], data[24:40]
        self.data = data[:40 + (data[4] << 8 | data[5])]
        chain = Chain(self.data)
        self.protocol = chain.next
        if chain.count > EXTENSIONS_MAX or chain.is_truncated or chain.fragment and chain.fragment.offset:
            return None
        return chain.at
