#!/usr/bin/python3
"""The vectors of docs/quic.md against the model in tests/lib, which knows nothing of the C++ code.

Usage: quic_vectors.py (TAP), or quic_vectors.py --write to put fresh ones into the document.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests/lib"))
from quic_model import QuicModel, aes_decrypt, aes_encrypt, katran_connection_id, quic_lb_connection_id  # noqa: E402

DOCUMENT = ROOT / "docs/quic.md"
BLOCK = re.compile(r"(```vectors\n)(.*?)(```)", re.S)

DRAFT, WORKED, OWN = ("8f95f09245765f80256934e50c66207f", "fdf726a9893ec05c0632d3956680baf0",
                      "000102030405060708090a0b0c0d0e0f")
QUIC_LB = [
    # draft-ietf-quic-load-balancers-21: appendix B, and the example of section 5.4.2.
    (0, "-", "c4605e", "4504cc4f"),
    (0, DRAFT, "ed793a", "ee080dbf"),
    (1, DRAFT, "ed793a51d49b8f5fab65", "ee080dbf48"),
    (2, DRAFT, "ed793a51d49b8f5f", "ee080dbf48c0d1e5"),
    (0, DRAFT, "ed793a51d49b8f5fab", "ee080dbf48c0d1e55d"),
    (0, WORKED, "31441a", "9c69c275"),
    # Our own: each codepoint, and the limits of the lengths.
    (3, OWN, "00", "01020304"),
    (4, OWN, "0a0b0c", "00112233445566778899aabbcc"),
    (5, OWN, "ff", "000102030405060708090a0b0c0d0e0f1011"),
    (6, OWN, "0102030405060708090a0b0c0d0e0f", "deadbeef"),
    (6, "-", "0102030405060708090a0b0c0d0e0f", "deadbeef"),
]
KATRAN = [(1, 0x0000), (1, 0x1234), (1, 0xFFFF), (2, 0x123456), (2, 0xFFFFFF), (3, 0x12345678), (3, 0xFFFFFFFF)]
PUBLISHED = {"07c4605e4504cc4f", "0720b1d07b359d3c", "2fcc381bc74cb4fbad2823a3d1f8fed2", "0767947d29be054a",
             "504dd2d05a7b0de9b2b9907afb5ecf8cc3", "125779c9cc86beb3a3a4a3ca96fce4bfe0cdbc"}


def secret_of(key):
    return None if key == "-" else bytes.fromhex(key)


def quic_lb_line(codepoint, key, server_id, nonce):
    made = quic_lb_connection_id(codepoint, bytes.fromhex(server_id), bytes.fromhex(nonce), secret_of(key))
    return f"quic-lb {key} {server_id} {nonce} {made.hex()}"


def katran_line(version, number):
    return f"katran - {number:0{(4, 6, 8)[version - 1]}x} - {katran_connection_id(version, number).hex()}"


def reads_back(line):
    layout, key, server_id, nonce, connection_id = line.split()
    made = bytes.fromhex(connection_id)
    if layout == "katran":
        return QuicModel("katran").server_id(made) == bytes.fromhex(server_id.rjust(8, "0"))
    model = QuicModel({made[0] >> 5: (len(server_id) // 2, len(nonce) // 2, secret_of(key))})
    return model.server_id(made) == bytes.fromhex(server_id)


def main():
    text = DOCUMENT.read_text()
    fresh = [quic_lb_line(*each) for each in QUIC_LB] + [katran_line(*each) for each in KATRAN]
    if sys.argv[1:] == ["--write"]:
        DOCUMENT.write_text(BLOCK.sub(lambda m: m[1] + "\n".join(fresh) + "\n" + m[3], text))
        return
    # FIPS 197, appendix C.1.
    key, plain = bytes.fromhex(OWN), bytes.fromhex("00112233445566778899aabbccddeeff")
    cipher = bytes.fromhex("69c4e0d86a7b0430d8cdb78070b4c55a")
    written = BLOCK.search(text)[2].splitlines()
    results = [("encryption is that of FIPS 197, appendix C.1", aes_encrypt(key, plain) == cipher),
               ("decryption is that of FIPS 197, appendix C.1", aes_decrypt(key, cipher) == plain),
               ("the draft's connection IDs are among the vectors",
                PUBLISHED <= {line.split()[4] for line in written}),
               ("the document lists every vector", len(written) == len(fresh))]
    results += [(f"vector {line}", line == model and reads_back(line)) for line, model in zip(written, fresh)]
    print(f"1..{len(results)}")
    for number, (name, ok) in enumerate(results, 1):
        print(f"{'ok' if ok else 'not ok'} {number} - {name}")
    sys.exit(0 if all(ok for _, ok in results) else 1)


if __name__ == "__main__":
    main()
