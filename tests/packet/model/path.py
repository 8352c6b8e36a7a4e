"""The way of a frame through the load balancer: docs/packet_policy.md from its beginning to its end."""
import collections
import struct

from flow_hash_model import FlowHash, entropy_of
from quic_model import NEW_FLOW

from . import answers, icmp
from .encap import HOPS_MAX, Outer, frames_when_too_big, hop_list, is_answered_when_too_big, longest_list, overhead_of
from .flows import Flows, Sign, sign_of
from .fragments import Datagrams, is_of_flow, is_tiny, problem_of_length
from .parse import is_bad_source, parse, problem_of
from .schedule import slot_of_flow
from .ways import mac_bytes
from .wire import (ACK, GRE, GUE_PORT, ICMP4, ICMP6, ICMP_BYTES, IPIP, IPV6, IPV6_MTU_MIN, RST, SYN, TCP, TCP_BYTES,
                   UDP, UDP_BYTES)

# number: which frame it was, from 0. verdict: sent, kernel, or the reason why it was dropped. frames: what leaves.
# order: frames leave in the order in which they came if this is equal; None for those that waited for another one.
End = collections.namedtuple("End", "number verdict frames order")

TUNNELS = (IPIP, IPV6, GRE)
ICMP_OF = {4: ICMP4, 6: ICMP6}


class PacketPath:
    """One worker. answers_echo, answers_errors: whether the limits of answers let any pass. timeouts: of flows; None:
    none is ever silent for too long. later: tables that come into force, (microseconds since the first frame, tables)
    each."""

    def __init__(self, secret, tables, answers_echo=True, answers_errors=True, timeouts=None, later=()):
        self.hash, self.tables, self.port_mac = FlowHash(secret).of_bytes, tables, mac_bytes(tables.port.mac)
        self.answers_echo, self.answers_errors = answers_echo, answers_errors
        self.counters = collections.Counter()
        self.datagrams, self.flows = Datagrams(), Flows(self.counters, timeouts)
        self.identification, self.number = 0, 0
        self.ends, self.start_us, self.later = [], None, collections.deque(later)

    def __call__(self, frame, now=0.0):
        """What ends when this frame comes in: mostly it, but also others that waited."""
        self.ends, self.is_late = [], False
        self.counters["rx_packets"] += 1
        self.counters["rx_bytes"] += len(frame)
        self.tick(round(now * 1e6))
        self.expire(now)
        packet = parse(frame)
        holders = packet and self.tables.holders_of(packet.version, packet.destination)
        if packet:
            packet.number = self.number
        if not holders:
            self.not_to_a_vip(packet, frame)
        else:
            self.to_a_vip(packet, holders, now)
        self.number += 1
        return self.ends

    def tick(self, now_us):
        if self.start_us is None:
            self.start_us = now_us
        while self.later and self.later[0][0] <= now_us - self.start_us:
            self.tables = self.later.popleft()[1]
        self.flows.now_s = now_us // 10**6

    def finish(self):
        """What ends when nothing more comes."""
        self.ends, self.is_late = [], False
        self.expire(float("inf"))
        self.flows.finish()
        return self.ends

    def expire(self, now):
        for packet in self.datagrams.expire(now):
            self.counters["waiting_packets"] -= 1
            self.drop(packet, "fragment_timeout")

    # How a packet ends.

    def end(self, packet, verdict, frames, is_answer=False):
        order = None if self.is_late else (is_answer, packet and (packet.source, packet.destination))
        self.ends.append(End(packet.number if packet else self.number, verdict, frames, order))

    def drop(self, packet, reason):
        self.counters["drop_" + reason] += 1
        self.end(packet, reason, ())

    def to_kernel(self, packet, frame):
        self.counters["to_kernel_packets"] += 1
        self.end(packet, "kernel", (frame,))

    def send(self, packet, frames, is_answer=False):
        self.counters["tx_packets"] += 1
        self.counters["tx_bytes"] += sum(map(len, frames))
        self.counters["tx_fragments"] += len(frames) - 1
        self.end(packet, "sent", tuple(frames), is_answer)

    def is_returned(self, packet):
        """Asked only of what would leave itself: a packet that is answered does not."""
        return packet.frame[6:12] == self.port_mac

    def answer_or_drop(self, packet, reason, make_answer, counter):
        """No answer to what must not be answered, nor beyond the limit."""
        if (packet.is_to_group() or packet.fragment and packet.fragment.offset
                or packet.protocol == ICMP_OF[packet.version] and icmp.is_error(packet)):
            self.drop(packet, reason)
        elif not self.answers_errors:
            self.counters["answers_limited"] += 1
            self.drop(packet, reason)
        else:
            self.counters[counter] += 1
            self.send(packet, [make_answer()], is_answer=True)

    # Section 1.

    def not_to_a_vip(self, packet, frame):
        if packet and self.is_sound_tunnel(packet):
            if self.tables.is_own(packet.version, packet.destination):
                return self.drop(packet, "encapsulated")
            if self.tables.is_own(packet.version, packet.source):
                return self.drop(packet, "returned")
        return self.to_kernel(packet, frame)

    @staticmethod
    def is_sound_tunnel(packet):
        if problem_of(packet):
            return False
        if packet.protocol in TUNNELS:
            return True
        has_ports = not (packet.fragment and packet.fragment.offset) and len(packet.data) - packet.l4 >= UDP_BYTES
        return (packet.protocol == UDP and has_ports
                and struct.unpack_from("!H", packet.data, packet.l4 + 2)[0] == GUE_PORT)

    # Section 2.

    def to_a_vip(self, packet, holders, now):
        reason = "bad_source" if is_bad_source(packet) else problem_of(packet)
        if reason:
            return self.drop(packet, reason)
        if packet.fragment:
            return self.fragment(packet, holders, now)
        protocol, room = packet.protocol, len(packet.data) - packet.l4
        if protocol in TUNNELS:
            return self.drop(packet, "encapsulated")
        is_icmp = protocol == ICMP_OF[packet.version]
        if (protocol == TCP and room < TCP_BYTES or protocol == UDP and room < UDP_BYTES
                or is_icmp and room < ICMP_BYTES):
            return self.drop(packet, "l4_truncated")
        if is_icmp:
            return self.icmp(packet, holders)
        if protocol in (TCP, UDP):
            return self.flow(packet, holders, (protocol, *struct.unpack_from("!HH", packet.data, packet.l4)))
        return self.unserved(packet, holders, "unsupported_protocol", lambda: answers.icmp_error(
            packet, self.port_mac, answers.PROTOCOL_UNREACHABLE, packet.protocol_at if packet.version == 6 else 0))

    # Section 3.

    def flow(self, packet, holders, flow):
        """flow: (protocol, source port, destination port)."""
        protocol, _, port = flow
        service = self.tables.service(packet.version, packet.destination, protocol, port)
        if service:
            return self.serve(packet, service, flow)
        if protocol == UDP and port == GUE_PORT:
            return self.drop(packet, "encapsulated")
        return self.unserved(packet, holders, "unserved", self.rejection(packet, protocol, answers.PORT_UNREACHABLE))

    def rejection(self, packet, protocol, icmp_code):
        """What makes the answer; None for resets. Only the first fragment has the header that the answer needs, and
        only it may be answered."""
        if protocol == UDP:
            return lambda: answers.icmp_error(packet, self.port_mac, icmp_code)
        if packet.fragment and packet.fragment.offset or packet.segment()[13] & RST:
            return None
        return lambda: answers.tcp_reset(packet, self.port_mac)

    def unserved(self, packet, holders, reason, make_answer=None):
        policy = holders[0].vip.unserved
        if policy == "kernel":
            return self.to_kernel(packet, packet.frame)
        if policy == "reject" and make_answer:
            return self.answer_or_drop(packet, reason, make_answer, "answered_unserved")
        return self.drop(packet, reason)

    def serve(self, packet, service, flow):
        key, counter = (packet.source, packet.destination, *flow[1:], flow[0]), None
        if packet.fragment:
            counter = "fragments_forwarded"
        elif service.quic:
            way, counter = self.quic(packet, service)
            if way:
                return self.forward(packet, way, entropy_of(self.hash(*key)), counter)
        way, value, hops = self.choose(service, sign_of(packet, flow[0], service.vip), key)
        if not way:
            return self.no_backend(packet, service, flow[0])
        return self.forward(packet, way, entropy_of(value), counter, hops)

    # Sections 11 and 12.

    def choose(self, service, sign, flow):
        """The way to the flow's backend, or None; the flow's hash; the addresses of its hops, or None if it is to have no
        list of them."""
        value = self.hash(*flow)
        slot = slot_of_flow(service.pool, flow, value, self.hash)
        backend = self.flows.choose(flow, sign, service, slot)
        if backend is None:
            return None, value, None
        has_list = service.pool.second_chance and flow[-1] == TCP and service.vip.tracking != "none"
        return service.ways[backend], value, self.hops(service, slot, backend) if has_list else None

    @staticmethod
    def hops(service, slot, backend):
        owner = service.owner_of(slot)
        others = [*service.past_of(slot), owner][::-1]
        if not service.is_unsettled(slot) and backend == owner:
            return None
        way = service.ways[backend]
        ways = [service.ways[other] for other in dict.fromkeys(others) if other not in (None, backend)]
        return [other.destination for other in ways if other.version == way.version][:HOPS_MAX[way.version]]

    @staticmethod
    def quic(packet, service):
        """Section 9: the way that a server ID names or None, and the counter that the packet is one of."""
        route = service.quic.route(packet.segment()[UDP_BYTES:])
        if route == NEW_FLOW:
            return None, None
        way = service.way_of_server(route)
        return way, "quic_by_server_id" if way else "quic_unknown_id"

    def no_backend(self, packet, service, protocol):
        make_answer = None
        if service.vip.no_backend == "reject":
            make_answer = self.rejection(packet, protocol, answers.HOST_UNREACHABLE)
            if protocol == TCP and make_answer and packet.segment()[13] & (SYN | ACK) != SYN:
                make_answer = None
        if make_answer:
            return self.answer_or_drop(packet, "no_backend", make_answer, "answered_no_backend")
        return self.drop(packet, "no_backend")

    # Sections 6 and 7.

    def forward(self, packet, way, entropy, counter=None, hops=None):
        if self.is_returned(packet):
            return self.drop(packet, "returned")
        outer = Outer(way, packet.version, packet.traffic_class(), entropy, hop_list(way, hops, self.tables.generation))
        overhead = overhead_of(way)
        if overhead + len(outer.hops) + len(packet.data) <= way.mtu:
            frames = [outer.frame(packet.data)]
        elif is_answered_when_too_big(packet):
            mtu = way.mtu - overhead - (0 if hops is None else longest_list(way))
            return self.answer_or_drop(packet, "too_big", lambda: answers.icmp_error(
                packet, self.port_mac, answers.TOO_BIG, mtu if packet.version == 4 else max(mtu, IPV6_MTU_MIN)),
                "answered_too_big")
        else:
            frames = frames_when_too_big(outer, packet, self.next_identification)
        if not frames:
            return self.drop(packet, "too_big")
        if counter:
            self.counters[counter] += 1
        return self.send(packet, frames)

    def next_identification(self):
        self.identification += 1
        return self.identification

    # Section 4.

    def fragment(self, packet, holders, now):
        reason = problem_of_length(packet.fragment)
        if reason:
            return self.drop(packet, reason)
        is_supported = is_of_flow(packet)
        if is_supported and is_tiny(packet):
            return self.drop(packet, "fragment_tiny")
        # In IPv6 the first fragment tells what the others are of, so it is remembered even if it is of no flow.
        if not is_supported and (packet.version == 4 or packet.fragment.offset):
            return self.unserved(packet, holders, "fragment_unsupported")
        reason, flow, released = self.datagrams.receive(packet, now)
        if not is_supported:
            self.unserved(packet, holders, "fragment_unsupported")
        elif reason:
            return self.drop(packet, reason)
        elif flow is None:
            self.counters["waiting_packets"] += 1
            return None
        else:
            self.fragment_of(packet, holders, flow)
        self.is_late = True
        for waited in released:
            self.counters["waiting_packets"] -= 1
            self.fragment_of(waited, holders, flow)
        return None

    def fragment_of(self, packet, holders, flow):
        if flow[0] in (TCP, UDP):
            return self.flow(packet, holders, flow)
        return self.unserved(packet, holders, "fragment_unsupported")

    # Section 5.

    def icmp(self, packet, holders):
        if icmp.is_echo_request(packet):
            return self.echo(packet, holders)
        if icmp.is_error(packet):
            return self.icmp_error(packet)
        return self.unserved(packet, holders, "icmp_unsupported")

    def echo(self, packet, holders):
        if not icmp.is_checksum_right(packet):
            return self.drop(packet, "icmp_bad_checksum")
        policy = holders[0].vip.echo
        is_unanswered = policy == "drop" or policy == "healthy" and not any(holder.is_usable() for holder in holders)
        if is_unanswered or packet.is_to_group():
            return self.drop(packet, "echo_refused")
        if not self.answers_echo:
            return self.drop(packet, "echo_limited")
        self.counters["answered_echo"] += 1
        return self.send(packet, [answers.answer(packet, self.port_mac, packet.protocol, icmp.echo_reply(packet),
                                                 packet.traffic_class())], is_answer=True)

    def icmp_error(self, packet):
        quote = icmp.Quote(packet.version, packet.segment()[ICMP_BYTES:])
        # The policy gives no order for these; what cannot be read says nothing of whom it is about.
        if quote.is_bad:
            return self.drop(packet, "icmp_bad_quote")
        if not self.tables.holders_of(packet.version, quote.source):
            return self.to_kernel(packet, packet.frame)
        if quote.source != packet.destination:
            return self.drop(packet, "icmp_bad_quote")
        port, client_port = quote.ports
        service = self.tables.service(packet.version, quote.source, quote.protocol, port)
        if not service:
            return self.to_kernel(packet, packet.frame)
        flow = (quote.destination, quote.source, client_port, port, quote.protocol)
        way, value, hops = self.choose(service, Sign.BYSTANDER, flow)
        if not way:
            return self.drop(packet, "no_backend")
        return self.forward(packet, way, entropy_of(value), "icmp_errors_forwarded", hops)
