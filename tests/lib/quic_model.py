"""QUIC routing of docs/quic.md, written from the document, FIPS 197 and RFC 9000 alone: the oracle for the C++ code."""
from flow_hash_model import SBOX, aes_round, gf_product, round_keys

INVERSE_SBOX = [SBOX.index(b) for b in range(256)]
TIMES9, TIMES11, TIMES13, TIMES14 = ([gf_product(a, n) for a in range(256)] for n in (9, 11, 13, 14))
NEW_FLOW, UNKNOWN = "new flow", "unknown"
INITIAL_AND_0RTT = {0x00000001: (0, 1), 0x6B3343CF: (1, 2)}  # RFC 9000, section 17.2; RFC 9369, section 3.2


def xor(a, b):
    return bytes(x ^ y for x, y in zip(a, b))


def aes_encrypt(secret, block):
    """FIPS 197, section 5.1."""
    keys = round_keys(secret, 11)
    state = xor(block, keys[0])
    for key in keys[1:10]:
        state = aes_round(state, key)
    return xor(bytes(SBOX[state[(i + 4 * (i % 4)) % 16]] for i in range(16)), keys[10])


def aes_decrypt(secret, block):
    """FIPS 197, section 5.3: the rounds backwards, step by step."""
    keys = round_keys(secret, 11)
    state = xor(block, keys[10])
    for r in range(9, -1, -1):
        shifted = bytes(state[(i - 4 * (i % 4)) % 16] for i in range(16))
        state = xor(bytes(INVERSE_SBOX[b] for b in shifted), keys[r])
        if r > 0:
            state = bytes(TIMES14[state[c + i]] ^ TIMES11[state[c + (i + 1) % 4]]
                          ^ TIMES13[state[c + (i + 2) % 4]] ^ TIMES9[state[c + (i + 3) % 4]]
                          for c in range(0, 16, 4) for i in range(4))
    return state


def four_passes(secret, body, passes):
    """The Feistel network on numbers of 4-bit digits: an odd number of bytes is an even number of digits."""
    digits = body.hex()
    half = len(digits) // 2
    left, right = digits[:half], digits[half:]
    size = (len(body) + 1) // 2
    for number in passes:
        source = left if number % 2 else right
        # A left half fills its bytes from the front, a right half from the back.
        source = source.ljust(2 * size, "0") if number % 2 else source.rjust(2 * size, "0")
        block = bytes.fromhex(source).ljust(14, b"\0") + bytes([len(body), number])
        mask = aes_encrypt(secret, block)[:size].hex()
        mask = mask[2 * size - half:] if number % 2 else mask[:half]
        mixed = int(right if number % 2 else left, 16) ^ int(mask, 16)
        if number % 2:
            right = f"{mixed:0{half}x}"
        else:
            left = f"{mixed:0{half}x}"
    return bytes.fromhex(left + right)


def quic_lb_connection_id(codepoint, server_id, nonce, secret=None):
    """What a server makes; the first byte tells the length, too."""
    body = server_id + nonce
    if secret is not None:
        body = aes_encrypt(secret, body) if len(body) == 16 else four_passes(secret, body, (1, 2, 3, 4))
    return bytes([codepoint << 5 | len(body)]) + body


def katran_connection_id(version, number):
    """8 bytes: the version in 2 bits; the number in bits 2 to 17, 8 to 31 or 8 to 39; the rest is the server's."""
    first, bits = {1: (2, 16), 2: (8, 24), 3: (8, 32)}[version]
    return (version << 62 | number << (64 - first - bits)).to_bytes(8, "big")


class QuicModel:
    """layouts: "katran", or {codepoint: (server_id_bytes, nonce_bytes, secret or None)}."""

    def __init__(self, layouts):
        self.layouts = layouts

    def server_id(self, connection_id):
        """The server ID's bytes; None if there is none."""
        if not connection_id:
            return None
        if self.layouts == "katran":
            return self._katran(connection_id)
        layout = self.layouts.get(connection_id[0] >> 5)
        if layout is None or len(connection_id) < 1 + layout[0] + layout[1]:
            return None
        server_id_bytes, nonce_bytes, secret = layout
        body = connection_id[1:1 + server_id_bytes + nonce_bytes]
        if secret is not None:
            body = aes_decrypt(secret, body) if len(body) == 16 else four_passes(secret, body, (4, 3, 2, 1))
        return body[:server_id_bytes]

    @staticmethod
    def _katran(connection_id):
        if len(connection_id) < 8:
            return None
        bits = "".join(f"{b:08b}" for b in connection_id[:8])
        fields = {"01": bits[2:18], "10": bits[8:32], "11": bits[8:40]}
        field = fields.get(bits[:2])
        return None if field is None else int(field, 2).to_bytes(4, "big")

    def route(self, payload):
        """NEW_FLOW, UNKNOWN or the server ID of a packet: docs/packet_policy.md, section 9."""
        if not payload:
            return UNKNOWN
        connection_id = payload[1:]
        if payload[0] & 0x80:
            if len(payload) < 5:
                return UNKNOWN
            new = INITIAL_AND_0RTT.get(int.from_bytes(payload[1:5], "big"))
            if new is None or payload[0] >> 4 & 3 in new:
                return NEW_FLOW
            if len(payload) < 6 or payload[5] > 20 or len(payload) < 6 + payload[5]:
                return UNKNOWN
            connection_id = payload[6:6 + payload[5]]
        return self.server_id(connection_id) or UNKNOWN
