"""Datagrams in fragments: in order and out of it, overlapping, tiny, endless, without their first, in time and late."""
import frames
from model.wire import DESTINATION_OPTIONS, FRAGMENT, ICMP6, MORE_FRAGMENTS, fragment_header

PIECE_BYTES_MAX = 1400
PIECES_MAX = 10  # about; a neighbourhood lets 48 wait
SOON_S = 0.02
WAITING_IS_OVER_S = 1.3
FORGOTTEN_S = 5.4


class Datagrams:
    def __init__(self, generator):
        self.generator, self.random = generator, generator.random

    def begin(self, target):
        """The first frame of a new datagram; the others come later."""
        chance = self.random.random()
        if chance < 0.003:
            frames_of_it = self.made_into_frames(target, self.small_pieces(target))
        elif chance < 0.04:
            frames_of_it = self.made_into_frames(target, self.separate_pieces(target))
        else:
            frames_of_it = self.spoiled(self.made_into_frames(target, self.pieces_of(self.segment(target))))
        delays = self.delays(len(frames_of_it))
        for delay, frame in list(zip(delays, frames_of_it))[1:]:
            self.generator.later(delay, frame)
        return frames_of_it[0]

    def begin_whole(self, target):
        """One that is complete at once, in sound pieces."""
        segment, identification = self.segment(target), self.random.getrandbits(32)
        make = self.ipv4 if target.version == 4 else self.ipv6
        cuts = [0, *range(64, len(segment), PIECE_BYTES_MAX), len(segment)]
        made = [make(target, target.protocol, identification, begin, segment[begin:end], end < len(segment))
                for begin, end in zip(cuts, cuts[1:])]
        for frame in made[1:]:
            self.generator.later(0.0, frame)
        return made[0]

    def segment(self, target):
        size = self.random.choice((64, 200, 1000, 2000, 3500)) + self.random.randrange(64)
        return self.generator.segment(target, self.random.randbytes(4) * (size // 4))

    def pieces_of(self, segment):
        """(offset, bytes, more) each: cut at random multiples of 8."""
        cuts, at = [0], 0
        while at < len(segment):
            size = self.random.choice((8, 24, 64, 104, 560, 1280, 8 * self.random.randint(1, PIECE_BYTES_MAX // 8)))
            if self.random.random() < 0.9:  # a first one without a whole header only now and then
                size = max(size, 24)
            at = max(at + size, at + len(segment) // PIECES_MAX // 8 * 8)
            cuts.append(min(at, len(segment)))
        return [(begin, segment[begin:end], end < len(segment)) for begin, end in zip(cuts, cuts[1:])]

    def separate_pieces(self, target):
        """More of them than are followed. The first one leads, or they would fill a neighbourhood."""
        segment = self.generator.segment(target, bytes(3000))
        pieces = [(begin, segment[begin:begin + 24], True) for begin in range(0, 48 * 36, 48)]
        return pieces[:1] + self.random.sample(pieces[1:], len(pieces) - 1)

    def small_pieces(self, target):
        """More fragments than are followed, all in a row: only so few of them ever wait."""
        segment = self.generator.segment(target, bytes(8 * 270))
        return [(0, segment[:24], True)] + [(at, segment[at:at + 8], True) for at in range(24, 24 + 8 * 258, 8)]

    def made_into_frames(self, target, pieces):
        identification = self.random.getrandbits(32)
        make = self.ipv4 if target.version == 4 else self.ipv6
        # Destination options behind the fragment header: only the first fragment names TCP or UDP.
        is_hidden = target.version == 6 and self.random.random() < 0.15
        if is_hidden:
            pieces = self.with_options_in_front(target, pieces)
        protocol = DESTINATION_OPTIONS if is_hidden else target.protocol
        return [make(target, protocol, identification, *piece) for piece in pieces]

    def with_options_in_front(self, target, pieces):
        protocol = target.protocol if self.random.random() < 0.9 else ICMP6
        first = bytes((protocol, 0, 1, 4, 0, 0, 0, 0))
        moved = [(offset + 8, data, more) for offset, data, more in pieces[1:]]
        return [(0, first + pieces[0][1], pieces[0][2])] + moved

    def ipv4(self, target, protocol, identification, offset, data, more):
        word = offset // 8 | (MORE_FRAGMENTS if more else 0) | (0x4000 if self.random.random() < 0.03 else 0)
        packet = frames.ipv4(target.source, target.address, protocol, data, self.generator.traffic_class(), 64,
                             identification & 0xFFFF, word, self.generator.options())
        return self.generator.frame_of(target, packet)

    def ipv6(self, target, protocol, identification, offset, data, more):
        chain = [*self.generator.chain()[:3], (FRAGMENT, fragment_header(0, offset, more, identification))]
        packet = frames.ipv6(target.source, target.address, protocol, data, self.generator.traffic_class(), 64, 7,
                             chain)
        return self.generator.frame_of(target, packet)

    def spoiled(self, made):
        """In another order, or with one that is missing, double or mutated."""
        chance = self.random.random()
        if chance < 0.2:
            made.reverse()
        elif chance < 0.4:
            self.random.shuffle(made)
        elif chance < 0.5:
            made = made[1:] or made  # without the first
        elif chance < 0.55:
            made = made[:-1] or made  # endless
        elif chance < 0.62:
            made.insert(self.random.randrange(len(made) + 1), self.random.choice(made))
        elif chance < 0.72:
            position = self.random.randrange(len(made))
            made[position] = self.generator.mutated(made[position])
        elif chance < 0.76:
            made.append(made.pop(0))  # the first one last
        return made

    def delays(self, count):
        """The first is 0. Far from where time matters, so that it does not depend on how exact a clock is."""
        delays = sorted(SOON_S * self.random.random() for _ in range(count))
        chance = self.random.random()
        if chance < 0.05 and count > 1:
            delays[-1] = WAITING_IS_OVER_S
        elif chance < 0.08 and count > 1:
            delays[-1] = FORGOTTEN_S
        return [0.0] + delays[1:]
