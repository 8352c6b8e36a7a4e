"""Frames to compare the data plane and the model with: sound ones, mutated ones, garbage. All from one seed."""
import struct

from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption
from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Raw

FRAME_BYTES_MAX = 1514


class Generator:
    """vips: what destinations and ports are drawn from, so that most frames are for a service."""

    def __init__(self, random, vips):
        self.random, self.vips = random, vips

    def frame(self):
        kind = self.random.choices([self.sound, self.mutated, self.odd, self.garbage], [55, 30, 10, 5])[0]
        return kind()[:FRAME_BYTES_MAX]

    def client(self, version):
        host = self.random.getrandbits(24)
        if version == 4:
            return f"{self.random.choice([198, 12, 223])}.{host >> 16}.{host >> 8 & 255}.{host & 255}"
        return f"2001:db8:{host >> 16:x}:ffff:{host & 0xffff:x}:8000:0:{self.random.getrandbits(16):x}"

    def destination(self):
        """(version, address, protocol, port), mostly those of a VIP."""
        vip = self.random.choice(self.vips)
        version = 6 if ":" in vip.address else 4
        address, protocol, port = vip.address, vip.protocol, vip.port
        if self.random.random() < 0.08:
            address = self.client(version)
        if self.random.random() < 0.08:
            port = self.random.choice([0, 1, 22, 80, 443, 65535])
        if self.random.random() < 0.08:
            protocol = 23 - protocol  # TCP 6 and UDP 17 change places
        return version, address, protocol, port

    def ip(self, version, address):
        traffic_class = self.random.choice([0, 0, 1, 2, 3, 0xB8, 0xFF, self.random.getrandbits(8)])
        if version == 6:
            return IPv6(src=self.client(6), dst=address, tc=traffic_class, fl=self.random.getrandbits(20),
                        hlim=self.random.choice([0, 1, 64, 255]))
        options = [IPOption(bytes([1] * self.random.randint(1, 40)))] if self.random.random() < 0.1 else []
        return IP(src=self.client(4), dst=address, tos=traffic_class, ttl=self.random.choice([0, 1, 64, 255]),
                  id=self.random.getrandbits(16), flags=self.random.choice([0, "DF"]), options=options)

    def payload(self):
        # Around the largest packets that still fit after encapsulation, and the smallest ones, more than by chance.
        size = self.random.choice([0, 1, 6, self.random.randint(0, 1460), self.random.randint(1380, 1460)])
        return Raw(self.random.randbytes(size))

    def sound(self):
        version, address, protocol, port = self.destination()
        source_port = self.random.choice([0, 65535, self.random.getrandbits(16), self.random.getrandbits(16)])
        l4 = TCP(sport=source_port, dport=port, flags=self.random.choice(["S", "A", "PA", "FA", "R"]),
                 seq=self.random.getrandbits(32))
        if protocol == 17:
            l4 = UDP(sport=source_port, dport=port)
        frame = bytes(Ether(src="02:00:00:00:00:0c", dst="02:00:00:00:00:01") / self.ip(version, address) / l4 /
                      self.payload())
        if len(frame) < 60 or self.random.random() < 0.05:  # what Ethernet pads, need not be zero
            frame += self.random.randbytes(max(60 - len(frame), self.random.randint(0, 4)))
        return frame

    def mutated(self):
        frame = bytearray(self.sound())
        for _ in range(self.random.randint(1, 3)):
            change = self.random.randrange(4)
            at = self.random.randrange(min(len(frame), 64))
            if change == 0:  # a bit of a header
                frame[at] ^= 1 << self.random.randrange(8)
            elif change == 1:
                frame[at] = self.random.choice([0, 1, 4, 6, 17, 0x40, 0x44, 0x45, 0x4F, 0x60, 0x80, 0xFF])
            elif change == 2:  # cut
                frame = frame[:self.random.randint(1, len(frame))]
            else:  # the length field of the IP header
                offset = 16 if frame[12:14] == b"\x08\x00" else 18
                if len(frame) > offset + 2:
                    length = struct.unpack_from("!H", frame, offset)[0] + self.random.randint(-60, 60)
                    struct.pack_into("!H", frame, offset, length & 0xFFFF)
        return bytes(frame)

    def odd(self):
        """Well-formed, but nothing that is balanced."""
        version, address, protocol, port = self.destination()
        ether, ip = Ether(src="02:00:00:00:00:0c", dst="02:00:00:00:00:01"), self.ip(version, address)
        l4 = TCP(sport=1, dport=port) if protocol == 6 else UDP(sport=1, dport=port)
        if version == 6:
            choices = [ip / IPv6ExtHdrFragment(offset=self.random.randint(0, 100), m=1, nh=protocol) / l4,
                       ip / IPv6ExtHdrHopByHop() / l4, ip / Raw(b"x" * 30)]
        else:
            fragment = ip.copy()
            fragment.flags, fragment.frag = self.random.choice([("MF", 0), ("MF", 7), (0, 185)])
            choices = [fragment / l4, ip / ICMP() / Raw(b"ping"), ip / ip.copy() / l4]
        choices += [Dot1Q(vlan=7) / ip / l4, ARP(pdst=address if version == 4 else "192.0.2.1")]
        return bytes(ether / self.random.choice(choices))

    def garbage(self):
        ether_type = self.random.choice([b"\x08\x00", b"\x86\xdd", b"\x08\x06", b"\x81\x00", self.random.randbytes(2)])
        frame = self.random.randbytes(12) + ether_type + self.random.randbytes(self.random.randint(0, 200))
        return frame[:self.random.randint(1, len(frame))]
