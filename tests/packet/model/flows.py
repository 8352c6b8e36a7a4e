"""What is remembered of flows, and which backend they go to: docs/packet_policy.md, section 11. How much memory there is
for them is not part of the model: whoever uses it stays below the limits."""
import dataclasses
import enum

from quic_model import NEW_FLOW, QuicModel

from .schedule import Scheduler
from .wire import ACK, FIN, RST, SYN, TCP, UDP_BYTES


class Sign(enum.Enum):
    """What a packet says about its flow."""
    OPENS = 1
    GOES_ON = 2
    CLOSES = 3
    DATAGRAM = 4
    BYSTANDER = 5  # ICMP errors and later fragments


class State(enum.Enum):
    PROBATION = 1
    ESTABLISHED = 2
    CLOSING = 3
    DATAGRAM = 4


@dataclasses.dataclass
class Timeouts:
    """In seconds. A flow is silent for whole seconds: those that the clock began since its last packet."""
    probation: int = 30
    established: int = 7500
    closing: int = 240
    datagram: int = 300

    def of(self, state):
        return getattr(self, state.name.lower())


@dataclasses.dataclass
class Flow:
    pool: str
    backend: int
    state: State
    seen_s: int


def sign_of_tcp(flags):
    if flags & (FIN | RST):
        return Sign.CLOSES
    return Sign.OPENS if flags & (SYN | ACK) == SYN else Sign.GOES_ON


def sign_of(packet, protocol, vip):
    """Of a packet that is of the flow itself."""
    if packet.fragment and packet.fragment.offset:
        return Sign.BYSTANDER
    if protocol == TCP:
        return sign_of_tcp(packet.segment()[13])
    if vip.protocol != "quic" or vip.tracking == "all":
        return Sign.DATAGRAM
    return Sign.OPENS if begins_quic(packet.segment()[UDP_BYTES:]) else Sign.GOES_ON


def begins_quic(payload):
    """Initial, 0-RTT or a version that nobody knows: what connection IDs look like makes no difference."""
    return QuicModel({}).route(payload) == NEW_FLOW


def state_after(sign, before):
    """before: None at the first packet."""
    if sign == Sign.OPENS:
        return before or State.PROBATION
    if sign == Sign.CLOSES or before == State.CLOSING:
        return State.CLOSING
    return State.DATAGRAM if sign == Sign.DATAGRAM else State.ESTABLISHED


class Flows:
    """Of one worker. counters: of the path. timeouts: None, if no time passes."""

    def __init__(self, counters, timeouts):
        self.counters, self.timeouts, self.known = counters, timeouts, {}
        self.now_s, self.scheduler = 0, Scheduler()

    def choose(self, key, sign, service, slot):
        """The backend's position in its pool; None if there is none."""
        owner = service.owner_of(slot)
        if service.vip.tracking == "none":
            return owner
        flow, begins = self.find(key), sign in (Sign.OPENS, Sign.DATAGRAM)
        is_lost = flow is not None and not service.can_take(flow.backend)
        if flow and begins and (flow.state == State.CLOSING or is_lost):
            self.forget(key)
            flow = None
        if flow and is_lost:
            return owner
        if flow:
            backend = flow.backend
            if sign != Sign.BYSTANDER:
                flow.state, flow.seen_s = state_after(sign, flow.state), self.now_s
        else:
            backend = self.scheduler.backend_of_new(service, slot) if begins else service.oldest_owner_of(slot)
            is_remembered = service.vip.tracking == "all" or service.is_unsettled(slot)
            if is_remembered and sign != Sign.BYSTANDER and backend is not None:
                self.remember(key, Flow(service.vip.pool, backend, state_after(sign, None), self.now_s))
        if (flow or not begins) and backend != owner:
            self.counters["kept_flow_packets"] += 1
        return backend

    def find(self, key):
        flow = self.known.get(key)
        if flow and self.timeouts and self.now_s - flow.seen_s > self.timeouts.of(flow.state):
            self.counters["flows_expired"] += 1
            self.forget(key)
            return None
        return flow

    def remember(self, key, flow):
        self.known[key] = flow
        self.counters["flows_remembered"] += 1
        self.counters["flows"] += 1
        self.scheduler.flows[flow.pool, flow.backend] += 1

    def forget(self, key):
        flow = self.known.pop(key)
        self.counters["flows"] -= 1
        self.scheduler.flows[flow.pool, flow.backend] -= 1

    def finish(self):
        """All fall silent."""
        if self.timeouts:
            self.now_s = float("inf")
            for key in list(self.known):
                self.find(key)
