"""What the data plane did with frames, beside what the model says; and how to say where they part."""
import collections
import dataclasses

import scapy.layers.inet  # noqa: F401, so that show() knows IP
import scapy.layers.inet6  # noqa: F401
from scapy.layers.l2 import Ether

from model import PacketPath
from model.parse import parse, problem_of
from model_tables import SECRET

# How frames come in bursts is the device's business.
NOT_COMPARED = {"bursts"}


@dataclasses.dataclass
class Outcome:
    """sent, to_kernel: frames in order. counters: by name."""
    sent: list
    to_kernel: list
    counters: dict


class Expected:
    """The model's outcome. timeouts, later: as PacketPath has them."""

    def __init__(self, tables, setup, timed_frames, timeouts=None, later=()):
        answers = setup.answers_per_second > 0
        path = PacketPath(SECRET, tables, answers, answers, timeouts, later)
        self.ends = [end for time, frame in timed_frames for end in path(frame, time)]
        self.ends += path.finish()
        self.counters, self.tables = path.counters, tables

    def differs_from(self, outcome):
        """In a sentence; None if it does not."""
        return (self.stream_differs(outcome.sent, "sent") or self.stream_differs(outcome.to_kernel, "kernel")
                or self.identifications_differ(outcome.sent) or self.counters_differ(outcome.counters))

    def stream_differs(self, got, verdict):
        """The same frames must be there, and those of one flow in order."""
        wanted, place = collections.defaultdict(collections.deque), 0
        for end in self.ends:
            for frame in end.frames if end.verdict == verdict else ():
                wanted[self.without_identification(frame)].append((place, end))
                place += 1
        last_of_flow, extra = {}, None
        for frame in got:
            candidates = wanted.get(self.without_identification(frame))
            if not candidates:
                extra = extra or frame
                continue
            place, end = candidates.popleft()
            if end.order and last_of_flow.get(end.order, -1) > place:
                return f"frame {end.number} left behind a later one of its flow\n{shown(frame)}"
            if end.order:
                last_of_flow[end.order] = place
        missing = min(((ends[0][0], frame, ends[0][1]) for frame, ends in wanted.items() if ends), default=None,
                      key=lambda found: found[0])
        return difference(missing, extra, verdict) if missing or extra else None

    def outer_fragment(self, frame):
        """The packet, if the frame is a fragment of an outer one."""
        packet = parse(frame)
        if (packet and self.tables.is_own(packet.version, packet.source) and not problem_of(packet)
                and packet.fragment):
            return packet
        return None

    def without_identification(self, frame):
        """Who gets which number depends on who waited for whom."""
        packet = self.outer_fragment(frame)
        if not packet:
            return frame
        at = packet.l3
        if packet.version == 4:
            return frame[:at + 4] + bytes(2) + frame[at + 6:at + 10] + bytes(2) + frame[at + 12:]
        return frame[:at + 44] + bytes(4) + frame[at + 48:]

    def identifications(self, frames):
        """Of outer packets, in order. Each must be of frames in a row, from the first fragment to the last."""
        numbers, begun = [], False
        for packet in filter(None, map(self.outer_fragment, frames)):
            number = int.from_bytes(packet.fragment.identification, "big")
            if begun != (packet.fragment.offset > 0) or begun and number != numbers[-1]:
                return None
            if not begun:
                numbers.append(number)
            begun = packet.fragment.more
        return numbers

    def identifications_differ(self, sent):
        wanted = self.identifications([frame for end in self.ends if end.verdict == "sent" for frame in end.frames])
        got = self.identifications(sent)
        if got is None:
            return "outer fragments of a packet are not in a row, or not of one identification"
        if sorted(got) != sorted(wanted):
            return f"{len(set(got))} outer identifications, but {len(set(wanted))} should be"
        return None

    def counters_differ(self, counters):
        lines = [f"counter {name} is {value}, but should be {self.counters[name]}"
                 for name, value in sorted(counters.items())
                 if name not in NOT_COMPARED and value != self.counters[name]]
        return "\n".join(lines)


def difference(missing, extra, verdict):
    """The first frame that should have left and did not, and the first the other way round."""
    text = ""
    if missing:
        text += f"frame {missing[2].number}: {verdict}, but this is not there\n{shown(missing[1])}"
    if extra:
        text += f"{verdict}, but should not be\n{shown(extra)}"
    return text


def shown(frame):
    return f"{frame.hex()}\n{Ether(frame).show(dump=True)}"


def changes_of(counters, before):
    names = sorted(name for name in set(counters) | set(before) if counters.get(name, 0) != before.get(name, 0))
    return "".join(f"  {name} {counters.get(name, 0) - before.get(name, 0):+}\n" for name in names
                   if name not in NOT_COMPARED)


def history(timed_frames):
    """Of the last frame: all before it between the same two addresses, and the first of all, with which time begins."""
    def pair(frame):
        packet = parse(frame)
        return packet and frozenset((packet.source, packet.destination))

    wanted = pair(timed_frames[-1][1])
    before = [timed for timed in timed_frames[1:-1] if wanted and pair(timed[1]) == wanted]
    return timed_frames[:1] + before + timed_frames[max(1, len(timed_frames) - 1):]
