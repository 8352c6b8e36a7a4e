#!/usr/bin/python3
"""Load balancers end to end on one machine, each with one core, against the same load in one run.

Usage: run.py [--quick] [--kinds memif,udp,tcp] [--rows REGEX] [--build DIR] [--no-build] [--write DIR] [--json FILE]
--quick: one short repetition. Root. README.md says what is measured and how to read it.
"""
import argparse
import contextlib
import json
import pathlib
import platform
import re
import signal
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "perf"))

import host    # noqa: E402
import memif   # noqa: E402
import report  # noqa: E402
import table   # noqa: E402
import tcp     # noqa: E402
import trials  # noqa: E402
import veth    # noqa: E402

ROWS = {"memif": memif.ROWS, "udp": veth.UDP_ROWS, "tcp": veth.TCP_ROWS}
TARGETS = ["dataplane/guideway-dataplane", "controlplane/guideway-controlplane", "bpf/guideway-backend",
           "perf/end_to_end_generator"]


def options():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--quick", action="store_true", help="one short repetition")
    arguments.add_argument("--kinds", default=",".join(ROWS), help="which of memif, udp, tcp (default: all)")
    arguments.add_argument("--rows", type=re.compile, default="", help="only rows whose name this is found in")
    arguments.add_argument("--build", type=pathlib.Path, default=ROOT / "build", help="the build directory")
    arguments.add_argument("--no-build", action="store_true", help="everything is built and installed")
    arguments.add_argument("--write", type=pathlib.Path, help="also DIR/end_to_end.json and DIR/end_to_end.md")
    arguments.add_argument("--json", type=pathlib.Path, help="also the figures, to this file")
    return arguments.parse_args()


def build(directory):
    subprocess.run([ROOT / "deploy/install_deps.sh", "perf"], check=True)
    if not (directory / "build.ninja").exists():
        subprocess.run(["meson", "setup", directory, ROOT], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["ninja", "-C", directory, "--quiet", *TARGETS], check=True)


def repetition(directory, kind, name, effort):
    """The figures of one row, measured once; everything is started for it and gone afterwards."""
    with contextlib.ExitStack() as stack:
        files = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="guideway-lab-")))
        network = stack.enter_context(veth.Network()) if kind != "memif" else None
        programs = stack.enter_context(host.Programs(directory, files))
        if kind == "memif":
            memif.ROWS[name].start(programs)
            return trials.measure(trials.Generator(programs, memif.generator_arguments(programs, name)), effort)
        ROWS[kind][name](programs, network)
        if kind == "udp":
            network.sink()
            return trials.measure(trials.Generator(programs, veth.generator_arguments(network)), effort)
        tcp.start_server(programs, network)
        return tcp.measure(network, effort)


def progress(text):
    if sys.stderr.isatty():
        print(f"\r{text:<70}\r", end="", file=sys.stderr, flush=True)


def measure(args, effort):
    rows = [{"kind": kind, "name": name, "repetitions": [], "trouble": []}
            for kind in args.kinds.split(",") for name in ROWS[kind] if re.search(args.rows, name)]
    for number in range(effort.repetitions):
        for row in rows:
            progress(f"{number + 1} of {effort.repetitions}: {row['kind']}, {row['name']}")
            try:
                row["repetitions"].append(repetition(args.build, row["kind"], row["name"], effort))
            except host.LabError as error:
                row["repetitions"].append({})
                row["trouble"].append(str(error))
    progress("")
    return rows


def busy_before():
    cores = [host.BusyTime(core) for core in (host.LOAD_CORE, host.BALANCER_CORE)]
    time.sleep(1)
    return [core.share() for core in cores]


def run(args):
    effort = trials.QUICK if args.quick else trials.FULL
    commit = subprocess.run(["git", "-C", ROOT, "describe", "--always", "--dirty"], capture_output=True, text=True)
    result = {"cpu": report.cpu_model(), "kernel": platform.release(), "commit": commit.stdout.strip(),
              "repetitions": effort.repetitions, "busy_before": busy_before()}
    with host.precedence(), host.hugepages():
        result["rows"] = measure(args, effort)
    print("\n".join(table.as_text(result)))
    text = json.dumps(result, indent=1) + "\n"
    if args.json:
        args.json.write_text(text)
    if args.write:
        (args.write / "end_to_end.json").write_text(text)
        (args.write / "end_to_end.md").write_text("\n".join(table.as_markdown(result)) + "\n")
    return 1 if any(row["trouble"] for row in result["rows"]) else 0


def main():
    args = options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the with statements clean up
    try:
        if not args.no_build:
            build(args.build)
        return run(args)
    except host.LabError as error:
        print(f"run.py: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
