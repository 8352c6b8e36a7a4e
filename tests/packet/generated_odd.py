"""Well-formed, but nothing that is simply balanced: bad sources, loops, tunnels, strange protocols, ARP, three tags."""
import ipaddress
import struct

import frames
from model.wire import (DESTINATION_OPTIONS, FRAGMENT, GRE, GUE_PORT, HOP_BY_HOP, IPIP, IPV6, MORE_FRAGMENTS, ROUTING,
                        TCP, UDP, fragment_header)

BAD_SOURCES = {
    4: ("0.0.0.0", "0.0.0.1", "127.0.0.1", "127.255.255.255", "128.0.0.1", "169.254.0.1", "169.253.0.1", "224.0.0.1",
        "239.255.255.255", "240.0.0.1", "255.255.255.255", "255.255.255.254"),
    6: ("::", "::1", "::2", "fe80::1", "febf::1", "fec0::1", "ff02::1", "feff::1", "::ffff:198.51.100.7"),
}
PROTOCOLS = (0, 2, 4, 41, 43, 44, 46, 47, 50, 51, 58, 1, 59, 60, 89, 132, 135, 255)


class Odd:
    def __init__(self, generator):
        self.generator, self.random = generator, generator.random
        self.kinds = (self.bad_source, self.bad_source, self.loop, self.loop, self.tunnel, self.protocol, self.protocol,
                      self.icmp, self.unserved, self.unserved, self.three_tags, self.arp, self.fragment, self.fragment,
                      self.short, self.chain)

    def frame(self):
        return self.random.choice(self.kinds)(self.generator.target())

    def bad_source(self, target):
        target.source = ipaddress.ip_address(self.random.choice(BAD_SOURCES[target.version])).packed
        if self.random.random() < 0.1:
            target.source = target.address
        return self.generator.flow_frame(target)

    def own_address(self, version):
        texts = [text for own_version, text in self.generator.own if own_version == version]
        if not texts:
            return self.generator.client(version)
        return self.generator.address_in(ipaddress.ip_network(self.random.choice(texts)))

    def loop(self, target):
        """To or from our own addresses, encapsulated or not."""
        if self.random.random() < 0.5:
            target.address = self.own_address(target.version)
        else:
            target.source = self.own_address(target.version)
            if self.random.random() < 0.7:
                target.address = self.generator.client(target.version)
        return self.generator.flow_frame(target) if self.random.random() < 0.2 else self.tunnel(target)

    def tunnel(self, target):
        inner = frames.ipv4(b"\xc6\x33\x64\x07", b"\xcb\x00\x71\x0a", UDP, bytes(self.random.choice((0, 8, 100))))
        protocol = self.random.choice((IPIP, IPV6, GRE, UDP, UDP))
        payload = inner
        if protocol == GRE:
            payload = bytes(2) + b"\x08\x00" + inner
        elif protocol == UDP:
            payload = frames.udp(target.source, target.address, (49152, GUE_PORT), bytes((0, IPIP, 0, 0)) + inner)
        return self.generator.frame_of(target, self.generator.packet(target, protocol, payload))

    def protocol(self, target):
        payload = self.random.randbytes(self.random.choice((0, 4, 8, 20, 100, 1400)))
        return self.generator.frame_of(target, self.generator.packet(target, self.random.choice(PROTOCOLS), payload))

    def icmp(self, target):
        kind = self.random.choice((0, 3, 4, 5, 8, 11, 13, 127, 128, 129, 133, 135, self.random.getrandbits(8)))
        payload = self.random.randbytes(self.random.choice((0, 8, 60)))
        return self.generator.icmp.frame(target, kind, 0, bytes(4), payload)

    def unserved(self, target):
        """Addresses of VIPs with ports and flags of all kinds: what resets and errors are made from."""
        target.port = self.random.choice((0, 22, 6080, 6081, 65535, self.random.getrandbits(16)))
        return self.generator.flow_frame(target)

    def three_tags(self, target):
        frame = self.generator.flow_frame(target)
        return frame[:12] + b"\x81\x00\0\7\x81\x00\0\x08\x81\x00\0\x09" + frame[12:]

    def arp(self, target):
        address = target.address if target.version == 4 else b"\xc0\0\2\1"
        body = struct.pack("!HHBBH6s4s6s4s", 1, 0x0800, 6, 4, 1, b"\2\0\0\0\0\x0c", b"\xc6\x33\x64\x07", bytes(6),
                           address)
        return b"\xff" * 6 + b"\2\0\0\0\0\x0c" + b"\x08\x06" + body

    def fragment(self, target):
        """A single fragment with anything in it."""
        offset = self.random.choice((0, 0, 8, 16, 24, 1480, 65480, 65512, 65528))
        more = self.random.random() < 0.5
        protocol = self.random.choice((TCP, UDP, UDP, target.protocol, *self.random.sample(PROTOCOLS, 2)))
        data = self.random.randbytes(self.random.choice((0, 4, 7, 8, 16, 24, 40, 56)))
        if target.version == 4:
            packet = frames.ipv4(target.source, target.address, protocol, data, 0, 64, self.random.getrandbits(16),
                                 offset // 8 | (MORE_FRAGMENTS if more else 0), self.generator.options())
        else:
            header = FRAGMENT, fragment_header(0, offset, more, self.random.getrandbits(32))
            chain = [*self.generator.chain(), header, *(self.generator.chain() if offset == 0 else ())]
            packet = frames.ipv6(target.source, target.address, protocol, data, chain=chain)
        return self.generator.frame_of(target, packet)

    def short(self, target):
        """TCP, UDP and ICMP that end within their header."""
        protocol = self.random.choice((TCP, UDP, frames.ICMP_OF[target.version]))
        payload = self.random.randbytes(self.random.choice((0, 4, 7, 8, 19, 20)))
        return self.generator.frame_of(target, self.generator.packet(target, protocol, payload))

    def chain(self, target):
        """Extension headers up to the limit and beyond, the last one perhaps cut."""
        if target.version == 4:
            return self.unserved(target)
        kinds = self.random.choices((HOP_BY_HOP, ROUTING, DESTINATION_OPTIONS), k=self.random.randint(1, 10))
        packet = frames.ipv6(target.source, target.address, target.protocol, self.generator.segment(target, b"x"),
                             chain=[frames.extension(self.random, kind) for kind in kinds])
        if self.random.random() < 0.4:  # shorter by what the length says
            length = self.random.randint(0, len(packet) - 40)
            packet = packet[:4] + length.to_bytes(2, "big") + packet[6:40 + length]
        return self.generator.frame_of(target, packet)
