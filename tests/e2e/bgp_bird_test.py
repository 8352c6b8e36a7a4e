#!/usr/bin/python3
"""The announcer with real BIRD daemons and the bird.conf we ship, and a router's kernel table as the witness.

      namespace lb                                             namespace router
    ┌─────────────────────────────────────────┐              ┌──────────────────────────────┐
    │ announce_driver ──iBGP, lo──► BIRD ─────┼─eBGP + BFD───┤ BIRD ──► kernel routes       │
    │  127.0.0.2       127.0.0.1:1790  10.255.0.1 ── veth ── 10.255.0.2                     │
    │                          2001:db8:ff::1 ────────────── 2001:db8:ff::2                 │
    └─────────────────────────────────────────┘              └──────────────────────────────┘

Usage: bgp_bird_test.py DRIVER SOURCE_ROOT.  TAP on stdout.
"""
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

DRIVER, ROOT = sys.argv[1:3]
LB, ROUTER = (f"gwt-bgp-{name}-{os.getpid()}" for name in ("lb", "router"))
VIP4, VIP4B, VIP6, STRANGER = "203.0.113.10", "203.0.113.11", "2001:db8:1::10", "198.18.0.1"
PREFIX4, PREFIX6 = "203.0.113.128/25", "2001:db8:1::8000:0/97"

ROUTER_CONF = """
router id 10.255.0.2;
protocol device { scan time 1; }
protocol bfd { interface "*" { interval 100 ms; multiplier 3; }; }
protocol kernel { ipv4 { export all; }; }
protocol kernel { ipv6 { export all; }; }
protocol bgp lb {
  local 10.255.0.2 as 65000; neighbor 10.255.0.1 as 65001;
  bfd on; hold time 9; connect delay time 1; connect retry time 1; error wait time 1, 2;
  graceful restart off;
  ipv4 { import all; export none; };
  ipv6 { import all; export none; };
}
"""


def run(*command, check=True):
    return subprocess.run(command, check=check, capture_output=True, text=True, timeout=20).stdout



class Bird:
    def __init__(self, namespace, directory, conf):
        self.namespace, self.conf = namespace, conf
        self.socket = os.path.join(directory, f"{namespace}.ctl")
        self.start()

    def start(self):
        self.process = subprocess.Popen(["ip", "netns", "exec", self.namespace, "bird", "-f", "-c", self.conf,
                                         "-s", self.socket], stderr=subprocess.DEVNULL)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def birdc(self, *words):
        return run("birdc", "-s", self.socket, *words, check=False)

    def has(self, address):
        return address in self.birdc("show", "route", "for", address, "table",
                                     "vips6" if ":" in address else "vips4")

    def count(self, table):
        return int(self.birdc("show", "route", "count", "table", table, "protocol", "guideway").split("\n")[1].split()[0])

    def uptime(self):
        """Since when the session with Guideway stands."""
        return self.birdc("show", "protocols", "guideway").splitlines()[-1]


class Driver:
    def __init__(self):
        self.process = subprocess.Popen(["ip", "netns", "exec", LB, DRIVER, "127.0.0.1", "1790", "127.0.0.2", "65001",
                                         "10.255.0.9"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)

    def say(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def kill(self):
        self.process.kill()
        self.process.wait()


def routed(address):
    family = "-6" if ":" in address else "-4"
    return address in run("ip", "-n", ROUTER, family, "route", "show", address, check=False)


def route_count(family):
    return len(run("ip", "-n", ROUTER, family, "route", "show", "proto", "bird").splitlines())


def wait(condition, seconds=10.0):
    """Waits for the condition; how long it took, or None."""
    start = time.monotonic()
    while time.monotonic() - start < seconds:
        if condition():
            return time.monotonic() - start
        time.sleep(0.002)
    return None


number = failures = 0


def case(name, seconds, at_most):
    """One TAP line for something that had to happen within `at_most` seconds; seconds is None if it did not."""
    global number, failures
    number += 1
    ok = seconds is not None and seconds <= at_most
    failures += not ok
    took = "never" if seconds is None else f"{seconds * 1000:.0f} ms"
    print(f"{'ok' if ok else 'not ok'} {number} - {name} ({took})", flush=True)


def make_namespaces():
    for namespace in (LB, ROUTER):
        run("ip", "netns", "add", namespace)
        run("ip", "-n", namespace, "link", "set", "lo", "up")
    run("ip", "-n", LB, "link", "add", "up0", "type", "veth", "peer", "name", "down0", "netns", ROUTER)
    for namespace, device, v4, v6 in ((LB, "up0", "10.255.0.1/24", "2001:db8:ff::1/64"),
                                      (ROUTER, "down0", "10.255.0.2/24", "2001:db8:ff::2/64")):
        run("ip", "-n", namespace, "addr", "add", v4, "dev", device)
        run("ip", "-n", namespace, "addr", "add", v6, "dev", device, "nodad")
        run("ip", "-n", namespace, "link", "set", device, "up")


def test(directory):
    conf = os.path.join(directory, "bird.conf")
    shutil.copy(os.path.join(ROOT, "deploy/bird.conf"), conf)
    case("the bird.conf we ship is valid", 0 if subprocess.run(["bird", "-p", "-c", conf]).returncode == 0 else None, 1)

    router_conf = os.path.join(directory, "router.conf")
    with open(router_conf, "w", encoding="utf-8") as file:
        file.write(ROUTER_CONF)
    router = Bird(ROUTER, directory, router_conf)
    bird = Bird(LB, directory, conf)
    driver = Driver()
    stop = [driver.kill, bird.kill, router.kill]
    try:
        session = lambda: "Established" in router.birdc("show", "protocols", "lb")
        case("BIRD and the router speak", wait(session), 10)
        driver.say(f"vips {VIP4} {VIP4B} {VIP6} {STRANGER} {PREFIX4} {PREFIX6}")
        case("BIRD has the VIPs of both families", wait(lambda: bird.has(VIP4) and bird.has(VIP6)), 5)
        case("the router's kernel has them", wait(lambda: routed(VIP4) and routed(VIP4B) and routed(VIP6)), 2)
        case("an address outside the allow-list stays out", None if bird.has(STRANGER) else 0, 1)
        case("and so do prefixes, where it names addresses only", None if routed(PREFIX4) or routed(PREFIX6) else 0, 1)

        driver.say(f"vips {VIP4B} {VIP6} {STRANGER} {PREFIX4} {PREFIX6}")
        case("an unflagged VIP leaves the router's kernel", wait(lambda: not routed(VIP4)), 1)
        case("the others stay", 0 if routed(VIP4B) and routed(VIP6) else None, 1)
        driver.say("alive no")
        case("a hung worker withdraws everything", wait(lambda: not routed(VIP4B) and not routed(VIP6)), 1)
        driver.say("alive yes")
        case("and its return announces again", wait(lambda: routed(VIP4B) and routed(VIP6)), 1)

        since = bird.uptime()
        with open(conf, encoding="utf-8") as file:
            wider = file.read().replace("203.0.113.0/24{32,32}", "203.0.113.0/24{24,32}, 198.18.0.0/15{32,32}")
            wider = wider.replace("2001:db8:1::/64{128,128}", "2001:db8:1::/64{64,128}")
        with open(conf, "w", encoding="utf-8") as file:
            file.write(wider)
        bird.birdc("configure")
        case("a wider allow-list takes effect by route refresh", wait(lambda: routed(STRANGER)), 3)
        case("prefixes of both families reach the router's kernel", wait(lambda: routed(PREFIX4) and routed(PREFIX6)), 3)
        case("and the session stays up", 0 if bird.uptime() == since else None, 1)

        driver.kill()
        case("kill -9 of the speaker: the VIPs leave the router's kernel",
             wait(lambda: not routed(VIP4B) and not routed(VIP6)), 1)
        driver = Driver()
        stop[0] = driver.kill
        driver.say(f"vips {VIP4} {VIP6}")
        case("a new speaker announces again", wait(lambda: routed(VIP4) and routed(VIP6)), 6)

        driver.process.send_signal(signal.SIGSTOP)
        case("a stopped speaker is withdrawn by the hold time", wait(lambda: not routed(VIP4)), 4.5)
        driver.process.send_signal(signal.SIGCONT)
        case("and comes back when it continues", wait(lambda: routed(VIP4)), 8)

        bird.kill()
        case("kill -9 of BIRD: the VIPs leave the router's kernel", wait(lambda: not routed(VIP4)), 1)
        bird.start()
        case("a restarted BIRD hears the VIPs again", wait(lambda: routed(VIP4)), 12)

        many4 = [f"198.18.{i // 250}.{i % 250 + 1}" for i in range(10000)]
        many6 = [f"2001:db8:1::1:{i:x}" for i in range(10000)]
        driver.say("vips " + " ".join(many4 + many6))
        everything = lambda: bird.count("vips4") == 10000 and bird.count("vips6") == 10000
        case("BIRD has 10,000 VIPs of each family", wait(everything), 5)
        case("the router's kernel has them", wait(lambda: route_count("-4") == 10000 and route_count("-6") == 10000), 10)
        driver.say("shutdown")
        case("an orderly shutdown withdraws all 20,000", wait(lambda: route_count("-4") + route_count("-6") == 0), 10)
        case("and the speaker exits", 0 if driver.process.wait(timeout=5) == 0 else None, 1)
    finally:
        for kill in stop:
            kill()


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that a timeout cleans up, too
    directory = tempfile.mkdtemp(prefix="gwt-bgp-")
    try:
        make_namespaces()
        test(directory)
    finally:
        for namespace in (LB, ROUTER):
            run("ip", "netns", "del", namespace, check=False)
        shutil.rmtree(directory)
    print(f"1..{number}")
    return failures


if __name__ == "__main__":
    sys.exit(min(main(), 1))
