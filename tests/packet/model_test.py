#!/usr/bin/python3
"""The real programs against the model: generated frames through guideway-dataplane over pcap files, with tables from
guideway-controlplane; what it sends, hands to the kernel and counts must be what model.py says. TAP.

    in.pcap ──► net_pcap0 ┐                     ┌ net_pcap0 ──► out.pcap
                          ├─ guideway-dataplane ┤
                          ┘        ▲            └ net_pcap1 ──► kernel.pcap   (the kernel path)
                                   │ tables
                          guideway-controlplane ◄── guideway.toml

Usage: model_test.py DATAPLANE CONTROLPLANE [--frames N] [--seed N]
"""
import argparse
import collections
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
from scapy.layers.l2 import Ether  # noqa: E402
from scapy.utils import RawPcapReader, RawPcapWriter  # noqa: E402

from generated import Generator  # noqa: E402
from model import Egress, PacketPath, Pool, Vip  # noqa: E402

SECRET = bytes(range(100, 116))
NEXT_HOP, SOURCES, MTU = "02:00:00:00:00:fe", {4: "192.0.2.1", 6: "2001:db8:ff::1"}, 1500
READY_TIMEOUT_S = 120

POOLS = {
    "gue-mixed": Pool("gue", 65521, [("10.0.0.1", 1), ("10.0.0.2", 2), ("2001:db8:2::1", 3), ("223.251.252.253", 4)]),
    "gue1-mixed": Pool("gue1", 1021, [("10.1.0.1", 7), ("2001:db8:2::2", 5), ("10.1.0.3", 0)]),
    "ipip-mixed": Pool("ipip", 251, [("10.2.0.1", 65535), ("2001:db8:2::3", 65534), ("10.2.0.2", 1)]),
    "drained": Pool("ipip", 251, [("10.3.0.1", 0)]),
}
TCP, UDP = 6, 17
VIPS = [Vip("203.0.113.10", TCP, 80, "gue-mixed"), Vip("203.0.113.10", UDP, 53, "ipip-mixed"),
        Vip("203.0.113.11", TCP, 443, "gue1-mixed", "kernel"), Vip("222.241.242.243", UDP, 65535, "gue1-mixed"),
        Vip("203.0.113.12", TCP, 80, "drained"), Vip("2001:db8:1::10", TCP, 80, "gue-mixed"),
        Vip("2001:db8:1::10", UDP, 53, "ipip-mixed"), Vip("2001:db8:1::11", TCP, 443, "gue1-mixed", "kernel"),
        Vip("fdff:ffff:ffff:ffff::fffe", TCP, 1, "ipip-mixed")]


def toml(directory):
    (directory / "key").write_text(SECRET.hex() + "\n")
    text = f"""schema = 1
[dataplane]
main_core = 0
worker_cores = [1]
hugepages = "off"
memory = "128MiB"
[[dataplane.port]]
name = "uplink"
device = "net_pcap0,rx_pcap={directory}/in.pcap,tx_pcap={directory}/out.pcap"
kernel = "net_pcap1,rx_pcap={directory}/none.pcap,tx_pcap={directory}/kernel.pcap"
next_hop_mac = "{NEXT_HOP}"
source_addresses = ["{SOURCES[4]}", "{SOURCES[6]}"]
mtu = {MTU}
[flow_hash]
key_file = "key"
[control]
run_dir = "{directory}"
state_dir = "{directory}"
[health_check.none]
type = "none"
"""
    for name, pool in POOLS.items():
        backends = ", ".join(f'{{ name = "b{i}", address = "{address}", weight = {weight} }}'
                             for i, (address, weight) in enumerate(pool.backends))
        text += (f'[pool.{name}]\nencap = "{pool.encap}"\nslots = {pool.slots}\nhealth_check = "none"\n'
                 f"backends = [{backends}]\n")
    for i, vip in enumerate(VIPS):
        text += (f'[vip.v{i}]\naddress = "{vip.address}"\nport = {vip.port}\npool = "{vip.pool}"\n'
                 f'protocol = "{"tcp" if vip.protocol == TCP else "udp"}"\nunserved = "{vip.unserved}"\n')
    return text


def write_pcap(path, frames):
    with RawPcapWriter(str(path), linktype=1) as writer:
        writer.write_header(None)
        for frame in frames:
            writer.write_packet(frame)


def read_pcap(path):
    return [frame for frame, _ in RawPcapReader(str(path))]


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
        """The status once every frame has come in; its counters are a second old at most, so two must be equal."""
        before, end = None, time.monotonic() + READY_TIMEOUT_S
        while time.monotonic() < end:
            if any(program.poll() is not None for program in self.running):
                raise RuntimeError("a program ended early")
            now = status(self.directory)
            counters = now and {c["name"]: c["value"] for c in now["dataplane"].get("counters", [])}
            if counters and counters["rx_packets"] == frames and counters == before:
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

    def finish(self):
        print(f"1..{self.count}")
        return 1 if self.failed else 0


def first_difference(expected, got):
    """expected: [(number of the frame that came in, frame that must leave)], got: frames, in the same order."""
    for (number, want), have in zip(expected, got):
        if want != have:
            return (f"frame {number} should leave as\n{Ether(want).show(dump=True)}\nbut left as\n"
                    f"{Ether(have).show(dump=True)}\nexpected {want.hex()}\ngot      {have.hex()}")
    return f"expected {len(expected)} frames, got {len(got)}"


def compare(results, path, frames, sent, handed_over, counters):
    ends = collections.defaultdict(list)
    expected = collections.Counter(rx_packets=len(frames), rx_bytes=sum(map(len, frames)))
    for number, frame in enumerate(frames):
        verdict, detail = path(frame)
        ends[verdict].append((number, detail))
        if verdict == "drop":
            expected[f"drop_{detail}"] += 1
    expected["tx_packets"] = len(ends["forward"])
    expected["tx_bytes"] = sum(len(leaves) for _, leaves in ends["forward"])
    expected["to_kernel_packets"] = len(ends["kernel"])
    results.expect([leaves for _, leaves in ends["forward"]] == sent, f"{len(sent)} frames left as the model says",
                   first_difference(ends["forward"], sent))
    results.expect([leaves for _, leaves in ends["kernel"]] == handed_over,
                   f"{len(handed_over)} frames went to the kernel untouched",
                   first_difference(ends["kernel"], handed_over))
    for name in sorted(counters.keys() - {"bursts"}):
        results.expect(counters[name] == expected[name], f"counter {name} is {expected[name]}",
                       f"the data plane says {counters[name]}")


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("dataplane")
    arguments.add_argument("controlplane")
    arguments.add_argument("--frames", type=int, default=10000)
    arguments.add_argument("--seed", type=int, default=None)
    options = arguments.parse_args()
    seed = options.seed if options.seed is not None else random.SystemRandom().getrandbits(32)
    sys.stdout.reconfigure(line_buffering=True)
    print(f"# seed {seed}: repeat with --seed {seed}")

    generator = Generator(random.Random(seed), VIPS)
    frames = [generator.frame() for _ in range(options.frames)]
    results = Results()
    with tempfile.TemporaryDirectory(prefix="guideway-model-") as name:
        directory = pathlib.Path(name)
        write_pcap(directory / "in.pcap", frames)
        write_pcap(directory / "none.pcap", [])
        (directory / "guideway.toml").write_text(toml(directory))
        programs = Programs(directory, options.dataplane, options.controlplane)
        try:
            state, counters = programs.wait_until_received(len(frames))
        except RuntimeError as error:
            results.expect(False, "the programs take all frames", f"{error}")
            return results.finish()
        finally:
            programs.stop()
            if results.failed:
                print(programs.logs(), end="")
        path = PacketPath(SECRET, POOLS, VIPS, Egress(state["dataplane"]["ports"][0]["mac"], NEXT_HOP, SOURCES, MTU))
        results.expect(all(equation["holds"] for equation in state["dataplane"]["equations"]), "the equations hold")
        compare(results, path, frames, read_pcap(directory / "out.pcap"), read_pcap(directory / "kernel.pcap"), counters)
    return results.finish()


if __name__ == "__main__":
    sys.exit(main())
