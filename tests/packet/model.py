"""A model of the packet path, written from the documents and RFCs: what becomes of a frame, byte for byte.

Outer headers are built by scapy; hash and slot tables come from the models in tests/lib.
"""
import dataclasses
import ipaddress
import struct

from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from flow_hash_model import FlowHash, entropy_of, slot_of
from slot_table_model import slot_table

TCP_BYTES, UDP_BYTES, GUE_PORT = 20, 8, 6080
IPIP, IPV6, TCP, UDP_PROTO, FRAGMENT = 4, 41, 6, 17, 44


@dataclasses.dataclass
class Pool:
    encap: str  # ipip, gue, gue1
    slots: int
    backends: list  # (address, weight)


@dataclasses.dataclass
class Vip:
    address: str
    protocol: int
    port: int
    pool: str
    unserved: str = "drop"


@dataclasses.dataclass
class Egress:
    source_mac: str
    next_hop_mac: str
    sources: dict  # by IP version
    mtu: int


@dataclasses.dataclass
class Flow:
    """What parsing finds out. `wrong`: the reason to drop it, should it be for a VIP."""
    version: int
    source: bytes
    destination: bytes
    protocol: int
    packet: bytes
    traffic_class: int
    ports: tuple = (0, 0)
    wrong: str = ""


def ports_of(flow, segment):
    """Fills in ports, or what is wrong with the L4 header."""
    if flow.protocol not in (TCP, UDP_PROTO):
        flow.wrong = "unsupported_protocol"
    elif len(segment) < (TCP_BYTES if flow.protocol == TCP else UDP_BYTES):
        flow.wrong = "l4_truncated"
    else:
        flow.ports = struct.unpack("!HH", segment[:4])
    return flow


def parse_ipv4(data):
    first, tos, total, _, fragment, _, protocol = struct.unpack("!BBHHHBB", data[:10])
    header = 4 * (first & 15)
    flow = Flow(4, data[12:16], data[16:20], protocol, data[:total], tos)
    if first >> 4 != 4 or header < 20 or not header <= total <= len(data):
        flow.wrong = "ipv4_bad_header"
    elif fragment & 0x3FFF:
        flow.wrong = "fragment"
    else:
        return ports_of(flow, data[header:total])
    return flow


def parse_ipv6(data):
    word, payload, protocol = struct.unpack("!IHB", data[:7])
    flow = Flow(6, data[8:24], data[24:40], protocol, data[:40 + payload], word >> 20 & 255)
    if word >> 28 != 6 or 40 + payload > len(data):
        flow.wrong = "ipv6_bad_header"
    elif protocol == FRAGMENT:
        flow.wrong = "fragment"
    else:
        return ports_of(flow, data[40:40 + payload])
    return flow


def parse(frame):
    """None if the frame names no IP addresses."""
    if len(frame) < 14:
        return None
    ether_type, data = struct.unpack("!H", frame[12:14])[0], frame[14:]
    if ether_type == 0x0800 and len(data) >= 20:
        return parse_ipv4(data)
    if ether_type == 0x86DD and len(data) >= 40:
        return parse_ipv6(data)
    return None


class PacketPath:
    """pools: by name."""

    def __init__(self, secret, pools, vips, egress):
        self.hash = FlowHash(secret)
        self.pools, self.egress = pools, egress
        self.slots = {name: slot_table(pool.backends, pool.slots) for name, pool in pools.items()}
        self.services = {(ipaddress.ip_address(vip.address).packed, vip.protocol, vip.port): vip.pool for vip in vips}
        self.unserved = {ipaddress.ip_address(vip.address).packed: vip.unserved for vip in vips}

    def __call__(self, frame):
        """(verdict, detail): forward and the frame that leaves; kernel; drop and the reason."""
        flow = parse(frame)
        if flow is None or flow.destination not in self.unserved:
            return "kernel", frame
        if flow.wrong:
            return "drop", flow.wrong
        pool = self.services.get((flow.destination, flow.protocol, flow.ports[1]))
        if pool is None:
            kernel = self.unserved[flow.destination] == "kernel"
            return ("kernel", frame) if kernel else ("drop", "unserved")
        return self.encapsulate(flow, self.pools[pool], self.slots[pool])

    def encapsulate(self, flow, pool, slots):
        if not slots:
            return "drop", "no_backend"
        value = self.hash(ipaddress.ip_address(flow.source), ipaddress.ip_address(flow.destination), *flow.ports,
                          flow.protocol)
        backend, _ = pool.backends[slots[slot_of(value, len(slots))]]
        outer = self.outer_headers(flow, pool.encap, backend, entropy_of(value))
        leaves = bytes(outer / Raw(flow.packet))
        return ("drop", "too_big") if len(leaves) - 14 > self.egress.mtu else ("forward", leaves)

    def outer_headers(self, flow, encap, backend, entropy):
        version = ipaddress.ip_address(backend).version
        inner = IPIP if flow.version == 4 else IPV6
        carried = inner if encap == "ipip" else UDP_PROTO
        outer = Ether(src=self.egress.source_mac, dst=self.egress.next_hop_mac)
        if version == 4:
            outer /= IP(src=self.egress.sources[4], dst=backend, ttl=64, id=0, flags="DF", proto=carried,
                        tos=flow.traffic_class)
        else:
            outer /= IPv6(src=self.egress.sources[6], dst=backend, hlim=64, nh=carried, tc=flow.traffic_class,
                          fl=entropy & 0xFFFFF)
        if encap != "ipip":
            port = 0xC000 | entropy & 0x3FFF  # 49152 … 65535
            outer /= UDP(sport=port, dport=GUE_PORT, **({"chksum": 0} if version == 4 else {}))
        if encap == "gue":
            outer /= Raw(bytes([0, inner, 0, 0]))
        return outer
