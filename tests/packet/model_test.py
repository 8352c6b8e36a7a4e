#!/usr/bin/python3
"""The data plane against the model: what it sends, hands to the kernel and counts for generated frames must be what the
model says. TAP.

With the control plane: both real programs, over pcap files.

    in.pcap ──► net_pcap0 ┐                     ┌ net_pcap0 ──► out.pcap
                          ├─ guideway-dataplane ┤
                          ┘        ▲            └ net_pcap1 ──► kernel.pcap   (the kernel path)
                                   │ tables
                          guideway-controlplane ◄── guideway.toml

With --replay: the data plane alone and offline, where time is that of the frames, so that fragments time out; in
chunks, for millions of frames, while backends die and come back. On a difference it finds the frame, and writes it with
its history and all that a replay of them needs to a directory.

Usage: model_test.py DATAPLANE CONTROLPLANE [--frames N] [--seed N]
       model_test.py DATAPLANE --replay [--frames N] [--chunk N] [--seed N] [--differences DIRECTORY]
"""
import argparse
import dataclasses
import http.client
import json
import pathlib
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "lib")]
import model_replay  # noqa: E402
from generated import Generator  # noqa: E402
from model import Tables  # noqa: E402
from model_compare import Expected, Outcome  # noqa: E402
from model_tables import POOLS, SETTLED_POOLS, SETUPS, VIPS, toml  # noqa: E402
from pcap_file import read_pcap, write_pcap  # noqa: E402

READY_TIMEOUT_S = 120


def status(directory):
    """What the control plane knows; None while it does not answer."""
    connection = http.client.HTTPConnection("localhost", timeout=5)
    connection.sock = socket.socket(socket.AF_UNIX)
    try:
        connection.sock.connect(str(directory / "control.sock"))
        connection.request("GET", "/api/v1/status")
        return json.load(connection.getresponse())
    except OSError:
        return None
    finally:
        connection.close()


class Programs:
    """Both programs, while they run. What they log goes to files in `directory`."""

    def __init__(self, directory, dataplane, controlplane):
        self.directory, self.running = directory, []
        config = str(directory / "guideway.toml")
        self.start("dataplane", [dataplane, "--config", config, "--wait-for-tables", "--no-huge"])
        self.start("controlplane", [controlplane, "--config", config])

    def start(self, name, command):
        with open(self.directory / f"{name}.log", "w") as log:
            self.running.append(subprocess.Popen(command, stdout=log, stderr=log))

    def wait_until_received(self, frames):
        """The status once every frame has come in and none waits; counters are a second old at most, so two must be
        equal."""
        before, end = None, time.monotonic() + READY_TIMEOUT_S
        while time.monotonic() < end:
            if any(program.poll() is not None for program in self.running):
                raise RuntimeError("a program ended early")
            now = status(self.directory)
            counters = now and {c["name"]: c["value"] for c in now["dataplane"].get("counters", [])}
            if counters and counters["rx_packets"] == frames and not counters["waiting_packets"] and counters == before:
                return now, counters
            before = counters
            time.sleep(1.1)
        raise RuntimeError(f"the data plane did not receive {frames} frames in {READY_TIMEOUT_S} s: {before}")

    def stop(self):
        for program in reversed(self.running):
            program.send_signal(signal.SIGTERM)
        for program in self.running:
            try:
                program.wait(10)
            except subprocess.TimeoutExpired:
                program.kill()

    def logs(self):
        return "".join(f"# {log.name}: {line}\n" for log in sorted(self.directory.glob("*.log"))
                       for line in log.read_text().splitlines()[-15:])


class Results:
    def __init__(self):
        self.count, self.failed = 0, False

    def expect(self, ok, name, why=""):
        self.count += 1
        self.failed |= not ok
        print(f"{'ok' if ok else 'not ok'} {self.count} - {name}")
        if not ok:
            print("".join(f"# {line}\n" for line in why.splitlines()), end="")
        return ok

    def finish(self):
        print(f"1..{self.count}")
        return 1 if self.failed else 0


def compare(results, expected, outcome):
    why = expected.stream_differs(outcome.sent, "sent")
    results.expect(not why, f"{len(outcome.sent)} frames left as the model says", why or "")
    why = expected.stream_differs(outcome.to_kernel, "kernel")
    results.expect(not why, f"{len(outcome.to_kernel)} frames went to the kernel untouched", why or "")
    why = expected.counters_differ(outcome.counters)
    results.expect(not why, f"{len(outcome.counters)} counters are as the model says", why)


def run_programs(results, options, seed):
    """All frames come at once: time is left out of it."""
    setup = SETUPS[seed % len(SETUPS)]
    generator = Generator(random.Random(seed), VIPS, POOLS, setup.port)
    timed_frames = [(0.0, frame) for _, frame in generator.frames(options.frames)]
    print(f"# {setup.name}")
    with tempfile.TemporaryDirectory(prefix="guideway-model-") as name:
        directory = pathlib.Path(name)
        write_pcap(directory / "in.pcap", timed_frames)
        write_pcap(directory / "none.pcap", [])
        (directory / "guideway.toml").write_text(toml(setup, directory, POOLS, VIPS))
        programs = Programs(directory, options.dataplane, options.controlplane)
        try:
            state, counters = programs.wait_until_received(len(timed_frames))
        except RuntimeError as error:
            return results.expect(False, "the programs take all frames", f"{error}")
        finally:
            programs.stop()
            if results.failed:
                print(programs.logs(), end="")
        results.expect(all(equation["holds"] for equation in state["dataplane"]["equations"]), "the equations hold")
        # The MAC address of a pcap port is its own choice.
        port = dataclasses.replace(setup.port, mac=state["dataplane"]["ports"][0]["mac"])
        expected = Expected(Tables(SETTLED_POOLS, VIPS, port), setup, timed_frames)
        compare(results, expected, Outcome(read_pcap(directory / "out.pcap"), read_pcap(directory / "kernel.pcap"),
                                           counters))


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("dataplane")
    arguments.add_argument("controlplane", nargs="?")
    arguments.add_argument("--replay", action="store_true")
    arguments.add_argument("--frames", type=int, default=10000)
    arguments.add_argument("--chunk", type=int, default=50000)
    arguments.add_argument("--seed", type=int, default=None)
    arguments.add_argument("--differences", type=pathlib.Path, default=pathlib.Path("."))
    options = arguments.parse_args()
    seed = options.seed if options.seed is not None else random.SystemRandom().getrandbits(32)
    sys.stdout.reconfigure(line_buffering=True)
    print(f"# seed {seed}: repeat with --seed {seed}")
    results = Results()
    if options.replay:
        model_replay.run(results, options.dataplane, options.frames, options.chunk, seed, options.differences)
    else:
        run_programs(results, options, seed)
    return results.finish()


if __name__ == "__main__":
    sys.exit(main())
