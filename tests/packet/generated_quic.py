"""QUIC packets whose connection IDs name backends, or nobody, or are cut (RFC 8999, RFC 9000, RFC 9369)."""
from model.pools import server_id_bytes
from quic_model import katran_connection_id, quic_lb_connection_id

VERSIONS = (b"\0\0\0\1", b"\x6b\x33\x43\xcf")
NEW_KINDS = {VERSIONS[0]: (0, 1), VERSIONS[1]: (1, 2)}  # Initial and 0-RTT, by version
OTHER_VERSIONS = (bytes(4), b"\xff\0\0\x1d", b"\x0a\x0a\x0a\x0a", b"\0\0\0\2")


class Quic:
    def __init__(self, random):
        self.random = random

    def payload(self, pool):
        """Of a UDP datagram to a pool's QUIC service."""
        connection_id = self.connection_id(pool)
        chance = self.random.random()
        if chance < 0.6:
            packet = bytes([0x40 | self.random.getrandbits(6)]) + connection_id
        elif chance < 0.95:
            packet = self.long_header(connection_id)
        else:
            packet = self.random.randbytes(self.random.randint(0, 30))
        packet += self.random.randbytes(self.random.choice((0, 1, 16, 60, 1200)))
        return packet[:self.random.randint(0, 24)] if self.random.random() < 0.08 else packet

    def payload_of_flow(self, pool):
        """Mostly one that goes by its flow: it begins it, or its connection ID names nobody."""
        chance = self.random.random()
        if chance < 0.4:
            version = self.random.choice(VERSIONS + OTHER_VERSIONS[:2])
            kind = self.random.choice(NEW_KINDS.get(version, (0, 1, 2, 3)))
            return bytes([0xC0 | kind << 4]) + version + b"\x08" + self.random.randbytes(8) + bytes(30)
        if chance < 0.7:
            return bytes([0x40]) + self.random.choice((b"", b"\xe0", bytes(20)))
        return self.payload(pool)

    def long_header(self, connection_id):
        version = self.random.choice(VERSIONS if self.random.random() < 0.85 else OTHER_VERSIONS)
        length = len(connection_id)
        if self.random.random() < 0.1:
            length = self.random.choice((0, 1, 7, 8, 20, 21, 255))
        first = bytes([0xC0 | self.random.getrandbits(6)])
        return first + version + bytes([length]) + connection_id + b"\x08" + self.random.randbytes(8)

    def connection_id(self, pool):
        if pool.quic == "katran":
            return self.katran(pool)
        config = self.random.choice(pool.quic)
        wanted = [value for backend in pool.backends for value in map(server_id_bytes, backend.server_ids)
                  if len(value) == config.server_id_bytes]
        if self.random.random() < 0.12:
            wanted = [self.random.randbytes(config.server_id_bytes)]
        codepoint = config.id if self.random.random() < 0.93 else self.random.randrange(8)
        return quic_lb_connection_id(codepoint, self.random.choice(wanted), self.random.randbytes(config.nonce_bytes),
                                     config.secret())

    def katran(self, pool):
        numbers = [value for backend in pool.backends for value in backend.server_ids]
        number = self.random.choice(numbers) if self.random.random() < 0.88 else self.random.getrandbits(32)
        version = self.random.choice((1, 2, 3))
        number &= (0xFFFF, 0xFFFFFF, 0xFFFFFFFF)[version - 1]
        connection_id = katran_connection_id(version, number)
        if self.random.random() < 0.05:  # of no version that is known
            connection_id = bytes([connection_id[0] & 0x3F]) + connection_id[1:]
        return connection_id
