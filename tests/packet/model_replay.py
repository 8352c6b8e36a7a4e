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
from model_compare import Expected, Outcome, changes_of, history, shown
from model_tables import ERAS, POOLS, SETUPS, TIMEOUTS, TIMEOUTS_TOML, VIPS, pools_of_era, toml
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
    def __init__(self, dataplane, setup, tables):
        self.dataplane, self.setup, self.tables = dataplane, setup, tables

    def outcome(self, timed_frames):
        with tempfile.TemporaryDirectory(prefix="guideway-replay-") as name:
            directory = pathlib.Path(name)
            (directory / "guideway.toml").write_text(toml(self.setup, directory) + TIMEOUTS_TOML)
            write_pcap(directory / "in.pcap", timed_frames)
            command = [self.dataplane, "--replay", directory / "in.pcap", directory / "out.pcap", "--config",
                       directory / "guideway.toml", "--kernel", directory / "kernel.pcap", "--counters",
                       directory / "counters.json", *self.eras(directory)]
            result = subprocess.run(command, capture_output=True, text=True, timeout=REPLAY_TIMEOUT_S)
            if result.returncode:
                raise RuntimeError(f"guideway-dataplane --replay failed: {result.stderr.strip()[-1000:]}")
            counters = json.loads((directory / "counters.json").read_text())
            return Outcome(read_pcap(directory / "out.pcap"), read_pcap(directory / "kernel.pcap"), counters)

    def eras(self, directory):
        """What was in force before, as options, the oldest first."""
        options = []
        for age in range(ERAS, 0, -1):
            file = directory / f"before-{age}.toml"
            file.write_text(toml(self.setup, directory, pools_of_era(age)))
            options += ["--before", file]
        return options

    def difference(self, timed_frames):
        """In a sentence, or None."""
        frames = with_quiet_end(timed_frames)
        return Expected(self.tables, self.setup, frames, TIMEOUTS).differs_from(self.outcome(frames))

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

    def report(self, timed_frames, file):
        """Of the first frame that makes a difference; writes its history to the file."""
        count = self.first_that_differs(timed_frames)
        before, after = with_quiet_end(timed_frames[:count - 1]), with_quiet_end(timed_frames[:count])
        text = f"frame {count - 1}, the first that makes a difference:\n{shown(timed_frames[count - 1][1])}"
        text += "expected:\n" + self.change(*(self.expected(frames) for frames in (before, after)))
        text += "got:\n" + self.change(*(self.outcome(frames) for frames in (before, after)))
        write_pcap(file, history(timed_frames[:count]))
        return text + f"its history is in {file}\n"

    def expected(self, frames):
        expected = Expected(self.tables, self.setup, frames, TIMEOUTS)
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
    """Chunks of frames, each with the next setup and a seed of its own."""
    replays = [Replay(dataplane, setup, Tables(POOLS, VIPS, setup.port)) for setup in SETUPS]
    for number, begin in enumerate(range(0, frames, chunk)):
        replay = replays[number % len(replays)]
        generator = Generator(random.Random(f"{seed} {number}"), VIPS, POOLS, replay.setup.port)
        timed_frames = list(generator.frames(min(chunk, frames - begin)))
        name = f"chunk {number} of {len(timed_frames)} frames, {replay.setup.name}"
        try:
            why = replay.difference(timed_frames)
            why = why and why + "\n" + replay.report(timed_frames, directory / f"difference-{seed}-{number}.pcap")
        except RuntimeError as error:
            why = f"{error}"
        if not results.expect(not why, name, why or ""):
            return
