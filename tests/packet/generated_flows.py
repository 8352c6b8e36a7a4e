"""Connections that go on: frames of one flow, near to each other and far apart, to services that remember flows.

Gaps stay clear of the timeouts in model_tables.py. So nothing may happen to a frame of a flow that others depend on: it
is sound, and what looks at a flow without a trace follows at once."""
import heapq

import frames
from model.wire import ACK, FIN, RST, SYN, UDP

UNDER_WAY_MAX = 600
AT_ONCE_S = 0.005
# Known by all; by established and closing ones; by established ones; by none.
GAPS_S = (AT_ONCE_S, AT_ONCE_S, AT_ONCE_S, 0.5, 1.5, 4.4, 7.4, 9.4)
FLAGS = (SYN, SYN, ACK, ACK, ACK, 0, SYN | ACK, FIN | ACK, RST, SYN | FIN)


class Connections:
    def __init__(self, generator, positions):
        """positions: of the VIPs whose flows are remembered."""
        self.generator, self.random, self.positions = generator, generator.random, positions
        self.under_way, self.sequence = [], 0

    def may_begin(self):
        return self.positions and len(self.under_way) < UNDER_WAY_MAX

    def begin(self):
        """The first frame of a new one; the others come later."""
        target = self.generator.served_target(self.random.choice(self.positions))
        time = self.generator.now
        for _ in range(self.random.randint(1, 12)):
            is_error = self.random.random() < 0.15
            time += AT_ONCE_S if is_error else self.random.choice(GAPS_S)
            self.sequence += 1
            heapq.heappush(self.under_way, (time, self.sequence, self.error if is_error else self.frame, target))
        return self.frame(target)

    def due(self, now):
        """The next frame, or None."""
        if not self.under_way or self.under_way[0][0] > now:
            return None
        make, target = heapq.heappop(self.under_way)[2:]
        return make(target)

    def frame(self, target):
        if self.random.random() < 0.1 and self.generator.has_room_for_datagrams():
            return self.generator.datagrams.begin_whole(target)
        payload = bytes(self.random.choice((0, 1, 100, max(0, self.random.choice(self.generator.sizes) - 60))))
        if target.quic_pool:
            payload = self.generator.quic.payload_of_flow(target.quic_pool)
        ports = (target.client_port, target.port)
        if target.protocol == UDP:
            segment = frames.udp(target.source, target.address, ports, payload)
        else:
            segment = frames.tcp(target.source, target.address, ports, payload, self.random.choice(FLAGS), 1, 2)
        return self.generator.frame_of(target, self.generator.plain_packet(target, segment))

    def error(self, target):
        return self.generator.icmp.error(target, is_of_client=True)
