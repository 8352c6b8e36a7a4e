#!/usr/bin/python3
"""golden_tables.txt against the model in tests/lib, which knows nothing of the C++ code.

Usage: golden_tables.py (TAP), or golden_tables.py --write to fill in the digests and slots anew.
"""
import ipaddress
import pathlib
import re
import struct
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "lib"))
from slot_table_model import slot_table  # noqa: E402

GOLDEN = HERE / "golden_tables.txt"
LINE = re.compile(r"table (?P<name>\S+) +slots (?P<slots>\d+) +backends (?P<count>\d+) from (?P<first>\S+) +"
                  r"weights \((?P<a>\d+) \+ (?P<b>\d+)\*i\) mod (?P<m>\d+)(?P<result>.*)")


def fnv1a(data):
    state = 0xCBF29CE484222325
    for byte in data:
        state = (state ^ byte) * 0x100000001B3 & (1 << 64) - 1
    return state


def result_of(line):
    number = {key: int(line[key]) for key in ("slots", "count", "a", "b", "m")}
    first = ipaddress.ip_address(line["first"])
    backends = [(first + i, (number["a"] + number["b"] * i) % number["m"]) for i in range(number["count"])]
    slots = slot_table(backends, number["slots"])
    if number["slots"] < 1000:
        return "slots " + " ".join(map(str, slots))
    return f"digest {fnv1a(struct.pack(f'<{len(slots)}H', *slots)):016x}"


def main():
    write = sys.argv[1:] == ["--write"]
    fresh, results = [], []
    for text in GOLDEN.read_text().splitlines():
        line = LINE.match(text)
        if line:
            result = result_of(line)
            results.append((line["name"], line["result"].strip(" :") == result))
            text = text[:line.start("result")] + " : " + result
        fresh.append(text)
    if write:
        GOLDEN.write_text("\n".join(fresh) + "\n")
        return
    print(f"1..{len(results)}")
    for number, (name, ok) in enumerate(results, 1):
        print(f"{'ok' if ok else 'not ok'} {number} - {name}")
    sys.exit(0 if results and all(ok for _, ok in results) else 1)


if __name__ == "__main__":
    main()
