"""Runs `guideway-dataplane --replay` over generated frames in chunks, and finds the first frame where it and the model
part."""
import collections
import json
import pathlib
import random
import subprocess
import tempfile

from generated import Generator
from model import Tables
from model_changes import changes_text, draw_changes, tables_later
from model_compare import Expected, Outcome, changes_of, history, shown
from model_drawn import draw_pools, draw_vips
from model_tables import POOLS, SETUPS, TIMEOUTS, VIPS, pools_before, timeouts_toml, toml
from pcap_file import read_pcap, write_pcap

REPLAY_TIMEOUT_S = 300
# Behind the frames of a run: nobody's. For so long that nothing waits any more when the last one is through and the
# flow table has been swept, which takes a minute and some frames.
QUIET_FRAME = b"\xff" * 6 + b"\2\0\0\0\0\x0c" + b"\x08\x06" + bytes(46)
QUIET_FRAMES, QUIET_S = 10000, 0.01


def with_quiet_end(timed_frames):
    last = timed_frames[-1][0] if timed_frames else 0.0
    return timed_frames + [(last + QUIET_S * (place + 1), QUIET_FRAME) for place in range(QUIET_FRAMES)]


class Replay:
    """What frames are replayed with. changes: of backends, meanwhile. timeouts: of flows; None: longer than it takes."""

    def __init__(self, dataplane, setup, pools, vips, changes, timeouts):
        self.dataplane, self.setup, self.changes, self.timeouts = dataplane, setup, changes, timeouts
        self.tables = Tables(pools, vips, setup.port)
        self.later = tables_later(self.tables, changes)

    def outcome(self, timed_frames):
        with tempfile.TemporaryDirectory(prefix="guideway-replay-") as name:
            directory = pathlib.Path(name)
            command = self.prepare(directory, timed_frames)
            result = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=REPLAY_TIMEOUT_S)
            if result.returncode:
                raise RuntimeError(f"guideway-dataplane --replay failed: {result.stderr.strip()[-1000:]}")
            counters = json.loads((directory / "counters.json").read_text())
            return Outcome(read_pcap(directory / "out.pcap"), read_pcap(directory / "kernel.pcap"), counters)

    def prepare(self, directory, timed_frames):
        """Writes what a replay needs; the command that runs it there."""
        (directory / "guideway.toml").write_text(
            toml(self.setup, directory, self.tables.pools, self.tables.vips) + timeouts_toml(self.timeouts))
        (directory / "changes.txt").write_text(changes_text(self.changes))
        write_pcap(directory / "in.pcap", timed_frames)
        return [self.dataplane, "--replay", "in.pcap", "out.pcap", "--config", "guideway.toml", "--kernel",
                "kernel.pcap", "--counters", "counters.json", "--changes", "changes.txt", *self.eras(directory)]

    def eras(self, directory):
        """What was in force before, as options, the oldest first."""
        options = []
        for number, pools in enumerate(pools_before(self.tables.pools)):
            file = directory / f"before-{number}.toml"
            file.write_text(toml(self.setup, directory, pools, ()))
            options += ["--before", file.name]
        return options

    def difference(self, timed_frames):
        """In a sentence, or None."""
        frames = with_quiet_end(timed_frames)
        return self.expected(frames).differs_from(self.outcome(frames))

    def first_that_differs(self, timed_frames):
        """How many frames it takes: bisection, as a difference does not go away by further frames."""
        good, bad = 0, len(timed_frames)
        while bad - good > 1:
            middle = (good + bad) // 2
            if self.difference(timed_frames[:middle]):
                bad = middle
            else:
                good = middle
        return bad

    def report(self, timed_frames, directory):
        """Of the first frame that makes a difference; writes its history, and all that a replay of it needs."""
        count = self.first_that_differs(timed_frames)
        before, after = with_quiet_end(timed_frames[:count - 1]), with_quiet_end(timed_frames[:count])
        text = f"frame {count - 1}, the first that makes a difference:\n{shown(timed_frames[count - 1][1])}"
        text += "expected:\n" + self.change(*(self.expected_outcome(frames) for frames in (before, after)))
        text += "got:\n" + self.change(*(self.outcome(frames) for frames in (before, after)))
        directory.mkdir(parents=True, exist_ok=True)
        command = " ".join(map(str, self.prepare(directory, history(timed_frames[:count]))))
        return text + f"replay its history in {directory}: {command} --explain\n"

    def expected(self, frames):
        return Expected(self.tables, self.setup, frames, self.timeouts, self.later)

    def expected_outcome(self, frames):
        expected = self.expected(frames)
        return Outcome([frame for end in expected.ends if end.verdict == "sent" for frame in end.frames],
                       [frame for end in expected.ends if end.verdict == "kernel" for frame in end.frames],
                       expected.counters)

    @staticmethod
    def change(before, after):
        """What the last frame brought about."""
        text = ""
        for name in ("sent", "to_kernel"):
            more = collections.Counter(getattr(after, name))
            more.subtract(collections.Counter(getattr(before, name)))
            text += "".join(f"{name}: {shown(frame)}" for frame in more.elements())
        return text + changes_of(after.counters, before.counters)


def run(results, dataplane, frames, chunk, seed, directory):
    """Chunks of frames, each with the next setup, and with a seed, pools and changes of its own."""
    for number, begin in enumerate(range(0, frames, chunk)):
        setup, chance = SETUPS[number % len(SETUPS)], random.Random(f"{seed} {number}")
        timeouts = chance.choice((TIMEOUTS, None))
        drawn = draw_pools(chance, timeouts is not None)
        pools, vips = {**POOLS, **drawn}, VIPS + draw_vips(chance, drawn)
        timed_frames = list(Generator(chance, vips, pools, setup.port).frames(min(chunk, frames - begin)))
        changes = draw_changes(chance, pools, timed_frames[-1][0])
        replay = Replay(pathlib.Path(dataplane).resolve(), setup, pools, vips, changes, timeouts)
        name = f"chunk {number} of {len(timed_frames)} frames, {len(changes)} changes, {setup.name}"
        try:
            why = replay.difference(timed_frames)
            why = why and why + "\n" + replay.report(timed_frames, directory / f"difference-{seed}-{number}")
        except RuntimeError as error:
            why = f"{error}"
        if not results.expect(not why, name, why or ""):
            return
