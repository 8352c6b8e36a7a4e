#!/usr/bin/python3
"""Runs a fuzz target over its corpus, then lets it look further for FUZZ_SECONDS (60); TAP.

Usage: fuzz_test.py PROGRAM CORPUS_DIR DICTIONARY

What it looks at follows from FUZZ_SEED and what was learnt before. By default the seed is that of the commit: each has
another one, and whoever looks at a commit again sees the same.

Crashes and what was learnt lie beside PROGRAM. A crash is printed with the command that repeats it; when it is fixed,
its file goes into CORPUS_DIR as fixed_SOMETHING, which tests/fuzz/make_corpus.sh keeps.
"""
import os
import pathlib
import re
import subprocess
import sys

SECONDS = int(os.environ.get("FUZZ_SECONDS", "60"))
GRACE_SECONDS = 120  # to load the corpus, on a busy machine
INPUT_BYTES_MAX = 1024
OPTIONS = {
    # Buffers are looked after by the targets themselves, and exactly as long as their packets.
    "ASAN_OPTIONS": "detect_leaks=0:quarantine_size_mb=8:malloc_context_size=5:max_malloc_fill_size=64",
    "UBSAN_OPTIONS": "print_stacktrace=1",
}


def seed_of_commit():
    here = pathlib.Path(__file__).parent
    head = subprocess.run(["git", "-C", here, "rev-parse", "HEAD"], capture_output=True, text=True, check=False).stdout
    return int(head[:7] or "1", 16) or 1


SEED = int(os.environ.get("FUZZ_SEED", 0)) or seed_of_commit()


def fuzz(program, arguments):
    """The target's exit code and what it said."""
    command = [program, f"-artifact_prefix={program}_crashes/", f"-max_len={INPUT_BYTES_MAX}", *arguments]
    try:
        result = subprocess.run(command, env=os.environ | OPTIONS, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                text=True, errors="replace", timeout=SECONDS + GRACE_SECONDS, check=False)
        return result.returncode, result.stderr
    except subprocess.TimeoutExpired as error:
        return -1, (error.stderr or b"").decode(errors="replace") + f"\nstill running after {error.timeout:.0f} s"


def explain(program, log):
    """Why it failed, as TAP comments."""
    told = re.findall(r"^(?:VIOLATION|.*(?:runtime error|ERROR|SUMMARY)):.*$|^\s+#\d+ .* guideway::.*$|^still running.*$", log, re.M)
    for line in told[:20] or log.splitlines()[-20:]:
        print(f"# {line.strip()}")
    for crash in re.findall(r"Test unit written to (\S+)", log):
        print(f"# repeat it: {program} {crash}")


def figures(log):
    executions = re.search(r"stat::number_of_executed_units:\s+(\d+)", log)
    coverage = re.findall(r"cov: (\d+) ft: (\d+) corp: (\d+)", log)
    edges, features, inputs = coverage[-1] if coverage else ("?", "?", "?")
    return f"{executions[1] if executions else '?'} executions, {edges} edges, {features} features, {inputs} inputs"


def case(number, title, program, arguments):
    code, log = fuzz(program, arguments)
    if code != 0:
        explain(program, log)
    print(f"{'ok' if code == 0 else 'not ok'} {number} - {title}: {figures(log)}", flush=True)
    return code == 0


def main(program, corpus, dictionary):
    if program.endswith("decapsulation") and os.geteuid() != 0:
        print("1..0 # SKIP needs root, to run a BPF program")
        return 0
    print("1..2")
    learnt = f"{program}_corpus"
    for directory in (learnt, f"{program}_crashes"):
        pathlib.Path(directory).mkdir(exist_ok=True)
    known = case(1, "what the corpus holds", program, ["-runs=0", "-print_final_stats=1", corpus])
    more = case(2, f"{SECONDS} s more with seed {SEED}", program, [
        f"-max_total_time={SECONDS}", f"-seed={SEED}", "-print_final_stats=1", "-reload=0",
        f"-dict={dictionary}", learnt, corpus])
    return 0 if known and more else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
