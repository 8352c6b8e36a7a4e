#!/usr/bin/python3
"""Second chance between real kernels: a connection that lives on one backend survives packets that go to the others.

                     gwt-…-net: router and clients
                     198.51.100.7, 2001:db8:7::7
        ┌──────────────────────┼──────────────────────┐
     10.3.1.1               10.3.2.1               10.3.3.1       (and 2001:db8:3:N::1)
        │ veth                 │ veth                 │ veth
     10.3.1.2               10.3.2.2               10.3.3.2       (and 2001:db8:3:N::2)
    gwt-…-a                gwt-…-b                gwt-…-c
    VIPs on lo             VIPs on lo             VIPs in a container, gwt-…-c-in, behind another veth

Clients are sockets of the router's kernel. What they send to a VIP goes out to a TUN device and is encapsulated here, by
hand, to the backends that the case says: so this is a second opinion on the format, and the balancer. Answers come back
to the client's socket straight from the backend.

usage: second_chance_veth_test.py GUIDEWAY_BACKEND_PROGRAM XSK_STEER_OBJECT OUTER_FAMILY
"""
import fcntl
import ipaddress
import json
import os
import socket
import struct
import subprocess
import sys
import threading
import time

from scapy.all import IP, UDP, IPv6, Raw, raw

from veth_lab import InNamespace, Tap, sh

PROGRAM, STEER_OBJECT = sys.argv[1:3]
OUTER = int(sys.argv[3])
NET = f"gwt-hops-net-{os.getpid()}"
BACKENDS = {name: f"gwt-hops-{name}-{os.getpid()}" for name in "abc"}
CONTAINER = f"gwt-hops-c-in-{os.getpid()}"
NUMBERS = {"a": 1, "b": 2, "c": 3}
CLIENT = {4: "198.51.100.7", 6: "2001:db8:7::7"}
VIP = {4: "203.0.113.10", 6: "2001:db8:f::10"}
BALANCER = {4: "10.2.0.2", 6: "2001:db8:2::2"}
SERVER = """  # sends back what it gets, with its name in front
import socket, sys, threading
server = socket.create_server(("::", 80), family=socket.AF_INET6, dualstack_ipv6=True)
def serve(connection):
    while data := connection.recv(65536):
        connection.sendall(sys.argv[1].encode() + data)
print("listening", flush=True)
while True:
    threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()
"""


def address(family, name, router=False):
    end = 1 if router else 2
    return f"10.3.{NUMBERS[name]}.{end}" if family == 4 else f"2001:db8:3:{NUMBERS[name]}::{end}"


def sysctl(namespace, *settings):
    for setting in settings:
        sh(f"ip netns exec {namespace} sysctl -qw {setting}")


def link(left, left_device, right, right_device):
    sh(f"ip -n {left} link add {left_device} type veth peer name {right_device} netns {right}")
    for namespace, device in ((left, left_device), (right, right_device)):
        sh(f"ip -n {namespace} link set {device} up")
        sh(f"ip netns exec {namespace} ethtool -K {device} tx off gso off tso off gro off")


def make_lab():
    for namespace in (NET, *BACKENDS.values(), CONTAINER):
        sh(f"ip netns add {namespace}")
        sh(f"ip -n {namespace} link set lo up")
    sysctl(NET, "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1", "net.ipv4.conf.all.rp_filter=0",
           "net.ipv4.conf.default.rp_filter=0", "net.ipv4.conf.all.accept_local=1")
    for family in (4, 6):
        whole = 32 if family == 4 else 128
        sh(f"ip -n {NET} address add {CLIENT[family]}/{whole} dev lo {'nodad' if family == 6 else ''}")
    for name, namespace in BACKENDS.items():
        sysctl(namespace, "net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.default.rp_filter=0")
        link(NET, f"to-{name}", namespace, "eth0")
        for family, bits in ((4, 24), (6, 64)):
            nodad = "nodad" if family == 6 else ""
            sh(f"ip -n {NET} address add {address(family, name, True)}/{bits} dev to-{name} {nodad}")
            sh(f"ip -n {namespace} address add {address(family, name)}/{bits} dev eth0 {nodad}")
            sh(f"ip -n {namespace} -{family} route add default via {address(family, name, True)}")
    for namespace in (BACKENDS["a"], BACKENDS["b"], CONTAINER):
        sh(f"ip -n {namespace} address add {VIP[4]}/32 dev lo; ip -n {namespace} address add {VIP[6]}/128 dev lo nodad")
    make_container()


def make_container():
    host = BACKENDS["c"]
    sysctl(host, "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
    sysctl(CONTAINER, "net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.default.rp_filter=0")
    link(host, "inside", CONTAINER, "eth0")
    for family, bits, ours, theirs in ((4, 24, "10.4.0.1", "10.4.0.2"), (6, 64, "2001:db8:4::1", "2001:db8:4::2")):
        nodad = "nodad" if family == 6 else ""
        sh(f"ip -n {host} address add {ours}/{bits} dev inside {nodad}")
        sh(f"ip -n {CONTAINER} address add {theirs}/{bits} dev eth0 {nodad}")
        sh(f"ip -n {CONTAINER} -{family} route add default via {ours}")
        sh(f"ip -n {host} -{family} route add {VIP[family]} via {theirs}")


def remove_lab():
    for namespace in (NET, *BACKENDS.values(), CONTAINER):
        sh(f"ip netns del {namespace}", check=False)


class Balancer(threading.Thread):
    """Takes what clients send to VIPs from a TUN device, and sends it on as `plan` says: names of backends, the first of
    which is the destination; a SYN goes to `owner`."""

    def __init__(self, outer):
        super().__init__(daemon=True)
        self.outer = outer
        self.owner, self.plan, self.generation = "a", ["a"], 1
        with InNamespace(NET):
            self.tun = os.open("/dev/net/tun", os.O_RDWR)
            fcntl.ioctl(self.tun, 0x400454ca, struct.pack("16sH", b"lb", 0x1001))  # TUNSETIFF: IFF_TUN | IFF_NO_PI
            self.out = socket.socket(socket.AF_INET if outer == 4 else socket.AF_INET6, socket.SOCK_RAW,
                                     socket.IPPROTO_RAW)
            for family in (4, 6):
                sh(f"ip netns exec {NET} ip link set lb up && ip -n {NET} -{family} route replace {VIP[family]} dev lb")

    def run(self):
        while True:
            packet = os.read(self.tun, 65536)
            if packet[0] >> 4 in (4, 6) and self.is_tcp(packet):
                self.send(packet)

    @staticmethod
    def is_tcp(packet):
        return packet[9 if packet[0] >> 4 == 4 else 6] == 6

    def send(self, packet):
        flags = packet[33 if packet[0] >> 4 == 4 else 53]
        names = [self.owner] if flags & 0x12 == 0x02 else self.plan
        target = address(self.outer, names[0])
        self.out.sendto(raw(self.encapsulated(packet, target, names[1:])), (target, 0))

    def encapsulated(self, packet, target, hops):
        protocol = 4 if packet[0] >> 4 == 4 else 41
        addresses = b"".join(ipaddress.ip_address(address(self.outer, name)).packed for name in hops)
        private = struct.pack("!HBB", 0 if self.outer == 4 else 1, 0, len(hops)) + addresses
        private += struct.pack("!I", self.generation)
        header = struct.pack("!BBH", len(private) // 4, protocol, 0) + private
        ip = (IP if self.outer == 4 else IPv6)(src=BALANCER[self.outer], dst=target)
        return ip / UDP(sport=50000, dport=6080) / Raw(header + packet)


def connect(family, timeout_s=5.0):
    with InNamespace(NET):
        client = socket.socket(socket.AF_INET if family == 4 else socket.AF_INET6)
    client.settimeout(timeout_s)
    client.bind((CLIENT[family], 0))
    client.connect((VIP[family], 80))
    return client


def echo(client, text, timeout_s=5.0):
    client.settimeout(timeout_s)
    try:
        client.sendall(text)
        return client.recv(65536)
    except OSError as error:
        return repr(error)


def backend(name, arguments):
    return sh(f"ip netns exec {BACKENDS[name]} {PROGRAM} {arguments}", check=False)


def packets(name):
    return json.loads(backend(name, "status eth0 --json").stdout)["packets"]


def counted(name, before):
    return {counter: count - before[counter] for counter, count in packets(name).items()
            if count != before[counter] and counter != "passed"}


def passed_on(moved):
    """By the routes on c, whose kernel forwards to its container; the others have nothing set up."""
    return moved.get("hop_reflected", 0) + moved.get("hop_routed", 0)


def attach(mode):
    for name in BACKENDS:
        # What a veth transmits by native XDP waits until its peer looks, and it is waked only if it has a program too.
        program = f"xdpdrv obj {STEER_OBJECT} sec xdp" if mode == "native" else "xdp off"
        sh(f"ip -n {NET} link set to-{name} {program}")
        netns = f"--netns {CONTAINER}" if name == "c" else ""
        result = backend(name, f"attach eth0 --source {BALANCER[4]} --source {BALANCER[6]} --mode {mode} {netns}")
        if result.returncode != 0:
            raise RuntimeError(result.stderr)


def check_connection(tap, balancer, family, home, title):
    """A connection to `home` gets its answers, whomever its packets go to first."""
    balancer.owner, balancer.plan = home, [home]
    client = connect(family)
    tap.check(f"{title}: {home} answers", echo(client, b"direct") == home.encode() + b"direct")
    others = [name for name in BACKENDS if name != home]
    for number, plan in enumerate((others[:1] + [home], others + [home], others[::-1] + [home], [others[0], home, others[1]])):
        before = {name: packets(name) for name in BACKENDS}
        balancer.plan = plan
        text = f"{title} {number}".encode()
        got = echo(client, text)
        moved = {name: counted(name, before[name]) for name in BACKENDS}
        tap.check(f"{title}: by {' → '.join(plan)}", got == home.encode() + text, f"{got} {moved}")
        tap.check(f"{title}: by {' → '.join(plan)}: passed on by {plan[0]}, accepted by {home}",
                  passed_on(moved[plan[0]]) > 0 and moved[home].get("accepted_socket", 0) > 0, moved)
    client.close()


def check_opening(tap, balancer, family, title):
    """The SYN goes to one backend, everything after it to another one first: while the connection is half open."""
    balancer.owner, balancer.plan = "b", ["a", "c", "b"]
    client = connect(family)
    tap.check(f"{title}: opened by way of others", echo(client, b"hello") == b"bhello")
    sysctl(BACKENDS["b"], "net.ipv4.tcp_syncookies=2")
    before = packets("b")
    other = connect(family)
    tap.check(f"{title}: opened by SYN cookie by way of others", echo(other, b"hello") == b"bhello")
    tap.check(f"{title}: the cookie was counted", packets("b")["accepted_cookie"] > before["accepted_cookie"])
    sysctl(BACKENDS["b"], "net.ipv4.tcp_syncookies=1")
    client.close()
    other.close()


def connected_to(balancer, family, home):
    """A connection whose every packet has arrived, so that none is underway when the plan changes."""
    balancer.owner, balancer.plan = home, [home]
    client = connect(family)
    echo(client, b"hello")
    time.sleep(0.3)  # a delayed ACK
    return client


def check_ends(tap, balancer, family, title):
    """Nobody has it: reset, unless the packet's tables are left behind; then nothing, and what is sent again arrives."""
    client = connected_to(balancer, family, "a")
    balancer.plan = ["b", "c"]
    got = echo(client, b"lost")
    tap.check(f"{title}: what nobody on the list has is reset", "ConnectionResetError" in str(got), got)
    client = connected_to(balancer, family, "a")
    balancer.generation += 1
    connected_to(balancer, family, "b").close()
    time.sleep(0.3)
    before = packets("b")
    balancer.generation -= 1  # a worker that is slower than the others
    balancer.plan = ["b"]
    timer = threading.Timer(0.5, catch_up, (balancer, ["b", "a"]))
    timer.start()
    got = echo(client, b"again", 10.0)
    timer.join()
    tap.check(f"{title}: what is of older tables is dropped, and arrives when it is sent again", got == b"aagain", got)
    tap.check(f"{title}: and is counted", packets("b")["hop_stale"] > before["hop_stale"], counted("b", before))
    client.close()


def catch_up(balancer, plan):
    balancer.plan = plan
    balancer.generation += 1


def check_status(tap):
    result = backend("c", "attach eth0 --source 10.2.0.2 --hop-rate 7 --netns nosuch")
    tap.check("an unknown namespace is named", result.returncode == 1 and '--netns "nosuch" is no network namespace' in result.stderr,
              result.stderr)
    text, status = backend("c", "status eth0").stdout, json.loads(backend("c", "status eth0 --json").stdout)
    tap.check("status shows the settings", f"netns    {CONTAINER}" in text and "at most 100000 packets a second" in text, text)
    tap.check("status shows the settings in JSON", (status["second_chance"], status["hop_rate"], status["netns"]) ==
              (True, 100000, [CONTAINER]), status)
    backend("c", "attach eth0 --source 10.2.0.2 --second-chance off --hop-rate 7")
    text, status = backend("c", "status eth0").stdout, json.loads(backend("c", "status eth0 --json").stdout)
    tap.check("status shows that it is off", "second chance off" in text and "netns" not in text, text)
    tap.check("status shows that it is off in JSON", (status["second_chance"], status["hop_rate"], status["netns"]) ==
              (False, 7, []), status)
    result = backend("c", "attach eth0 --source 10.2.0.2 --hop-rate 0")
    tap.check("a rate of nothing is refused", result.returncode == 2 and "--hop-rate" in result.stderr, result.stderr)


def start_servers():
    servers = []
    for name, namespace in (("a", BACKENDS["a"]), ("b", BACKENDS["b"]), ("c", CONTAINER)):
        server = subprocess.Popen(["ip", "netns", "exec", namespace, "/usr/bin/python3", "-c", SERVER, name],
                                  stdout=subprocess.PIPE)
        server.stdout.readline()
        servers.append(server)
    return servers


def check_outer(tap, outer):
    balancer = Balancer(outer)
    balancer.start()
    for mode in ("generic", "native"):
        attach(mode)
        for family in (4, 6):
            for home in BACKENDS:
                check_connection(tap, balancer, family, home, f"{mode}, {family}in{outer}, {home}")
            check_opening(tap, balancer, family, f"{mode}, {family}in{outer}")
            check_ends(tap, balancer, family, f"{mode}, {family}in{outer}")
        if mode == "native" and outer == 6:
            check_status(tap)
        for name in BACKENDS:
            backend(name, "detach eth0")


def main():
    tap = Tap()
    servers = []
    make_lab()
    try:
        servers = start_servers()
        check_outer(tap, OUTER)
        tap.close()
    finally:
        for server in servers:
            server.kill()
            server.wait()
        remove_lab()


main()
