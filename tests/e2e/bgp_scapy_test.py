#!/usr/bin/python3
"""What the announcer writes, read by an independent implementation: scapy's BGP layer plays the daemon.

Usage: bgp_scapy_test.py DRIVER.  TAP on stdout.
"""
import logging
import socket
import subprocess
import sys

logging.getLogger("scapy").setLevel(logging.ERROR)
from scapy.contrib import bgp  # noqa: E402

VIPS4 = [f"203.0.113.{i}" for i in range(200)]
VIPS6 = [f"2001:db8:1::1:{i:x}" for i in range(400)]
PREFIXES = ["198.18.0.0/15", "198.18.0.0/24", "198.18.0.128/25", "198.18.0.0", "2001:db8:2::/48", "2001:db8:2::8000:0/97"]
OPEN = bgp.BGPHeader(type="OPEN") / bgp.BGPOpen(my_as=65001, hold_time=90, bgp_id="10.255.0.1", opt_params=[
    bgp.BGPOptParam(param_value=bgp.BGPCapMultiprotocol(afi=afi, safi=1)) for afi in (1, 2)])
ORIGIN, AS_PATH, NEXT_HOP, LOCAL_PREF, MP_REACH, MP_UNREACH = 1, 2, 3, 5, 14, 15


class Daemon:
    """One connection; `routes` is what an attentive peer knows after the UPDATEs so far."""

    def __init__(self, listener):
        self.connection, _ = listener.accept()
        self.connection.settimeout(10)
        self.routes, self.attributes, self.wrong = set(), set(), []

    def read(self):
        header = self.exactly(19)
        return bgp.BGP(header + self.exactly(int.from_bytes(header[16:18], "big") - 19))

    def exactly(self, count):
        data = b""
        while len(data) < count:
            piece = self.connection.recv(count - len(data))
            if not piece:
                raise EOFError
            data += piece
        return data

    def write(self, message):
        self.connection.sendall(bytes(message))

    def take(self, update):
        self.routes -= {route.prefix for route in update.withdrawn_routes}
        codes = [attribute.type_code for attribute in update.path_attr]
        for attribute in update.path_attr:
            if attribute.type_code == MP_REACH:
                self.routes |= {route.prefix for route in attribute.attribute.nlri}
                self.attributes.add((MP_REACH, attribute.attribute.nh_v6_addr))
            elif attribute.type_code == MP_UNREACH:
                self.routes -= {r.prefix for r in attribute.attribute.afi_safi_specific.withdrawn_routes}
            elif attribute.type_code == NEXT_HOP:
                self.attributes.add((NEXT_HOP, attribute.attribute.next_hop))
            elif attribute.type_code == ORIGIN:
                self.attributes.add((ORIGIN, attribute.attribute.origin))
            elif attribute.type_code == AS_PATH:
                self.attributes.add((AS_PATH, attribute.attr_len))
            elif attribute.type_code == LOCAL_PREF:
                self.attributes.add((LOCAL_PREF, attribute.attribute.local_pref))
            else:
                self.wrong.append(f"attribute {attribute.type_code}")
        if update.nlri:
            self.routes |= {route.prefix for route in update.nlri}
            if sorted(codes) != [ORIGIN, AS_PATH, NEXT_HOP, LOCAL_PREF]:
                self.wrong.append(f"IPv4 routes with attributes {codes}")

    def read_until(self, routes):
        while self.routes != routes:
            message = self.read()
            if message.haslayer(bgp.BGPUpdate):
                self.take(message[bgp.BGPUpdate])
        return True


number = failures = 0


def case(name, ok):
    global number, failures
    number += 1
    failures += not ok
    print(f"{'ok' if ok else 'not ok'} {number} - {name}", flush=True)


def prefixes(*lists):
    return {vip if "/" in vip else f"{vip}/{128 if ':' in vip else 32}" for vips in lists for vip in vips}


def capabilities(greeting):
    """Codes of the one parameter's capabilities; scapy 2.5 dissects only the first."""
    data, codes = bytes(greeting.opt_params[0])[2:], []
    while data:
        codes.append(data[0])
        data = data[2 + data[1]:]
    return codes


def test(listener, say):
    daemon = Daemon(listener)
    greeting = daemon.read()
    case("it opens with BGP-4, its AS, router id and hold time",
         (greeting.version, greeting.my_as, greeting.bgp_id, greeting.hold_time) == (4, 65001, "10.255.0.9", 3))
    case("with the capabilities multiprotocol (2), route refresh and 4-octet AS", capabilities(greeting) == [1, 1, 2, 65])
    daemon.write(OPEN)
    daemon.write(bgp.BGPHeader(type="KEEPALIVE"))
    case("it confirms with a KEEPALIVE", daemon.read().type == 4)

    say("vips " + " ".join(VIPS4 + VIPS6))
    case("all routes arrive", daemon.read_until(prefixes(VIPS4, VIPS6)))
    case("with the attributes of an iBGP route", daemon.wrong == [] and daemon.attributes == {
        (ORIGIN, 0), (AS_PATH, 0), (NEXT_HOP, "192.0.2.11"), (MP_REACH, "2001:db8:ff::11"), (LOCAL_PREF, 100)})
    say("vips " + " ".join(VIPS4[5:] + VIPS6[:-300]))
    case("some are withdrawn", daemon.read_until(prefixes(VIPS4[5:], VIPS6[:-300])))
    say("vips " + " ".join(PREFIXES))
    case("prefixes of any length arrive", daemon.read_until(prefixes(PREFIXES)))
    say("vips " + " ".join(PREFIXES[::2]))
    case("some of them are withdrawn", daemon.read_until(prefixes(PREFIXES[::2])))
    say("shutdown")
    case("all are withdrawn at shutdown", daemon.read_until(set()))
    last = daemon.read()
    case("and it ceases: administrative shutdown", (last.type, last.error_code, last.error_subcode) == (3, 6, 2))


def main():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        driver = subprocess.Popen([sys.argv[1], "127.0.0.1", str(listener.getsockname()[1]), "127.0.0.2", "65001",
                                   "10.255.0.9"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)

        def say(line):
            driver.stdin.write(line + "\n")
            driver.stdin.flush()

        try:
            test(listener, say)
        finally:
            driver.kill()
            driver.wait()
    print(f"1..{number}")
    return failures


if __name__ == "__main__":
    sys.exit(min(main(), 1))
