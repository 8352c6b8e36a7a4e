"""What we answer ourselves: docs/packet_policy.md, section 8."""
import struct

from .wire import (ACK, FIN, ICMP4, ICMP6, RST, SYN, TCP, checksum, ipv4_header, ipv6_header, segment_checksum)

QUOTE_MAX = {4: 576 - 20 - 8, 6: 1280 - 40 - 8}
PORT_UNREACHABLE = {4: (3, 3), 6: (1, 4)}
PROTOCOL_UNREACHABLE = {4: (3, 2), 6: (4, 1)}
HOST_UNREACHABLE = {4: (3, 1), 6: (1, 3)}
TOO_BIG = {4: (3, 4), 6: (2, 0)}
TOS_OF_ERRORS = 0xC0


def answer(packet, port_mac, protocol, payload, traffic_class):
    """The frame that goes back: same tags, addresses exchanged."""
    ethernet = packet.frame[6:12] + port_mac + packet.frame[12:packet.l3]
    make = ipv4_header if packet.version == 4 else ipv6_header
    return ethernet + make(packet.destination, packet.source, protocol, len(payload), traffic_class) + payload


def icmp_error(packet, port_mac, type_and_code, rest=0):
    quote = packet.data[:QUOTE_MAX[packet.version]]
    kind, code = type_and_code[packet.version]
    message = struct.pack("!BBHI", kind, code, 0, rest) + quote
    if packet.version == 4:
        proof, protocol = checksum(message), ICMP4
    else:
        proof, protocol = segment_checksum(packet.destination, packet.source, ICMP6, message), ICMP6
    message = message[:2] + proof.to_bytes(2, "big") + message[4:]
    return answer(packet, port_mac, protocol, message, TOS_OF_ERRORS if packet.version == 4 else 0)


def tcp_reset(packet, port_mac):
    """RFC 9293, section 3.10.7.1."""
    segment = packet.segment()
    source_port, destination_port, sequence, acknowledged, offset, flags = struct.unpack_from("!HHIIBB", segment)
    if flags & ACK:
        fields = (acknowledged, 0, RST)
    else:
        length = max(0, len(segment) - 4 * (offset >> 4)) + bool(flags & SYN) + bool(flags & FIN)
        fields = (0, sequence + length & 0xFFFFFFFF, RST | ACK)
    header = struct.pack("!HHIIBBHHH", destination_port, source_port, *fields[:2], 5 << 4, fields[2], 0, 0, 0)
    proof = segment_checksum(packet.destination, packet.source, TCP, header)
    return answer(packet, port_mac, TCP, header[:16] + proof.to_bytes(2, "big") + header[18:], 0)
