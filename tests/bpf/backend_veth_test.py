#!/usr/bin/python3
"""Decapsulation on a real interface: the backend's own kernel answers for the VIP.

  gwt-…-lb                                       gwt-…-backend
  10.2.0.2, 2001:db8:2::2   lb ──veth── eth0     10.3.0.3, 2001:db8:3::3
  (and the client: 198.51.100.7, 2001:db8:7::7)  lo: the VIPs 203.0.113.10, 2001:db8:f::10

scapy builds the encapsulated packets, so this is also a second opinion on the format. Everything runs in generic and in
native mode.

usage: backend_veth_test.py GUIDEWAY_BACKEND_PROGRAM XSK_STEER_OBJECT
"""
import json
import os
import select
import socket
import subprocess
import sys
import time

from scapy.all import (GRE, ICMP, IP, TCP, UDP, Dot1Q, Ether, ICMPv6EchoReply, ICMPv6EchoRequest, IPv6,
                       IPv6ExtHdrFragment, Raw, raw)

from veth_lab import InNamespace, Tap, sh

PROGRAM, STEER_OBJECT = sys.argv[1:]
LB = f"gwt-decap-lb-{os.getpid()}"
BACKEND = f"gwt-decap-backend-{os.getpid()}"
LB_MAC, BACKEND_MAC = "02:00:00:00:00:02", "02:00:00:00:00:03"
ADDRESSES = {  # by family: load balancer, backend, client, VIP
    4: ("10.2.0.2", "10.3.0.3", "198.51.100.7", "203.0.113.10"),
    6: ("2001:db8:2::2", "2001:db8:3::3", "2001:db8:7::7", "2001:db8:f::10"),
}
KINDS = ("ipip", "gue0", "gue1", "gre")
MIXES = [(kind, outer, inner) for kind in KINDS for outer in (4, 6) for inner in (4, 6)]
LISTENER = """  # TCP port 80 accepts, UDP port 7 sends back
import selectors, socket, sys
ready = selectors.DefaultSelector()
tcp = socket.create_server(("::", 80), family=socket.AF_INET6, dualstack_ipv6=True, backlog=128)
ready.register(tcp, selectors.EVENT_READ, lambda sock: sock.accept()[0].close())
for vip in sys.argv[1:]:
    udp = socket.socket(socket.AF_INET6 if ":" in vip else socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind((vip, 7))
    ready.register(udp, selectors.EVENT_READ, lambda sock: sock.sendto(*sock.recvfrom(65536)))
print("listening", flush=True)
while True:
    for key, _ in ready.select():
        key.data(key.fileobj)
"""


def on_backend(command):
    return sh(f"ip netns exec {BACKEND} {command}", check=False)


def loader(arguments):
    return on_backend(f"{PROGRAM} {arguments}")


def make_lab():
    for namespace in (LB, BACKEND):
        sh(f"ip netns add {namespace}")
        sh(f"ip -n {namespace} link set lo up")
    sh(f"ip -n {LB} link add lb address {LB_MAC} type veth peer name eth0 address {BACKEND_MAC} netns {BACKEND}")
    for family, (balancer, backend, client, vip) in ADDRESSES.items():
        whole = 32 if family == 4 else 128
        nodad = "nodad" if family == 6 else ""
        for namespace, device, ours, theirs, mac in ((LB, "lb", balancer, backend, BACKEND_MAC),
                                                     (BACKEND, "eth0", backend, balancer, LB_MAC)):
            sh(f"ip -n {namespace} address add {ours}/{whole} dev {device} {nodad}")
            sh(f"ip -n {namespace} link set {device} up")
            sh(f"ip -n {namespace} route add {theirs} dev {device}")
            sh(f"ip -n {namespace} neighbour replace {theirs} lladdr {mac} dev {device}")
        sh(f"ip -n {BACKEND} address add {vip}/{whole} dev lo {nodad}")
        sh(f"ip -n {BACKEND} -{family} route add default via {balancer} dev eth0 onlink")
    for namespace, device in ((LB, "lb"), (BACKEND, "eth0")):
        sh(f"ip netns exec {namespace} ethtool -K {device} tx off gro off gso off tso off", check=False)


def remove_lab():
    for namespace in (LB, BACKEND):
        sh(f"ip netns del {namespace}", check=False)


class Balancer:
    """Sends frames from the load balancer's end and sees what comes back there."""

    def __init__(self):
        with InNamespace(LB):
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
            self.socket.bind(("lb", 0))

    def send(self, *packets):
        for packet in packets:
            self.socket.send(raw(Ether(src=LB_MAC, dst=BACKEND_MAC) / packet))

    def reply(self, matches, timeout_s=1.0):
        deadline = time.monotonic() + timeout_s
        while (left := deadline - time.monotonic()) > 0:
            if not select.select([self.socket], [], [], left)[0]:
                return None
            frame = self.socket.recv(65536)
            if frame[6:12] == bytes.fromhex(BACKEND_MAC.replace(":", "")) and matches(Ether(frame)):
                return frame
        return None


def ip(family, source, destination, **fields):
    return (IP if family == 4 else IPv6)(src=source, dst=destination, **fields)


def encapsulated(kind, outer, inner_family, inner, balancer=None):
    backend = ADDRESSES[outer][1]
    balancer = balancer or ADDRESSES[outer][0]
    protocol = 4 if inner_family == 4 else 41
    if kind == "ipip":
        header = ip(outer, balancer, backend, **{"proto" if outer == 4 else "nh": protocol})
        return header / Raw(raw(inner))
    if kind == "gre":
        return ip(outer, balancer, backend) / GRE(proto=0x0800 if inner_family == 4 else 0x86dd) / Raw(raw(inner))
    gue = bytes([0, protocol, 0, 0]) if kind == "gue0" else b""
    return ip(outer, balancer, backend) / UDP(sport=50000, dport=6080) / Raw(gue + raw(inner))


def two_fragments(packet, cut=504):
    """Of an IP packet without options or extension headers."""
    family = packet.version
    payload = raw(packet)[20 if family == 4 else 40:]
    if family == 4:
        fragment = [IP(src=packet.src, dst=packet.dst, proto=packet.proto, id=payload[1], flags=flags, frag=offset // 8)
                    for flags, offset in (("MF", 0), (0, cut))]
    else:
        fragment = [IPv6(src=packet.src, dst=packet.dst) /
                    IPv6ExtHdrFragment(nh=packet.nh, id=payload[1], m=more, offset=offset // 8)
                    for more, offset in ((1, 0), (0, cut))]
    return fragment[0] / Raw(payload[:cut]), fragment[1] / Raw(payload[cut:])


def ping(family, sequence, payload_bytes=32):
    client, vip = ADDRESSES[family][2:]
    data = Raw(bytes(index % 251 for index in range(payload_bytes)))
    if family == 4:
        return ip(4, client, vip) / ICMP(id=77, seq=sequence) / data
    return ip(6, client, vip) / ICMPv6EchoRequest(id=77, seq=sequence) / data


def is_pong(family, sequence):
    if family == 4:
        return lambda frame: ICMP in frame and frame[ICMP].type == 0 and frame[ICMP].seq == sequence
    return lambda frame: ICMPv6EchoReply in frame and frame[ICMPv6EchoReply].seq == sequence


def is_datagram(port, data):
    return lambda frame: UDP in frame and frame[UDP].dport == port and raw(frame[UDP].payload)[:len(data)] == data


def is_syn_ack(port):
    return lambda frame: TCP in frame and frame[TCP].dport == port and frame[TCP].flags == "SA"


def packets():
    return json.loads(loader("status eth0 --json").stdout)["packets"]


def sources_option():
    return " ".join(f"--source {ADDRESSES[family][0]}" for family in ADDRESSES)


def check_mixes(tap, balancer, mode):
    for sequence, (kind, outer, inner) in enumerate(MIXES, 1):
        name = f"{mode}: {kind} {inner}in{outer}"
        balancer.send(encapsulated(kind, outer, inner, ping(inner, sequence)))
        tap.check(f"{name}: the kernel answers a ping to the VIP", balancer.reply(is_pong(inner, sequence)), packets())
        client, vip = ADDRESSES[inner][2:]
        port = 40000 + sequence
        balancer.send(encapsulated(kind, outer, inner, ip(inner, client, vip) / TCP(sport=port, dport=80)))
        tap.check(f"{name}: the kernel answers a SYN to the VIP", balancer.reply(is_syn_ack(port)), packets())
    counted = packets()
    tap.check(f"{mode}: each was counted", (counted["ipip"], counted["gue"], counted["gre"]) == (8, 16, 8), counted)


def check_fragments(tap, balancer, mode):
    """Fragments inside: oversize = "fragment-inner", or the client's own. Fragments outside: oversize = "fragment"."""
    for number, (kind, outer, inner) in enumerate(MIXES):
        client, vip = ADDRESSES[inner][2:]
        port = 41000 + number
        data = bytes((index + number) % 251 for index in range(1000))
        first, last = two_fragments(ip(inner, client, vip) / UDP(sport=port, dport=7) / Raw(data))
        order, how = ((first, last), "in order") if number % 2 == 0 else ((last, first), "the last one first")
        balancer.send(*(encapsulated(kind, outer, inner, each) for each in order))
        tap.check(f"{mode}: {kind} {inner}in{outer}: the kernel puts two inner fragments together, {how}",
                  balancer.reply(is_datagram(port, data)), packets())
    before = packets()["fragment"]
    balancer.send(*two_fragments(IP(raw(encapsulated("ipip", 4, 4, ping(4, 930, 1000))))))
    tap.check(f"{mode}: outer fragments get no answer", balancer.reply(is_pong(4, 930), 0.3) is None)
    tap.check(f"{mode}: outer fragments are counted", packets()["fragment"] == before + 2, packets())


def check_varying_sources(tap, balancer, mode):
    """The data plane's ipip_source_prefixes."""
    loader("attach eth0 --source 198.18.0.0/16 --source 2001:db8:18::/96")
    sources = [("ipip", 4, "198.18.0.1"), ("ipip", 4, "198.18.77.200"), ("gre", 4, "198.18.255.254"),
               ("ipip", 6, "2001:db8:18::1"), ("gre", 6, "2001:db8:18::fedc:ba98")]
    for sequence, (kind, outer, source) in enumerate(sources, 910):
        balancer.send(encapsulated(kind, outer, 4, ping(4, sequence), source))
        tap.check(f"{mode}: {kind} from {source}, one of a source prefix", balancer.reply(is_pong(4, sequence)), packets())
    balancer.send(encapsulated("ipip", 4, 4, ping(4, 920), "198.19.0.1"))
    tap.check(f"{mode}: 198.19.0.1 is not one of 198.18.0.0/16", balancer.reply(is_pong(4, 920), 0.3) is None)
    loader(f"attach eth0 {sources_option()}")


def check_vlan(tap, balancer, mode):
    before = packets()["passed"]
    balancer.send(Dot1Q(vlan=7) / encapsulated("ipip", 4, 4, ping(4, 940)))
    tap.check(f"{mode}: a frame with a VLAN tag is left to the stack", balancer.reply(is_pong(4, 940), 0.3) is None)
    tap.check(f"{mode}: a frame with a VLAN tag is counted", packets()["passed"] > before, packets())


def check_refusals(tap, balancer, mode):
    loader("attach eth0 --source 10.9.0.0/16")
    balancer.send(encapsulated("gue0", 4, 4, ping(4, 900)))
    tap.check(f"{mode}: a stranger gets no answer", balancer.reply(is_pong(4, 900), 0.3) is None)
    tap.check(f"{mode}: the stranger is counted", packets()["stranger"] == 1, packets())
    loader(f"attach eth0 {sources_option()}")
    balancer.send(ip(4, "10.2.0.2", "10.3.0.3") / ICMP(id=77, seq=902))
    tap.check(f"{mode}: the backend's own address still answers", balancer.reply(is_pong(4, 902)))


def check_update(tap, balancer, mode):
    """Answers while the settings are replaced over and over: not one may be missing."""
    updates = subprocess.Popen(f"for i in 1 2 3 4 5 6 7 8; do ip netns exec {BACKEND} {PROGRAM} attach eth0 {sources_option()}"
                               " || exit 1; done", shell=True, stdout=subprocess.DEVNULL)
    sequence, lost = 1000, 0
    while updates.poll() is None:
        sequence += 1
        balancer.send(encapsulated("ipip", 4, 4, ping(4, sequence)))
        lost += balancer.reply(is_pong(4, sequence)) is None
    tap.check(f"{mode}: updates lose no packet", updates.returncode == 0 and lost == 0 and sequence > 1020,
              f"exit code {updates.returncode}, {sequence - 1000} pings, {lost} lost")


def check_large(tap, balancer, mode):
    sh(f"ip -n {LB} link set lb mtu 1600")
    sh(f"ip -n {BACKEND} link set eth0 mtu 1600")
    for kind in KINDS:
        balancer.send(encapsulated(kind, 6, 4, ping(4, 950, 1472)))
        tap.check(f"{mode}: {kind} 4in6: a full 1500-byte packet fits when the MTU leaves room for the outer headers",
                  balancer.reply(is_pong(4, 950)))


def check_mode(tap, balancer, mode):
    tap.says(f"{mode}: attach", loader(f"attach eth0 {sources_option()} --mode {mode}"), 0,
             f"eth0: decapsulation attached, {mode} mode, 2 sources")
    check_mixes(tap, balancer, mode)
    check_refusals(tap, balancer, mode)
    check_fragments(tap, balancer, mode)
    check_varying_sources(tap, balancer, mode)
    check_vlan(tap, balancer, mode)
    check_update(tap, balancer, mode)
    check_large(tap, balancer, mode)
    other = "generic" if mode == "native" else "native"
    tap.says(f"{mode}: the mode is not changed on the fly", loader(f"attach eth0 {sources_option()} --mode {other}"), 1,
             "run `guideway-backend detach eth0` first")
    tap.says(f"{mode}: detach", loader("detach eth0"), 0, "eth0: decapsulation detached")
    balancer.send(encapsulated("ipip", 4, 4, ping(4, 999)))
    tap.check(f"{mode}: nothing is decapsulated after that", balancer.reply(is_pong(4, 999), 0.3) is None)


def check_sentences(tap):
    tap.says("status without a program", loader("status eth0"), 3, "eth0: no decapsulation; `guideway-backend attach")
    tap.says("status without a program in JSON", loader("status eth0 --json"), 3, '"attached": false')
    tap.says("detach without a program", loader("detach eth0"), 0, "eth0: nothing was attached")
    tap.says("no such interface", loader("attach nosuch --source 10.0.0.1"), 1, 'no network interface "nosuch"')
    tap.says("no source", loader("attach eth0"), 2, "--source is required")
    tap.says("no prefix", loader("attach eth0 --source lb1"), 1, '--source "lb1" is no address or prefix; write it like 203.0.113.0/24')
    tap.says("nothing to do", loader("attach eth0 --source 10.0.0.1 --no-ipip --no-gre --gue-port 0"), 1, "leave one of them out")
    tap.says("no address to end tunnels at", loader("attach lo --source 10.0.0.1 --local lo"), 1, "is no address; write")
    for address in ("224.0.0.1", "ff02::1", "0.0.0.0", "255.255.255.255", "::"):
        tap.says(f"{address} is no end of a tunnel", loader(f"attach lo --source 10.0.0.1 --local {address}"), 1,
                 f'--local "{address}" is no address of one host')
    tap.says("no BPF file system", loader(f"attach eth0 {sources_option()} --pin"), 1, "`mount -t bpf bpf /sys/fs/bpf`")
    tap.says("then nothing was attached", loader("status eth0"), 3, "no decapsulation")
    sh(f"ip -n {BACKEND} link set lo xdpgeneric obj {STEER_OBJECT} sec xdp")
    tap.says("another program is not replaced", loader("attach lo --source 10.0.0.1"), 1, 'has the XDP program "xsk_steer"')
    tap.says("another program is not detached", loader("detach lo"), 1, "`ip link set dev lo xdp off`")
    sh(f"ip -n {BACKEND} link set lo xdpgeneric off")


def check_any_source(tap):
    for prefix in ("0.0.0.0/0", "::/0"):
        tap.says(f"{prefix} as source is warned of", loader(f"attach eth0 --source {prefix}"), 0,
                 f"warning: --source {prefix} lets anybody put packets into this host's stack")
    result = loader("attach eth0 --source 10.2.0.0/28")
    tap.check("a prefix of load balancers is not", result.returncode == 0 and not result.stderr, result.stderr)
    loader("detach eth0")


def check_race(tap):
    """Several `attach`es at once: one of them wins."""
    loader("attach eth0 --source 10.2.0.2")
    command = ["ip", "netns", "exec", BACKEND, PROGRAM, "attach", "eth0", "--source", "10.2.0.2"]
    losers = []
    for _ in range(10):
        racers = [subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
                  for _ in range(6)]
        said = [(racer.communicate()[1], racer.returncode) for racer in racers]
        losers += [text for text, code in said if code != 0]
        if losers:
            break
    tap.check("those who lose a race are told to try again",
              losers and all("was at it at the same time, run this one again" in text for text in losers), losers)
    loader("detach eth0")


def check_mtu(tap):
    """veth takes native XDP only while its peer's frames fit a page with headroom and skb_shared_info."""
    sh(f"ip -n {LB} link set lb mtu 9000")
    tap.says("native mode refuses an MTU too large for it", loader(f"attach eth0 {sources_option()} --mode native"), 1,
             "--mode generic always works")
    tap.says("auto then takes generic mode", loader(f"attach eth0 {sources_option()}"), 0, "generic mode")
    loader("detach eth0")
    sh(f"ip -n {LB} link set lb mtu 1600")


def check_pins(tap):
    script = f"""mount -t bpf bpf /sys/fs/bpf &&
      {PROGRAM} attach eth0 {sources_option()} --pin && {PROGRAM} attach eth0 {sources_option()} &&
      ls /sys/fs/bpf/guideway/$(stat -L -c %i /proc/self/ns/net)/eth0 &&
      bpftool map dump pinned /sys/fs/bpf/guideway/$(stat -L -c %i /proc/self/ns/net)/eth0/config &&
      {PROGRAM} detach eth0 && echo left: $(ls /sys/fs/bpf/guideway 2>&1)"""
    result = sh(f"ip netns exec {BACKEND} unshare -m sh -c '{script}'", check=False)
    tap.says("--pin pins program and maps under the namespace's number", result, 0,
             "config\ncounters\nlocals\nprogram\nsources\n")
    tap.says("detach removes the pins and their directories", result, 0, "No such file or directory")


def main():
    tap = Tap()
    make_lab()
    listener = subprocess.Popen(["ip", "netns", "exec", BACKEND, "/usr/bin/python3", "-c", LISTENER,
                                 *(vip for *_, vip in ADDRESSES.values())],
                                stdout=subprocess.PIPE)
    try:
        listener.stdout.readline()
        balancer = Balancer()
        check_sentences(tap)
        check_any_source(tap)
        check_race(tap)
        for mode in ("generic", "native"):
            check_mode(tap, balancer, mode)
        check_mtu(tap)
        check_pins(tap)
        tap.close()
    finally:
        listener.kill()
        listener.wait()
        remove_lab()


main()
