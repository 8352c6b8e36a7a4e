"""ICMP to VIPs: echo requests, and errors that quote what a VIP is said to have sent."""
import frames
from model.wire import DONT_FRAGMENT, MORE_FRAGMENTS, TCP

ERRORS4 = ((3, 0), (3, 1), (3, 3), (3, 4), (11, 0), (11, 1), (12, 0))
ERRORS6 = ((1, 0), (1, 3), (1, 4), (2, 0), (3, 0), (3, 1), (4, 0), (4, 1))


class Icmp:
    def __init__(self, generator):
        self.generator, self.random = generator, generator.random

    def frame(self, target, kind, code, rest, payload):
        message = frames.icmp(target.source, target.address, kind, code, rest, payload)
        packet = self.generator.packet(target, frames.ICMP_OF[target.version], message)
        return self.generator.frame_of(target, packet)

    def echo(self, target):
        payload = self.random.randbytes(self.random.choice((0, 1, 8, 56, 1000, 1400)))
        code = 0 if self.random.random() < 0.97 else 1
        return self.frame(target, 8 if target.version == 4 else 128, code, self.random.randbytes(4), payload)

    def error(self, target, is_of_client=False):
        """is_of_client: about the target's own flow, not that of any client."""
        kind, code = self.random.choice(ERRORS4 if target.version == 4 else ERRORS6)
        rest = bytes(2) + self.random.choice((b"\0\0", b"\x05\x78", self.random.randbytes(2)))
        quote = self.quote(target, target.source if is_of_client else self.generator.client(target.version))
        chance = self.random.random()
        if chance < 0.15:
            quote = quote[:self.random.randrange(len(quote) + 1)]
        elif chance < 0.30:
            quote = self.mutated(quote)
        elif chance < 0.36:  # as routers of RFC 792 do: the header and 8 bytes
            quote = quote[:(20 if target.version == 4 else 40) + 8]
        return self.frame(target, kind, code, rest, quote)

    def mutated(self, quote):
        quote = bytearray(quote)
        at = self.random.randrange(min(len(quote), 60))
        quote[at] = self.random.choice((0, 1, 6, 17, 44, 0x45, 0x60, quote[at] ^ 1, self.random.getrandbits(8)))
        return bytes(quote)

    def quote(self, target, client):
        """A packet from the VIP's service to the client, often longer than what is quoted of it."""
        address = target.address
        if self.random.random() < 0.06:  # of somebody else
            other = self.generator.target()
            if other.version == target.version:
                address = self.random.choice((other.address, other.source))
        ports = (target.port, target.client_port)
        payload = bytes(self.random.choice((0, 4, 20, 500, 1400)))
        if target.protocol == TCP:
            segment = frames.tcp(address, client, ports, payload, 0x18, 1, 2)
        else:
            segment = frames.udp(address, client, ports, payload)
        if target.version == 6:
            packet = frames.ipv6(address, client, target.protocol, segment, 0, 60, 0, self.generator.chain())
            return packet[:1200]
        word = self.random.choice((0, DONT_FRAGMENT, DONT_FRAGMENT, DONT_FRAGMENT, MORE_FRAGMENTS))
        if self.random.random() < 0.03:
            word |= 185
        packet = frames.ipv4(address, client, target.protocol, segment, 0, 60, 7, word, self.generator.options())
        return packet[:548]
