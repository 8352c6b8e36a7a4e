#!/usr/bin/python3
"""The vectors of docs/flow_hash.md against the model in tests/lib, which knows nothing of the C++ code.

Usage: flow_hash_vectors.py (TAP), or flow_hash_vectors.py --write to put fresh ones into the document.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests/lib"))
from flow_hash_model import FlowHash, aes_round, entropy_of, round_keys, slot_of  # noqa: E402

DOCUMENT = ROOT / "docs/flow_hash.md"
BLOCK = re.compile(r"(```vectors\n)(.*?)(```)", re.S)
SLOTS = 65521

ZERO, COUNTING, FIPS = "0" * 32, "000102030405060708090a0b0c0d0e0f", "2b7e151628aed2a6abf7158809cf4f3c"
FLOWS = [
    (ZERO, "0.0.0.0", 0, "0.0.0.0", 0, 6),
    (ZERO, "198.51.100.7", 40000, "203.0.113.10", 443, 6),
    (COUNTING, "198.51.100.7", 40000, "203.0.113.10", 443, 6),
    (COUNTING, "198.51.100.7", 40000, "203.0.113.10", 443, 17),
    (COUNTING, "198.51.100.7", 40001, "203.0.113.10", 443, 6),
    (COUNTING, "203.0.113.10", 443, "198.51.100.7", 40000, 6),
    (FIPS, "255.255.255.255", 65535, "255.255.255.255", 65535, 255),
    (FIPS, "128.129.130.131", 0, "240.241.242.243", 65535, 17),
    (ZERO, "::", 0, "::", 0, 6),
    (COUNTING, "2001:db8::7", 40000, "2001:db8:1::10", 443, 6),
    (COUNTING, "2001:db8::7", 40000, "2001:db8:1::10", 443, 17),
    (COUNTING, "2001:db8:1::10", 443, "2001:db8::7", 40000, 6),
    (FIPS, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 65535, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 65535, 255),
    (FIPS, "::ffff:198.51.100.7", 40000, "::ffff:203.0.113.10", 443, 6),
]


def vector_line(secret, source, source_port, destination, destination_port, protocol):
    value = FlowHash(bytes.fromhex(secret))(source, destination, source_port, destination_port, protocol)
    return (f"{secret} {protocol} {source} {source_port} {destination} {destination_port} "
            f"{value:016x} {slot_of(value, SLOTS)} {entropy_of(value):08x}")


def main():
    text = DOCUMENT.read_text()
    fresh = [vector_line(*flow) for flow in FLOWS]
    if sys.argv[1:] == ["--write"]:
        DOCUMENT.write_text(BLOCK.sub(lambda m: m[1] + "\n".join(fresh) + "\n" + m[3], text))
        return
    # FIPS 197, appendix A.1 (w[16…19]) and appendix B (rounds 1 and 2).
    last_key = round_keys(bytes.fromhex(FIPS))[4].hex()
    first_round = aes_round(bytes.fromhex("193de3bea0f4e22b9ac68d2ae9f84808"),
                            bytes.fromhex("a0fafe1788542cb123a339392a6c7605")).hex()
    written = BLOCK.search(text)[2].splitlines()
    results = [("key expansion is that of FIPS 197, appendix A.1", last_key == "ef44a541a8525b7fb671253bdb0bad00"),
               ("a round is that of FIPS 197, appendix B", first_round == "a49c7ff2689f352b6b5bea43026a5049"),
               ("the document lists every vector", len(written) == len(fresh))]
    results += [(f"vector {line}", line == model) for line, model in zip(written, fresh)]
    print(f"1..{len(results)}")
    for number, (name, ok) in enumerate(results, 1):
        print(f"{'ok' if ok else 'not ok'} {number} - {name}")
    sys.exit(0 if all(ok for _, ok in results) else 1)


if __name__ == "__main__":
    main()
