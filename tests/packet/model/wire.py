"""Headers as they lie on the wire, and their checksums (RFC 791, RFC 8200, RFC 1071)."""
import struct

ICMP4, IPIP, TCP, UDP, IPV6, GRE, ICMP6 = 1, 4, 6, 17, 41, 47, 58
HOP_BY_HOP, ROUTING, FRAGMENT, DESTINATION_OPTIONS = 0, 43, 44, 60
EXTENSIONS = frozenset((HOP_BY_HOP, ROUTING, FRAGMENT, DESTINATION_OPTIONS))
EXTENSIONS_MAX = 8
TCP_BYTES, UDP_BYTES, ICMP_BYTES = 20, 8, 8
FIN, SYN, RST, ACK = 1, 2, 4, 16
GUE_PORT = 6080
IP_BYTES_MAX = 65535
IPV6_MTU_MIN = 1280

ETHER_IP = {4: b"\x08\x00", 6: b"\x86\xdd"}
ETHER_VLAN, ETHER_QINQ = b"\x81\x00", b"\x88\xa8"

DONT_FRAGMENT, MORE_FRAGMENTS, OFFSET_MASK = 0x4000, 0x2000, 0x1FFF

IPV4_HEADER = struct.Struct("!BBHHHBBH4s4s")
IPV6_HEADER = struct.Struct("!IHBB16s16s")


def checksum(data):
    """RFC 1071. 2^16 is 1 modulo 65535, so the sum of the words is the remainder of the whole as one number."""
    if len(data) & 1:
        data += b"\0"
    number = int.from_bytes(data, "big")
    return 0xFFFF - (number % 0xFFFF or (0xFFFF if number else 0))


def pseudo_header(source, destination, protocol, length):
    """RFC 9293, section 3.1; RFC 8200, section 8.1."""
    if len(source) == 4:
        return struct.pack("!4s4sHH", source, destination, protocol, length)
    return struct.pack("!16s16sII", source, destination, length, protocol)


def segment_checksum(source, destination, protocol, segment):
    return checksum(pseudo_header(source, destination, protocol, len(segment)) + segment)


def ipv4_header(source, destination, protocol, payload_bytes, tos=0, identification=0, fragment=DONT_FRAGMENT):
    header = IPV4_HEADER.pack(0x45, tos, 20 + payload_bytes, identification, fragment, 64, protocol, 0, source,
                              destination)
    return header[:10] + checksum(header).to_bytes(2, "big") + header[12:]


def ipv6_header(source, destination, protocol, payload_bytes, traffic_class=0, label=0):
    return IPV6_HEADER.pack(6 << 28 | traffic_class << 20 | label, payload_bytes, protocol, 64, source, destination)


def fragment_header(protocol, offset, more, identification):
    """RFC 8200, section 4.5; the offset in bytes."""
    return struct.pack("!BBHI", protocol, 0, offset | more, identification)
