"""Frames to compare the data plane and the model with: sound ones, mutated ones, odd ones, garbage. All from one seed.

They stay below what the memory for fragments holds: few datagrams are under way at a time, each from a client of
its own.
"""
import heapq
import struct

import frames
from generated_datagrams import Datagrams
from generated_flows import Connections
from generated_icmp import Icmp
from generated_odd import Odd
from generated_quic import Quic
from model.encap import SHIM_BYTES
from model.ways import mac_bytes
from model.wire import (DESTINATION_OPTIONS, DONT_FRAGMENT, ETHER_QINQ, ETHER_VLAN, FRAGMENT, HOP_BY_HOP, ROUTING, TCP,
                        UDP)
from model_changes import may_change

IP_BYTES_MAX = 1500
UNDER_WAY_MAX = 40  # frames
HOP_LISTS_BYTES = {20: (12, 16, 20, 24), 40: (24, 40, 56)}  # of one hop and more, by outer header
STEP_S = 0.002  # between two frames at most, so that a second is about a thousand frames
CLIENT_MAC = bytes.fromhex("02000000000c")
GROUP_MACS = (bytes.fromhex("ffffffffffff"), bytes.fromhex("01005e000001"), bytes.fromhex("333300000001"))
SPECIAL_BYTES = (0, 1, 4, 6, 17, 43, 44, 58, 60, 0x20, 0x40, 0x44, 0x45, 0x46, 0x4F, 0x60, 0x80, 0xFF)
KINDS_OF_EXTENSIONS = (HOP_BY_HOP, ROUTING, DESTINATION_OPTIONS, DESTINATION_OPTIONS, FRAGMENT)
FLAGS = (0x02, 0x10, 0x18, 0x11, 0x04, 0x14, 0x12, 0x00, 0x03, 0xFF)


class Target:
    """Where a packet goes: version, address, protocol and port; and the client it comes from. quic_pool: whose
    connection IDs fit, or None."""
    __slots__ = ("version", "source", "address", "protocol", "port", "client_port", "quic_pool")


class Generator:
    """vips, pools, port: as configured (model.tables): most frames are for a service, and some around its MTU."""

    def __init__(self, random, vips, pools, port):
        self.random, self.vips, self.port_mac = random, vips, mac_bytes(port.mac)
        self.prefixes = [vip.prefix() for vip in vips]
        self.own = [(4 if ":" not in text else 6, text) for text in (*port.sources.values(), *port.source_prefixes)]
        self.sizes = self.sizes_at_limits(pools, port)
        self.now, self.sequence, self.under_way = 0.0, 0, []
        self.datagrams, self.icmp, self.odd, self.quic = Datagrams(self), Icmp(self), Odd(self), Quic(random)
        self.quic_pools = [pools[vip.pool] if vip.protocol == "quic" else None for vip in vips]
        self.connections = Connections(self, [place for place, vip in enumerate(vips) if may_change(pools[vip.pool])])

    @staticmethod
    def sizes_at_limits(pools, port):
        """Sizes of IP packets that just fit, and just do not."""
        overheads = {ip + shim for ip in (20, 40) for shim in SHIM_BYTES.values()} | {0}
        overheads |= {ip + SHIM_BYTES["gue"] + size for ip, sizes in HOP_LISTS_BYTES.items() for size in sizes}
        mtus = {backend.mtu or port.mtu for pool in pools.values() for backend in pool.backends}
        sizes = {mtu - overhead + more for mtu in mtus for overhead in overheads for more in (0, 1)}
        return sorted(size for size in sizes | {1280, 1281} if size <= IP_BYTES_MAX)

    def frames(self, count):
        """(time, frame) each; the time never goes back."""
        for _ in range(count):
            self.now += STEP_S * self.random.random()
            yield self.now, self.next_frame()

    def next_frame(self):
        if self.under_way and self.under_way[0][0] <= self.now:
            return heapq.heappop(self.under_way)[2]
        if frame := self.connections.due(self.now):
            return frame
        if self.random.random() < 0.05 and self.connections.may_begin():
            return self.connections.begin()
        kind = self.random.random()
        if kind < 0.06 and self.has_room_for_datagrams():
            return self.datagrams.begin(self.target())
        if kind < 0.55:
            return self.valid()
        if kind < 0.82:
            return self.mutated(self.valid())
        if kind < 0.95:
            return self.odd.frame()
        return self.garbage()

    def has_room_for_datagrams(self):
        return len(self.under_way) < UNDER_WAY_MAX

    def later(self, delay_s, frame):
        """Keeps a frame until then."""
        self.sequence += 1
        heapq.heappush(self.under_way, (self.now + delay_s, self.sequence, frame))

    def valid(self):
        kind = self.random.random()
        if kind < 0.80:
            return self.flow_frame(self.target())
        if kind < 0.89:
            return self.icmp.echo(self.target())
        return self.icmp.error(self.target())

    # Where to, where from.

    def target(self):
        target = self.served_target(self.random.randrange(len(self.vips)))
        chance = self.random.random()
        if chance < 0.04:
            target.address = self.client(target.version)
        elif chance < 0.10:
            target.port = self.random.choice((0, 1, 22, 53, 80, 443, 6080, 65535))
        elif chance < 0.16:
            target.protocol = TCP + UDP - target.protocol
        return target

    def served_target(self, position):
        """A client of the VIP at this position."""
        target, vip, prefix = Target(), self.vips[position], self.prefixes[position]
        target.version, target.protocol, target.port = prefix.version, vip.number(), vip.port
        target.address, target.quic_pool = self.address_in(prefix), self.quic_pools[position]
        if not vip.port:
            target.port = self.random.choice((0, 443, 6080, 65535, self.random.getrandbits(16)))
        target.source = self.client(target.version)
        target.client_port = self.random.choice((0, 65535, *struct.unpack("!4H", self.random.randbytes(8))))
        return target

    def address_in(self, prefix):
        host = self.random.getrandbits(128) & int(prefix.hostmask)
        return (int(prefix.network_address) | host).to_bytes(prefix.max_prefixlen // 8, "big")

    def client(self, version):
        host = self.random.randbytes(8)
        if self.random.random() < 0.2:  # no octet below 128
            host = bytes(byte | 0x80 for byte in host)
        if version == 4:
            return self.random.choice((b"\xc6", b"\x0c", b"\xdf")) + host[:3]
        return self.random.choice((b"\x20\x01\x0d\xb8\0\x07\xff\xff", b"\xfd\xff\xff\xff\xff\xff\xff\xff")) + host

    # Sound packets.

    def ethernet(self, version):
        chance, tags, destination, source = self.random.random(), b"", self.port_mac, CLIENT_MAC
        if chance < 0.08:
            tags = ETHER_VLAN + self.random.randbytes(2)
        elif chance < 0.12:
            tags = (self.random.choice((ETHER_VLAN, ETHER_QINQ)) + self.random.randbytes(2)
                    + self.random.choice((ETHER_VLAN, ETHER_QINQ)) + self.random.randbytes(2))
        elif chance < 0.14:
            destination = self.random.choice(GROUP_MACS)
        elif chance < 0.15:
            source = self.port_mac
        return frames.ethernet(version, source, destination, tags)

    def traffic_class(self):
        return self.random.choice((0, 0, 1, 2, 3, 0xB8, 0xFF, self.random.getrandbits(8)))

    def options(self):
        """Of IPv4, mostly none. Some are to be copied into fragments, some are malformed."""
        if self.random.random() > 0.1:
            return b""
        return self.random.choice((
            b"\x94\x04\0\0", b"\x94\x04\0\0\x07\x07\x04\0\0\0\0\0", b"\x01\x01\x01\0", b"\x07\x0b\x04" + bytes(9),
            bytes([1] * 40), self.random.randbytes(4 * self.random.randint(1, 10))))

    def chain(self):
        """Extension headers, mostly none, sometimes more than are followed."""
        if self.random.random() > 0.15:
            return ()
        count = self.random.choice((1, 1, 1, 2, 3, 7, 8, 9, 10))
        return [frames.extension(self.random, self.random.choice(KINDS_OF_EXTENSIONS)) for _ in range(count)]

    def packet(self, target, protocol, payload, flags=None):
        """The IP packet around a payload from the client."""
        hops = self.random.choice((0, 1, 64, 255))
        if target.version == 6:
            return frames.ipv6(target.source, target.address, protocol, payload, self.traffic_class(), hops,
                               self.random.getrandbits(20), self.chain())
        if flags is None:
            flags = self.random.choice((0, DONT_FRAGMENT))
        return frames.ipv4(target.source, target.address, protocol, payload, self.traffic_class(), hops,
                           self.random.getrandbits(16), flags, self.options())

    def plain_packet(self, target, segment):
        """Without anything that could be wrong with it."""
        if target.version == 6:
            return frames.ipv6(target.source, target.address, target.protocol, segment)
        return frames.ipv4(target.source, target.address, target.protocol, segment, fragment=self.random.choice(
            (0, DONT_FRAGMENT)))

    def frame_of(self, target, packet):
        frame = self.ethernet(target.version) + packet
        if len(frame) < 60 or self.random.random() < 0.05:  # what Ethernet pads need not be zero
            frame += self.random.randbytes(max(60 - len(frame), self.random.randint(0, 4)))
        return frame

    def payload(self, headers_bytes):
        """Mostly small ones; a part is around the largest that fit."""
        chance = self.random.random()
        if chance < 0.55:
            return self.random.randbytes(self.random.choice((0, 1, 6, 32, 100)))
        size = self.random.choice(self.sizes) if chance < 0.85 else self.random.randint(0, IP_BYTES_MAX)
        return bytes(max(0, size - headers_bytes - 1)) + self.random.randbytes(1)

    def segment(self, target, payload):
        ports = (target.client_port, target.port)
        if target.protocol == UDP:
            return frames.udp(target.source, target.address, ports, payload)
        options = b"\x02\x04\x05\xb4" if self.random.random() < 0.3 else b""
        numbers = self.random.getrandbits(64)
        return frames.tcp(target.source, target.address, ports, payload, self.random.choice(FLAGS), numbers >> 32,
                          numbers & 0xFFFFFFFF, options)

    def flow_frame(self, target):
        headers = (20 if target.version == 4 else 40) + (20 if target.protocol == TCP else 8)
        if target.quic_pool and self.random.random() < 0.9:
            payload = self.quic.payload(target.quic_pool)
        else:
            payload = self.payload(headers)
        packet = self.packet(target, target.protocol, self.segment(target, payload))
        return self.frame_of(target, packet if len(packet) <= IP_BYTES_MAX else packet[:IP_BYTES_MAX])

    # Others.

    def mutated(self, frame):
        frame = bytearray(frame)
        for _ in range(self.random.choice((1, 1, 2, 3))):
            change, at = self.random.random(), self.random.randrange(min(len(frame), 120))
            if self.random.random() < 0.7:  # mostly in the IP header
                at = min(len(frame) - 1, 14 + at % 40)
            if change < 0.35:
                frame[at] ^= 1 << self.random.randrange(8)
            elif change < 0.65:
                frame[at] = self.random.choice(SPECIAL_BYTES)
            elif change < 0.75:
                frame = frame[:self.random.randint(1, len(frame))]
            else:
                self.change_length(frame)
        return bytes(frame)

    def change_length(self, frame):
        offset = 16 if frame[12:14] == b"\x08\x00" else 18
        if len(frame) > offset + 2:
            length = struct.unpack_from("!H", frame, offset)[0] + self.random.randint(-60, 60)
            struct.pack_into("!H", frame, offset, length & 0xFFFF)

    def garbage(self):
        ether_type = self.random.choice((b"\x08\x00", b"\x86\xdd", b"\x08\x06", b"\x81\x00", self.random.randbytes(2)))
        frame = self.random.randbytes(12) + ether_type + self.random.randbytes(self.random.randint(0, 200))
        return frame[:self.random.randint(1, len(frame))]
