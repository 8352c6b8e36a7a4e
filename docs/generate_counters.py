#!/usr/bin/python3
"""Prints docs/counters.md from include/guideway/counters.def:

    docs/generate_counters.py > docs/counters.md

A test in suite lint checks that the file is current.
"""
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parent.parent
GAUGE = re.compile(r"^GAUGE\((\w+),")
COUNTER = re.compile(r'^(?:COUNTER|GAUGE)\((\w+), (\w+), "(.*)"\)$')
DROP = re.compile(r'^DROP\((\w+), "(.*)"\)$')

HEADER = """# Counters of the data plane

Made from [include/guideway/counters.def](../include/guideway/counters.def) by `docs/generate_counters.py`. Each worker
counts for itself; `guidewayctl status` adds them up.

Two equations hold in every worker at every quiet moment:

    rx_packets          = tx_packets + to_kernel_packets + waiting_packets + sum of all drop_…
    from_kernel_packets = from_kernel_tx_packets + from_kernel_dropped_packets

All numbers only grow, but for those of now: {gauges}. [packet_policy.md](packet_policy.md) says which packet
ends how.
"""


def rows(pattern, lines):
    return [match.groups() for match in map(pattern.match, lines) if match]


def generate():
    lines = (ROOT / "include/guideway/counters.def").read_text(encoding="utf-8").splitlines()
    gauges = " and ".join(f"`{name}`" for name, in rows(GAUGE, lines))
    text = [HEADER.format(gauges=gauges), "| counter | unit | what it counts |", "|---|---|---|"]
    text += [f"| `{name}` | {unit} | {sentence} |" for name, unit, sentence in rows(COUNTER, lines)]
    text += ["", "## Reasons for drops", "", "Each counts packets.", "", "| counter | reason |", "|---|---|"]
    text += [f"| `drop_{name}` | {sentence} |" for name, sentence in rows(DROP, lines)]
    return "\n".join(text) + "\n"


if __name__ == "__main__":
    print(generate(), end="")
