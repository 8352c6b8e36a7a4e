"""Fragments and the datagrams they are of: docs/packet_policy.md, section 4. How much memory there is for them is not
part of the model: whoever uses it stays below the limits."""
import collections
import struct

from .wire import EXTENSIONS, IP_BYTES_MAX, TCP, TCP_BYTES, UDP, UDP_BYTES

WAIT_S, MEMORY_S = 1.0, 5.0
FRAGMENTS_MAX, PIECES_MAX = 256, 32


def problem_of_length(fragment):
    if (fragment.length == 0 or fragment.more and fragment.length % 8
            or fragment.offset + fragment.length > IP_BYTES_MAX):
        return "fragment_bad"
    return None


def is_of_flow(packet):
    """Of TCP or UDP, as far as it can be seen."""
    return packet.protocol in (TCP, UDP) or (packet.version == 6 and packet.fragment.offset > 0
                                             and packet.protocol in EXTENSIONS)


def is_tiny(packet):
    if packet.fragment.offset == 0:
        return len(packet.data) - packet.l4 < (TCP_BYTES if packet.protocol == TCP else UDP_BYTES)
    return packet.protocol == TCP and packet.fragment.offset in (8, 16)  # RFC 1858


class Datagram:
    """What was seen of it. flow: (protocol, source port, destination port), once the first fragment has come; in IPv6
    the protocol may turn out to be another than TCP and UDP.
    pieces: [begin, end) in ascending order, none touching another. end: where the last fragment ends."""

    def __init__(self):
        self.flow, self.pieces, self.count, self.end, self.waiting = None, [], 0, None, []

    def add(self, begin, end, is_last):
        """The reason why it does not fit, or None."""
        is_beyond = self.end is not None and end > self.end
        if is_beyond or any(begin < piece_end and piece_begin < end for piece_begin, piece_end in self.pieces):
            return "fragment_overlap"
        apart = [piece for piece in self.pieces if piece[1] < begin or end < piece[0]]
        if self.count == FRAGMENTS_MAX or len(apart) == PIECES_MAX:
            return "fragment_too_many"
        touching = [piece for piece in self.pieces if piece not in apart]
        merged = (min([begin] + [piece[0] for piece in touching]), max([end] + [piece[1] for piece in touching]))
        self.pieces = sorted(apart + [merged])
        self.count += 1
        if is_last:
            self.end = end
        return None

    def is_complete(self):
        return self.end is not None and self.pieces[0][0] == 0 and self.pieces[0][1] >= self.end


class Datagrams:
    def __init__(self):
        self.known, self.by_age, self.waiting = {}, collections.deque(), collections.deque()

    @staticmethod
    def key(packet):
        protocol = packet.protocol if packet.version == 4 else None
        return packet.source, packet.destination, packet.fragment.identification, protocol

    def receive(self, packet, now):
        """(reason to drop it or None, its flow or None if it waits, those that waited for it)."""
        key, fragment = self.key(packet), packet.fragment
        datagram = self.known.get(key)
        if datagram is None:
            datagram = self.known[key] = Datagram()
            self.by_age.append((now + MEMORY_S, key, datagram))
        reason = datagram.add(fragment.offset, fragment.offset + fragment.length, not fragment.more)
        if reason:
            return reason, None, ()
        if fragment.offset == 0:
            ports = struct.unpack_from("!HH", packet.data, packet.l4) if packet.protocol in (TCP, UDP) else (0, 0)
            datagram.flow = (packet.protocol, *ports)
        elif datagram.flow is None:
            datagram.waiting.append(packet)
            self.waiting.append((now + WAIT_S, datagram, packet))
            return None, None, ()
        if datagram.is_complete():
            del self.known[key]
        released, datagram.waiting = datagram.waiting, []
        return None, datagram.flow, released

    def expire(self, now):
        """The packets that have waited for too long."""
        while self.by_age and self.by_age[0][0] <= now:
            _, key, datagram = self.by_age.popleft()
            if self.known.get(key) is datagram:
                del self.known[key]
        late = []
        while self.waiting and self.waiting[0][0] <= now:
            _, datagram, packet = self.waiting.popleft()
            if packet in datagram.waiting:
                datagram.waiting.remove(packet)
                late.append(packet)
        return late
