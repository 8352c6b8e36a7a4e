#!/usr/bin/python3
"""Instructions per packet of the shipped worker over a fixed trace, against those in instructions.json; TAP.

Usage: instructions_test.py COUNTED_TURNS [--renew]    (the program is perf/counted_turns of a build directory)

Callgrind counts them, so neither the machine nor its load matters; only compiler and flags do. What differs from its
baseline by more than 3 % fails, in both directions: a gain that the baseline does not know would hide as big a loss.
--renew writes the baseline anew; commit it with the change that moved it, and say there why.
"""
import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

BASELINE = pathlib.Path(__file__).with_name("instructions.json")
TOLERANCE = 0.03
HOW_TO_RENEW = "ninja -C build perf/counted_turns && tests/perf/instructions_test.py build/perf/counted_turns --renew"
CALLGRIND = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", "--toggle-collect=run_counted"]


def run(command):
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(f"{' '.join(command)} failed:\n{result.stderr}")
    return result


def instructions_per_packet(program, row):
    result = run([*CALLGRIND, program, row])
    collected = re.search(r"Collected : (\d+)", result.stderr)
    if not collected or collected[1] == "0":
        sys.exit(f"callgrind counted nothing for {row}; does it find run_counted()?\n{result.stderr}")
    return round(int(collected[1]) / int(result.stdout), 1)


def count(program):
    compiler, *rows = run([program]).stdout.splitlines()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        counted = pool.map(lambda row: instructions_per_packet(program, row), rows)
        return {"compiler": compiler, "instructions_per_packet": dict(zip(rows, counted))}


def complaint(row, counted, expected):
    if expected is None:
        return f"{row}: {counted} instructions per packet, and {BASELINE.name} has no such row"
    if counted is None:
        return f"{row}: is in {BASELINE.name}, but no row of counted_turns"
    change = counted / expected - 1
    if abs(change) <= TOLERANCE:
        return None
    moral = "if that is worth it" if change > 0 else "well done: so that it stays,"
    return (f"{row}: {counted} instructions per packet, expected {expected} ± {TOLERANCE:.0%}, that is {change:+.1%}; "
            f"{moral} renew the baseline: {HOW_TO_RENEW}")


def compare(counted, expected):
    if counted["compiler"] != expected["compiler"]:
        print(f"1..0 # SKIP the baseline is of {expected['compiler']}, this is built by {counted['compiler']}")
        return 0
    now, before = counted["instructions_per_packet"], expected["instructions_per_packet"]
    rows = list(dict.fromkeys([*before, *now]))
    failures = 0
    print(f"1..{len(rows)}")
    for number, row in enumerate(rows, 1):
        wrong = complaint(row, now.get(row), before.get(row))
        failures += wrong is not None
        print(f"# {wrong or f'{row}: {now[row]} instructions per packet, expected {before[row]}'}")
        print(f"{'not ok' if wrong else 'ok'} {number} - {row}", flush=True)
    return min(failures, 1)


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("counted_turns")
    arguments.add_argument("--renew", action="store_true")
    args = arguments.parse_args()
    counted = count(args.counted_turns)
    if args.renew:
        BASELINE.write_text(json.dumps(counted, indent=1) + "\n")
        return 0
    return compare(counted, json.loads(BASELINE.read_text()))


if __name__ == "__main__":
    sys.exit(main())
