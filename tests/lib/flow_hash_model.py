"""The flow hash of docs/flow_hash.md, written from the document and FIPS 197 alone: the oracle for the C++ code."""
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
TIMES2 = [gf_product(a, 2) for a in range(256)]
TIMES3 = [gf_product(a, 3) for a in range(256)]


def aes_round(state, key):
    """SubBytes, ShiftRows, MixColumns, AddRoundKey (FIPS 197, section 5.1)."""
    rows = [SBOX[state[(i + 4 * (i % 4)) % 16]] for i in range(16)]
    out = []
    for c in range(0, 16, 4):
        a, b, d, e = rows[c:c + 4]
        out += [TIMES2[a] ^ TIMES3[b] ^ d ^ e, a ^ TIMES2[b] ^ TIMES3[d] ^ e,
                a ^ b ^ TIMES2[d] ^ TIMES3[e], TIMES3[a] ^ b ^ d ^ TIMES2[e]]
    return bytes(x ^ k for x, k in zip(out, key))


def round_keys(secret):
    """The first five round keys of AES-128 (FIPS 197, section 5.2)."""
    words = [list(secret[i:i + 4]) for i in range(0, 16, 4)]
    rcon = 1
    for i in range(4, 20):
        word = list(words[i - 1])
        if i % 4 == 0:
            word = [SBOX[x] for x in word[1:] + word[:1]]
            word[0] ^= rcon
            rcon = xtime(rcon)
        words.append([a ^ b for a, b in zip(word, words[i - 4])])
    return [bytes(sum(words[i:i + 4], [])) for i in range(0, 20, 4)]


def flow_blocks(source, destination, source_port, destination_port, protocol):
    source, destination = ipaddress.ip_address(source), ipaddress.ip_address(destination)
    if source.version == 4:
        return [source.packed + destination.packed + struct.pack("!HHBBH", source_port, destination_port, protocol, 4, 0)]
    return [source.packed, destination.packed,
            struct.pack("!HHBB10x", source_port, destination_port, protocol, 6)]


class FlowHash:
    def __init__(self, secret):
        self.keys = round_keys(secret)

    def __call__(self, *flow):
        """flow: source, destination, source port, destination port, protocol number."""
        x = bytes(16)
        for block in flow_blocks(*flow):
            x = bytes(a ^ b ^ k for a, b, k in zip(x, block, self.keys[0]))
            for key in self.keys[1:]:
                x = aes_round(x, key)
        return int.from_bytes(x[:8], "little")


def slot_of(hash_value, slot_count):
    return (hash_value >> 32) * slot_count >> 32


def entropy_of(hash_value):
    return hash_value & 0xFFFFFFFF
