#!/usr/bin/python3
"""The model against scapy and against what the RFCs' own arithmetic gives: one packet per case, TAP. Both may be wrong
alike only where neither the model nor scapy read the RFC."""
import pathlib
import random
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "lib")]
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption, fragment  # noqa: E402
from scapy.layers.inet6 import (ICMPv6DestUnreach, ICMPv6EchoReply, ICMPv6EchoRequest, ICMPv6PacketTooBig,  # noqa: E402
                                ICMPv6ParamProblem, IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop)
from scapy.layers.l2 import GRE, Dot1AD, Dot1Q, Ether  # noqa: E402
from scapy.packet import Raw  # noqa: E402

from flow_hash_model import FlowHash  # noqa: E402
from model import Backend, PacketPath, Pool, Port, Tables, Vip  # noqa: E402
from model.wire import checksum  # noqa: E402

SECRET = bytes(16)
MAC, NEXT_HOP, CLIENT_MAC = "02:00:00:00:00:01", "02:00:00:00:00:02", "02:00:00:00:00:0c"
C4, C6, V4, V6 = "198.51.100.7", "2001:db8::7", "203.0.113.10", "2001:db8:1::10"
S4, S6, B4, B6 = "192.0.2.1", "2001:db8:ff::1", "10.0.0.1", "2001:db8:2::1"
TAGGED = ((100, 7), ("10.99.0.0/16", "2001:db8:fe::/64"))


def path(encap="ipip", backend=B4, mtu=1500, pool=None, port=(), vip=None, **limits):
    pools = {"web": Pool(encap, 11, [Backend(backend, 1, mtu)], **(pool or {})),
             "none": Pool("ipip", 11, [Backend(B4, 0)])}
    vips = [Vip(address, protocol, number, name, **(vip or {})) for address in (V4, V6)
            for protocol, number, name in (("tcp", 80, "web"), ("udp", 53, "web"), ("tcp", 81, "none"),
                                           ("udp", 54, "none"))]
    return PacketPath(SECRET, Tables(pools, vips, Port(MAC, NEXT_HOP, {4: S4, 6: S6}, 1500, *port)), **limits)


def arrives(packet, tags=None):
    ether = Ether(src=CLIENT_MAC, dst=MAC)
    return bytes((ether / tags if tags else ether) / packet)


def leaves(packet):
    return bytes(Ether(src=MAC, dst=NEXT_HOP) / packet)


def goes_back(packet, tags=None):
    ether = Ether(src=MAC, dst=CLIENT_MAC)
    return bytes((ether / tags if tags else ether) / packet)


def entropy(source, destination, ports, protocol):
    return FlowHash(SECRET)(source, destination, *ports, protocol) & 0xFFFFFFFF


def ip4(**fields):
    return IP(src=C4, dst=V4, **fields)


def ip6(**fields):
    return IPv6(src=C6, dst=V6, **fields)


def outer4(**fields):
    return IP(src=S4, dst=B4, ttl=64, id=0, **{"flags": "DF", **fields})


def inner(packet):
    return Raw(bytes(packet))


SEGMENT = TCP(sport=40000, dport=80, flags="S", seq=7)
DATAGRAM = UDP(sport=40000, dport=53) / Raw(b"question")
E4, E6 = entropy(C4, V4, (40000, 80), 6), entropy(C6, V6, (40000, 80), 6)


def encapsulation_cases():
    packet4, packet6 = ip4(tos=0xB9) / SEGMENT, ip6(tc=0xB9) / SEGMENT
    label = {"fl": E4 & 0xFFFFF}
    port = 0xC000 | E4 & 0x3FFF
    outer6 = IPv6(src=S6, dst=B6, hlim=64, tc=0xB9, **label)
    yield "IPIP 4 in 4", path(), arrives(packet4), leaves(outer4(tos=0xB9, proto=4) / inner(packet4))
    yield "IPIP 6 in 4", path(), arrives(packet6), leaves(outer4(tos=0xB9, proto=41) / inner(packet6))
    yield ("IPIP 4 in 6", path(backend=B6), arrives(packet4),
           leaves(IPv6(src=S6, dst=B6, tc=0xB9, nh=4, **label) / inner(packet4)))
    yield ("GUE over IPv4", path("gue"), arrives(packet4),
           leaves(outer4(tos=0xB9) / UDP(sport=port, dport=6080, chksum=0) / Raw(b"\0\4\0\0") / inner(packet4)))
    yield ("GUE over IPv6 has a checksum", path("gue", B6), arrives(packet4),
           leaves(outer6.copy() / UDP(sport=port, dport=6080) / Raw(b"\0\4\0\0") / inner(packet4)))
    yield ("GUE variant 1", path("gue1"), arrives(packet4),
           leaves(outer4(tos=0xB9) / UDP(sport=port, dport=6080, chksum=0) / inner(packet4)))
    yield zero_checksum_case()
    yield "GRE", path("gre"), arrives(packet6), leaves(outer4(tos=0xB9) / GRE(proto=0x86DD) / inner(packet6))
    yield "L2DSR", path("l2dsr"), arrives(packet4) + b"padding", leaves(packet4)
    yield ("DSCP set, ECN copied", path(pool={"dscp": 46}), arrives(packet4),
           leaves(outer4(tos=46 << 2 | 1, proto=4) / inner(packet4)))
    spread = f"10.99.{E4 >> 8 & 255}.{E4 & 255}"
    tagged = Ether(src=MAC, dst=NEXT_HOP) / Dot1AD(vlan=100) / Dot1Q(vlan=7)
    yield ("tags and a spread source", path(port=TAGGED), arrives(packet4, Dot1Q(vlan=9)),
           bytes(tagged / IP(src=spread, dst=B4, id=0, flags="DF", tos=0xB9, proto=4) / inner(packet4)))
    chained = ip6() / IPv6ExtHdrHopByHop() / IPv6ExtHdrDestOpt() / SEGMENT
    yield "extension headers", path(), arrives(chained), leaves(outer4(proto=41) / inner(chained))


def zero_checksum_case():
    """The two bytes of payload make the sum 0xffff, so the checksum would be 0, which means none (RFC 768)."""
    def outer(packet):
        value = entropy(C4, V4, (40000, 53), 17)
        return (IPv6(src=S6, dst=B6, fl=value & 0xFFFFF) / UDP(sport=0xC000 | value & 0x3FFF, dport=6080)
                / Raw(b"\0\4\0\0") / inner(packet))

    def packet(payload):
        return ip4() / UDP(sport=40000, dport=53, chksum=1) / Raw(payload)

    missing = bytes(outer(packet(b"\0\0")))[46:48]
    frame = leaves(outer(packet(missing)))
    assert frame[60:62] == b"\xff\xff"
    return "a UDP checksum of zero is sent as 0xffff", path("gue", B6), arrives(packet(missing)), frame


def lookup_cases():
    """Pools of one backend each, so that the outer destination tells which VIP was found."""
    order = (("198.18.4.7", 80, "10.0.0.1"), ("198.18.4.0/24", 443, "10.0.0.2"), ("198.18.0.0/15", 443, "10.0.0.3"),
             ("198.18.0.0/15", 25, "10.0.0.4"), ("198.18.4.7", 0, "10.0.0.5"), ("198.18.4.0/24", 0, "10.0.0.6"),
             ("198.18.0.0/15", 0, "10.0.0.7"))
    tables = Tables({backend: Pool("ipip", 11, [Backend(backend)]) for _, _, backend in order},
                    [Vip(address, "tcp", port, backend) for address, port, backend in order],
                    Port(MAC, NEXT_HOP, {4: S4, 6: S6}, 1500))
    for destination, port, backend in (
            ("198.18.4.7", 80, "10.0.0.1"), ("198.18.4.7", 443, "10.0.0.2"), ("198.19.0.1", 443, "10.0.0.3"),
            ("198.18.4.7", 25, "10.0.0.4"), ("198.18.4.7", 26, "10.0.0.5"), ("198.18.4.8", 80, "10.0.0.6"),
            ("198.18.4.8", 443, "10.0.0.2"), ("198.19.0.1", 0, "10.0.0.7"), ("198.18.4.7", 0, "10.0.0.5")):
        packet = IP(src=C4, dst=destination) / TCP(sport=1, dport=port)
        yield (f"{destination} port {port}", PacketPath(SECRET, tables), arrives(packet),
               leaves(IP(src=S4, dst=backend, id=0, flags="DF", proto=4) / inner(packet)))
    yield "beyond the prefix", PacketPath(SECRET, tables), arrives(IP(src=C4, dst="198.20.0.0") / TCP()), "kernel"


def answer_cases():
    ping4 = ip4(tos=4) / ICMP(id=5, seq=6) / b"data"
    pong4 = IP(src=V4, dst=C4, id=0, flags="DF", tos=4) / ICMP(type=0, id=5, seq=6) / b"data"
    ping6 = ip6(tc=8) / ICMPv6EchoRequest(id=5, seq=6, data=b"data")
    yield "echo", path(), arrives(ping4, Dot1Q(vlan=9)), goes_back(pong4, Dot1Q(vlan=9))
    yield ("echo of IPv6", path(), arrives(ping6),
           goes_back(IPv6(src=V6, dst=C6, tc=8) / ICMPv6EchoReply(id=5, seq=6, data=b"data")))
    yield "echo without limit left", path(answers_echo=False), arrives(ping4), "echo_limited"
    wrong = bytearray(arrives(ping4))
    wrong[-1] ^= 1
    yield "echo damaged", path(), bytes(wrong), "icmp_bad_checksum"

    reject = {"vip": {"unserved": "reject", "no_backend": "reject"}}
    back4, back6 = IP(src=V4, dst=C4, id=0, flags="DF"), IPv6(src=V6, dst=C6)
    closed = ip4() / TCP(sport=1, dport=9, flags="SF", seq=2**32 - 2) / b"ab"
    yield ("reset of SYN and FIN counts their bytes", path(**reject), arrives(closed),
           goes_back(back4 / TCP(sport=9, dport=1, flags="RA", seq=0, ack=2, window=0)))
    yield ("reset of ACK takes its number", path(**reject), arrives(ip6() / TCP(sport=1, dport=9, flags="A", ack=77)),
           goes_back(back6 / TCP(sport=9, dport=1, flags="R", seq=77, ack=0, window=0)))
    yield "no reset of a reset", path(**reject), arrives(ip4() / TCP(sport=1, dport=9, flags="R")), "unserved"
    question = ip4() / UDP(sport=1, dport=9) / Raw(bytes(1000))
    yield ("port unreachable quotes 576 bytes", path(**reject), arrives(question),
           goes_back(IP(src=V4, dst=C4, id=0, flags="DF", tos=0xC0) / ICMP(type=3, code=3) / bytes(question)[:548]))
    unknown = ip6() / IPv6ExtHdrDestOpt(nh=132) / Raw(bytes(20))
    yield ("ICMPv6 4/1 points at the byte that names it", path(**reject), arrives(unknown),
           goes_back(back6 / ICMPv6ParamProblem(code=1, ptr=40) / bytes(unknown)))
    yield ("no backend: SYN", path(**reject), arrives(ip4() / TCP(sport=1, dport=81, flags="S", seq=9)),
           goes_back(back4 / TCP(sport=81, dport=1, flags="RA", seq=0, ack=10, window=0)))
    yield "no backend: ACK", path(**reject), arrives(ip4() / TCP(sport=1, dport=81, flags="A")), "no_backend"
    lost = ip6() / UDP(sport=1, dport=54)
    yield ("no backend: UDP", path(**reject), arrives(lost), goes_back(back6 / ICMPv6DestUnreach(code=3) / bytes(lost)))
    foreign = goes_back(back4 / TCP(sport=9, dport=1, flags="R", seq=77, ack=0, window=0))
    yield ("sent by our own address, whatever it was sent to", path(**reject),
           bytes(Ether(src=CLIENT_MAC, dst="02:00:00:00:00:99") / ip4() / TCP(sport=1, dport=9, flags="A", ack=77)),
           foreign)
    yield "echo in a frame to a group", path(), b"\1" + arrives(ping4)[1:], "echo_refused"
    yield "not to a group", path(**reject), b"\1" + arrives(question)[1:], "unserved"


def size_cases():
    large = ip4(flags="DF") / TCP(sport=40000, dport=80) / Raw(bytes(1441))
    back = IP(src=V4, dst=C4, id=0, flags="DF", tos=0xC0)
    yield "just fits", path(), arrives(ip4(flags="DF") / TCP(sport=40000, dport=80) / Raw(bytes(1440))), "sent"
    yield ("DF", path(), arrives(large),
           goes_back(back / ICMP(type=3, code=4, nexthopmtu=1480) / bytes(large)[:548]))
    large6 = ip6() / TCP(sport=40000, dport=80) / Raw(bytes(1240))
    yield ("IPv6, not below 1280", path(mtu=1290), arrives(large6),
           goes_back(IPv6(src=V6, dst=C6) / ICMPv6PacketTooBig(mtu=1280) / bytes(large6)[:1232]))
    free = ip4(id=99) / TCP(sport=40000, dport=80) / Raw(bytes(range(250)) * 6)
    whole = IP(bytes(outer4(proto=4, flags=0) / inner(free)))
    whole.id = 1
    yield ("outer fragments", path(), arrives(free),
           *[leaves(IP(bytes(part))) for part in fragment(whole, fragsize=1480)])
    parts = [IP(bytes(part)) for part in fragment(free, fragsize=1456)]
    yield ("inner fragments", path(pool={"oversize": "fragment-inner"}), arrives(free),
           *[leaves(outer4(proto=4) / inner(part)) for part in parts])
    odd = ip4() / UDP(sport=40000, dport=53) / Raw(bytes(1376 + 1382 - 28))
    odd_parts = [IP(src=S4, dst=B4, id=1, proto=4, flags=flags, frag=begin // 8) / Raw(bytes(odd)[begin:end])
                 for begin, end, flags in ((0, 1376, "MF"), (1376, 2758, 0))]
    yield "the last fragment may use all of the MTU", path(mtu=1402), arrives(odd), *map(leaves, odd_parts)
    yield "oversize = drop", path(pool={"oversize": "drop"}), arrives(free), "too_big"
    yield "L2DSR fragments IPv4", path("l2dsr", mtu=1476), arrives(free), *[leaves(part) for part in parts]
    tail = bytes(range(250)) * 4
    packet = ip6() / UDP(sport=40000, dport=53) / Raw(tail)
    value = entropy(C6, V6, (40000, 53), 17)
    outer = IPv6(src=S6, dst=B6, fl=value & 0xFFFFF)
    datagram = UDP(sport=0xC000 | value & 0x3FFF, dport=6080) / Raw(b"\0\x29\0\0" + bytes(packet))
    summed = bytes(outer / datagram)[40:]
    yield ("outer IPv6 fragments", path("gue", B6, mtu=600), arrives(packet),
           leaves(outer / IPv6ExtHdrFragment(nh=17, offset=0, m=1, id=1) / Raw(summed[:552])),
           leaves(outer / IPv6ExtHdrFragment(nh=17, offset=69, m=0, id=1) / Raw(summed[552:])))


def icmp_error_cases():
    def error(quote, **fields):
        return ip4() / ICMP(**{"type": 3, "code": 4, **fields}) / bytes(quote)

    quoted = (IP(src=V4, dst=C4, flags="DF", options=[IPOption(b"\x94\4\0\0")]) / TCP(sport=80, dport=40000)
              / Raw(bytes(900)))
    yield "of a flow", path("gue"), arrives(error(bytes(quoted)[:200])), leaves(
        outer4() / UDP(sport=0xC000 | E4 & 0x3FFF, dport=6080, chksum=0) / Raw(b"\0\4\0\0")
        / inner(error(bytes(quoted)[:200])))
    yield "cut behind the ports", path(), arrives(error(bytes(quoted)[:28])), "sent"
    yield "cut in the ports", path(), arrives(error(bytes(quoted)[:27])), "icmp_bad_quote"
    short = bytes(IP(src=V4, dst=C4, len=23) / TCP(sport=80, dport=40000))
    yield "whose length ends in the ports", path(), arrives(error(short)), "icmp_bad_quote"
    short = bytes(IPv6(src=V6, dst=C6, plen=3) / TCP(sport=80, dport=40000))
    yield ("whose length ends in the ports, IPv6", path(), arrives(ip6() / ICMPv6PacketTooBig() / short),
           "icmp_bad_quote")
    yield "of an unserved flow", path(), arrives(error(IP(src=V4, dst=C4) / TCP(sport=99))), "kernel"
    yield "of somebody else's", path(), arrives(error(IP(src=C4, dst=V4) / TCP(sport=80))), "kernel"
    yield "a later fragment", path(), arrives(error(IP(src=V4, dst=C4, frag=1) / TCP(sport=80))), "icmp_bad_quote"
    yield "redirect", path(), arrives(error(quoted, type=5, code=0)), "icmp_unsupported"
    six = IPv6(src=V6, dst=C6) / IPv6ExtHdrDestOpt() / TCP(sport=80, dport=40000) / Raw(bytes(9))
    packet = ip6() / ICMPv6PacketTooBig(mtu=1300) / bytes(six)
    yield "of an IPv6 flow", path("gue1"), arrives(packet), leaves(
        outer4() / UDP(sport=0xC000 | E6 & 0x3FFF, dport=6080, chksum=0) / inner(packet))


def altered(packet, ether_type, at, value):
    return bytes(Ether(src=CLIENT_MAC, dst=MAC, type=ether_type) / Raw(packet[:at] + value + packet[at + len(value):]))


def soundness_cases():
    sound4, sound6 = bytes(ip4() / SEGMENT), bytes(ip6() / SEGMENT)
    for name, at, value, reason in (
            ("version", 0, b"\x65", "ipv4_bad_version"), ("header length", 0, b"\x44", "ipv4_bad_header_length"),
            ("header beyond the frame", 0, b"\x4f", "ipv4_bad_header_length"),
            ("length", 2, b"\0\x13", "ipv4_bad_total_length"),
            ("length beyond the frame", 2, b"\0\x29", "ipv4_bad_total_length"),
            ("protocol", 9, b"\x84", "unsupported_protocol"), ("tunnel", 9, b"\x2f", "encapsulated"),
            ("source", 12, b"\x7f", "bad_source"), ("equal", 12, sound4[16:20], "bad_source"),
            ("source before version", 0, b"\x65" + sound4[1:12] + b"\xe0", "bad_source"),
            ("not a VIP's", 16, b"\1", "kernel")):
        yield f"IPv4 {name}", path(), altered(sound4, 0x0800, at, value), reason
    for name, at, value, reason in (
            ("version", 0, b"\x45", "ipv6_bad_version"), ("length beyond the frame", 4, b"\0\x15", "ipv6_bad_length"),
            ("length short", 4, b"\0\x13", "l4_truncated"), ("protocol", 6, b"\x33", "unsupported_protocol"),
            ("extension cut", 6, b"\x3c", "ipv6_extension_truncated"), ("source", 8, b"\xfe\x80", "bad_source")):
        yield f"IPv6 {name}", path(), altered(sound6, 0x86DD, at, value), reason
    options = [IPv6ExtHdrDestOpt() for _ in range(9)]
    eight, nine = ip6(), ip6()
    for option in options[:8]:
        eight /= option
    for option in options:
        nine /= option
    yield "eight extension headers", path(), arrives(eight / SEGMENT), "sent"
    yield "nine extension headers", path(), arrives(nine / SEGMENT), "ipv6_too_many_extensions"
    yield "GUE that nobody asked for", path(), arrives(ip4() / UDP(dport=6080) / b"\0\4\0\0"), "encapsulated"
    yield "tunnel to ourselves", path(), arrives(IP(src=C4, dst=S4, proto=4) / Raw(sound4)), "encapsulated"
    yield "our own tunnel", path(), arrives(IP(src=S4, dst=B4) / UDP(dport=6080) / b"\0\4\0\0"), "returned"
    yield "our own frame", path(), bytes(Ether(src=MAC, dst=MAC) / ip4() / SEGMENT), "returned"
    yield "three tags", path(), arrives(ip4() / SEGMENT, Dot1Q(vlan=1) / Dot1Q(vlan=2) / Dot1Q(vlan=3)), "kernel"
    yield "atomic fragment", path(), arrives(ip6() / IPv6ExtHdrFragment(id=1) / SEGMENT), "sent"


def fragment_cases():
    """Several frames each: (time, frame), and how they end, by number."""
    def four(offset, more, payload, protocol=17, identification=5):
        flags = "MF" if more else 0
        return arrives(ip4(proto=protocol, id=identification, frag=offset // 8, flags=flags) / Raw(payload))

    def six(offset, more, payload, nh=17):
        return arrives(ip6() / IPv6ExtHdrFragment(nh=nh, offset=offset // 8, m=more, id=5) / Raw(payload))

    head = bytes(UDP(sport=40000, dport=53, len=40, chksum=1))
    first, second, last = four(0, 1, head + bytes(8)), four(16, 1, bytes(16)), four(32, 0, bytes(8))
    yield "in order", [(0, first), (0, second), (0, last)], {0: "sent", 1: "sent", 2: "sent"}
    yield "backwards", [(0, last), (0, second), (0.9, first)], {0: "sent", 1: "sent", 2: "sent"}
    yield "too late", [(0, last), (1.1, first)], {0: "fragment_timeout", 1: "sent"}
    yield "forgotten", [(0, first), (5.1, last)], {0: "sent", 1: "fragment_timeout"}
    yield ("twice", [(0, first), (0, first), (0, second), (0, second)],
           {0: "sent", 1: "fragment_overlap", 2: "sent", 3: "fragment_overlap"})
    yield "overlapping", [(0, first), (0, four(8, 1, bytes(16)))], {0: "sent", 1: "fragment_overlap"}
    yield "beyond the end", [(0, first), (0, last), (0, four(40, 0, b"x"))], {
        0: "sent", 1: "sent", 2: "fragment_overlap"}
    yield "again after all", [(0, first), (0, four(16, 0, b"x")), (0, first)], {0: "sent", 1: "sent", 2: "sent"}
    yield "odd length", [(0, four(0, 1, head + b"x"))], {0: "fragment_bad"}
    yield "empty", [(0, four(8, 0, b""))], {0: "fragment_bad"}
    yield "beyond", [(0, four(65528, 0, bytes(8)))], {0: "fragment_bad"}
    yield ("tiny", [(0, four(0, 1, bytes(16), 6)), (0, four(8, 1, bytes(16), 6))],
           {0: "fragment_tiny", 1: "fragment_tiny"})
    yield "ICMP", [(0, four(0, 1, bytes(16), 1))], {0: "fragment_unsupported"}
    yield "IPv6", [(0, six(16, 0, b"x", 60)), (0, six(0, 1, b"\x11\0\1\4\0\0\0\0" + head, 60))], {0: "sent", 1: "sent"}
    other = six(0, 1, b"\x3a\0\1\4\0\0\0\0" + bytes(24), 60)
    yield ("IPv6, the first tells", [(0, six(32, 0, b"x", 60)), (0, other)],
           {0: "fragment_unsupported", 1: "fragment_unsupported"})
    atomic = b"\x11\0\0\0\0\0\0\1"  # behind a header that makes a fragment, this one does not unmake it
    yield ("IPv6, an atomic header behind", [(0, six(0, 1, atomic + head, 44)), (0, six(16, 0, b"x", 44))],
           {0: "sent", 1: "sent"})
    yield "IPv6, a fragment of a fragment", [(0, six(0, 1, b"\x11\0\0\x11\0\0\0\1" + head, 44))], {
        0: "fragment_unsupported"}
    yield "IPv6 header cut", [(0, six(0, 1, b"\x11\1\1\4\0\0\0\0", 60))], {0: "fragment_tiny"}
    many = [(0, four(0, 1, head + bytes(16)))] + [(0, four(48 * n, 1, bytes(24))) for n in range(1, 33)]
    yield "pieces", many, {**{n: "sent" for n in range(32)}, 32: "fragment_too_many"}
    row = [(0, four(0, 1, head + bytes(16)))] + [(0, four(24 + 8 * n, 1, bytes(8))) for n in range(256)]
    yield "fragments", row, {**{n: "sent" for n in range(256)}, 256: "fragment_too_many"}


def single_packet_results():
    for make in (encapsulation_cases, lookup_cases, answer_cases, size_cases, icmp_error_cases, soundness_cases):
        for name, packet_path, frame, *wanted in make():
            end = packet_path(frame)[0]
            got = [end.verdict] if isinstance(wanted[0], str) else list(end.frames)
            why = "" if got == wanted else "\n".join(
                f"{kind} {value if isinstance(value, str) else Ether(value).show(dump=True) + value.hex()}"
                for kind, values in (("wanted", wanted), ("got", got or [end.verdict])) for value in values)
            yield f"{make.__name__.removesuffix('_cases')}: {name}", got == wanted, why


def fragment_results():
    for name, arriving, wanted in fragment_cases():
        packet_path, ends = path(), []
        for time, frame in arriving:
            ends += packet_path(frame, time)
        ends += packet_path.finish()
        got = {end.number: end.verdict for end in ends}
        counters = packet_path.counters
        balance = (counters["tx_packets"] + counters["to_kernel_packets"] + counters["waiting_packets"]
                   + sum(value for key, value in counters.items() if key.startswith("drop_")))
        yield f"fragments: {name}", got == wanted and balance == len(arriving), f"wanted {wanted}\ngot    {got}"


def checksum_results():
    def by_words(data):  # RFC 1071, section 4.1
        total = sum(data[at] << 8 | (data[at + 1] if at + 1 < len(data) else 0) for at in range(0, len(data), 2))
        while total >> 16:
            total = (total & 0xFFFF) + (total >> 16)
        return total ^ 0xFFFF

    yield "checksum: RFC 1071, section 3", checksum(bytes.fromhex("0001f203f4f5f6f7")) == 0xFFFF - 0xDDF2, ""
    random_bytes = random.Random(1)
    samples = [bytes(8), b"\xff" * 8, b"\xff\xff", b""] + [random_bytes.randbytes(size) for size in range(40)]
    yield "checksum: by words", all(checksum(sample) == by_words(sample) for sample in samples), ""


def main():
    results = [*single_packet_results(), *fragment_results(), *checksum_results()]
    print(f"1..{len(results)}")
    for number, (name, ok, why) in enumerate(results, 1):
        print(f"{'ok' if ok else 'not ok'} {number} - {name}")
        if not ok:
            print("".join(f"# {line}\n" for line in why.splitlines()), end="")
    return 0 if all(ok for _, ok, _ in results) else 1


if __name__ == "__main__":
    sys.exit(main())
