"""Frames and their parts as bytes: what a sender would write, and what is asked for beyond it."""
import struct

from model.wire import (ETHER_IP, FRAGMENT, ICMP4, ICMP6, IPV4_HEADER, TCP, UDP, checksum, fragment_header,
                        pseudo_header)


def ethernet(version, source, destination, tags=b""):
    """tags: each with the EtherType that announces it."""
    return destination + source + tags + ETHER_IP[version]


def ipv4(source, destination, protocol, payload, tos=0, ttl=64, identification=0, fragment=0, options=b""):
    """fragment: flags and offset as they lie in the header. options: a multiple of 4 bytes."""
    header = IPV4_HEADER.pack(0x45 + len(options) // 4, tos, 20 + len(options) + len(payload) & 0xFFFF, identification,
                              fragment, ttl, protocol, 0, source, destination) + options
    return header[:10] + checksum(header).to_bytes(2, "big") + header[12:] + payload


def ipv6(source, destination, protocol, payload, traffic_class=0, hops=64, label=0, chain=()):
    """chain: extension headers as (protocol, bytes); the first byte of each is filled in here."""
    following = [kind for kind, _ in chain[1:]] + [protocol]
    extensions = b"".join(bytes([after]) + header[1:] for (_, header), after in zip(chain, following))
    first = chain[0][0] if chain else protocol
    return struct.pack("!IHBB", 6 << 28 | traffic_class << 20 | label, len(extensions) + len(payload) & 0xFFFF, first,
                       hops) + source + destination + extensions + payload


def extension(random, kind):
    """A header of 8 … 24 bytes."""
    if kind == FRAGMENT:  # RFC 6946: of a packet in one piece
        return kind, fragment_header(0, 0, False, random.getrandbits(32))
    units = random.choice((0, 0, 0, 1, 2))
    return kind, bytes((0, units, 1, 4 + 8 * units)) + bytes(4 + 8 * units)


def with_checksum(segment, at, source, destination, protocol):
    proof = checksum(pseudo_header(source, destination, protocol, len(segment)) + segment)
    return segment[:at] + proof.to_bytes(2, "big") + segment[at + 2:]


def tcp(source, destination, ports, payload, flags, sequence, acknowledged, options=b""):
    offset = 5 + len(options) // 4
    header = struct.pack("!HHIIBBHHH", *ports, sequence, acknowledged, offset << 4, flags, 8192, 0, 0) + options
    return with_checksum(header + payload, 16, source, destination, TCP)


def udp(source, destination, ports, payload):
    segment = struct.pack("!HHHH", *ports, 8 + len(payload) & 0xFFFF, 0) + payload
    return with_checksum(segment, 6, source, destination, UDP)


def icmp(source, destination, kind, code, rest, payload):
    """rest: the four bytes behind the checksum."""
    message = bytes((kind, code, 0, 0)) + rest + payload
    if len(source) == 16:
        return with_checksum(message, 2, source, destination, ICMP6)
    return message[:2] + checksum(message).to_bytes(2, "big") + message[4:]


ICMP_OF = {4: ICMP4, 6: ICMP6}
