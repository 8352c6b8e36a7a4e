"""The flow hash of docs/flow_hash.md, written from the document and FIPS 197 alone: the oracle for the C++ code."""
import functools
import ipaddress
import struct


def xtime(a):
    return ((a << 1) ^ (0x11B if a & 0x80 else 0)) & 0xFF


def gf_product(a, b):
    product = 0
    while b:
        if b & 1:
            product ^= a
        a, b = xtime(a), b >> 1
    return product


def make_sbox():
    """FIPS 197, section 5.1.1, by the definition: search the inverse, then the affine map bit by bit."""
    sbox = []
    for a in range(256):
        inverse = next((b for b in range(256) if gf_product(a, b) == 1), 0)
        out = 0
        for bit in range(8):
            taps = (bit, (bit + 4) % 8, (bit + 5) % 8, (bit + 6) % 8, (bit + 7) % 8)
            out |= (sum(inverse >> t & 1 for t in taps) + (0x63 >> bit) & 1) << bit
        sbox.append(out)
    return sbox


SBOX = make_sbox()


def make_columns():
    """SubBytes, then MixColumns: what each value of a byte in row 0 … 3 adds to its column, as a number."""
    columns = [[], [], [], []]
    for s in SBOX:
        column = bytes([gf_product(s, 2), s, s, gf_product(s, 3)])
        for row in range(4):
            columns[row].append(int.from_bytes(column[4 - row:] + column[:4 - row], "big"))
    return columns


ROW0, ROW1, ROW2, ROW3 = make_columns()
STATE = struct.Struct("!4I")


def aes_round(state, key):
    """SubBytes, ShiftRows, MixColumns, AddRoundKey (FIPS 197, section 5.1)."""
    s, k = state, STATE.unpack(key)
    return STATE.pack(k[0] ^ ROW0[s[0]] ^ ROW1[s[5]] ^ ROW2[s[10]] ^ ROW3[s[15]],
                      k[1] ^ ROW0[s[4]] ^ ROW1[s[9]] ^ ROW2[s[14]] ^ ROW3[s[3]],
                      k[2] ^ ROW0[s[8]] ^ ROW1[s[13]] ^ ROW2[s[2]] ^ ROW3[s[7]],
                      k[3] ^ ROW0[s[12]] ^ ROW1[s[1]] ^ ROW2[s[6]] ^ ROW3[s[11]])


@functools.lru_cache
def round_keys(secret, count=5):
    """The first round keys of AES-128 (FIPS 197, section 5.2)."""
    words = [list(secret[i:i + 4]) for i in range(0, 16, 4)]
    rcon = 1
    for i in range(4, 4 * count):
        word = list(words[i - 1])
        if i % 4 == 0:
            word = [SBOX[x] for x in word[1:] + word[:1]]
            word[0] ^= rcon
            rcon = xtime(rcon)
        words.append([a ^ b for a, b in zip(word, words[i - 4])])
    return [bytes(sum(words[i:i + 4], [])) for i in range(0, 4 * count, 4)]


def flow_blocks(source, destination, source_port, destination_port, protocol):
    """The addresses as they lie in packets."""
    if len(source) == 4:
        return [source + destination + struct.pack("!HHBBH", source_port, destination_port, protocol, 4, 0)]
    return [source, destination, struct.pack("!HHBB10x", source_port, destination_port, protocol, 6)]


class FlowHash:
    def __init__(self, secret):
        self.keys = round_keys(secret)

    def __call__(self, source, destination, source_port, destination_port, protocol):
        """Addresses as text."""
        return self.of_bytes(ipaddress.ip_address(source).packed, ipaddress.ip_address(destination).packed,
                             source_port, destination_port, protocol)

    def of_bytes(self, *flow):
        """The same of addresses as they lie in packets."""
        x = 0
        for block in flow_blocks(*flow):
            x ^= int.from_bytes(block, "big") ^ int.from_bytes(self.keys[0], "big")
            state = x.to_bytes(16, "big")
            for key in self.keys[1:]:
                state = aes_round(state, key)
            x = int.from_bytes(state, "big")
        return int.from_bytes(state[:8], "little")


def slot_of(hash_value, slot_count):
    return (hash_value >> 32) * slot_count >> 32


def entropy_of(hash_value):
    return hash_value & 0xFFFFFFFF
