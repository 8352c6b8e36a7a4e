"""Trials with the traffic generator: throughput, the loss-free rate, latency."""
import dataclasses
import json
import subprocess

import host

LOSS_FREE_TRIES = 5       # a rate counts as loss-free if one of so many trials loses nothing: the host has pauses
HELD_SHARE = 0.97         # the generator must have offered so much of the rate, else the trial says nothing
LATENCY_SHARES = (0.1, 0.5, 0.9)


@dataclasses.dataclass(frozen=True)
class Effort:
    """How long and how closely is looked."""
    repetitions: int
    trial_ms: int         # of the search
    latency_ms: int
    steps: int            # of the search: each halves what is unknown
    tcp_seconds: int


FULL = Effort(repetitions=3, trial_ms=200, latency_ms=400, steps=6, tcp_seconds=3)
QUICK = Effort(repetitions=1, trial_ms=150, latency_ms=200, steps=4, tcp_seconds=1)


class Generator:
    """perf/end_to_end_generator, once its devices have a link."""

    def __init__(self, programs, arguments):
        self.programs = programs
        self.process = programs.start("generator", programs.build / "perf/end_to_end_generator", *arguments,
                                      "--core", host.LOAD_CORE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline().strip() != "ready":
            raise host.LabError(self.complaint())

    def complaint(self):
        return f"the generator gave up: {self.programs.log_of('generator').read_text().strip()}"

    def trial(self, rate_pps, milliseconds):
        try:
            self.process.stdin.write(f"{rate_pps:.0f} {milliseconds}\n")
            self.process.stdin.flush()
            return json.loads(self.process.stdout.readline())
        except (BrokenPipeError, json.JSONDecodeError):
            raise host.LabError(self.complaint()) from None


def flood(generator, effort):
    """As many packets as go are offered."""
    host.wait_until(lambda: generator.trial(10_000, 20)["received"] > 0, "the first packet's way through")
    generator.trial(0, effort.trial_ms)  # flows are learned, caches and rings are warm
    return generator.trial(0, effort.trial_ms)


def is_held(trial):
    return trial["offered"] >= HELD_SHARE * trial["rate_pps"] * trial["seconds"]


def loses_nothing(generator, rate_pps, effort):
    for _ in range(LOSS_FREE_TRIES):
        trial = generator.trial(rate_pps, effort.trial_ms)
        if is_held(trial) and trial["received"] == trial["offered"]:
            return True
    return False


def loss_free_rate(generator, at_most_pps, effort):
    """Binary search, as RFC 2544, section 26.1, has it: the highest rate found at which nothing is lost, if any."""
    low, high = 0, at_most_pps
    for _ in range(effort.steps):
        middle = (low + high) / 2
        if loses_nothing(generator, middle, effort):
            low = middle
        else:
            high = middle
    return low or None


def latency(generator, rate_pps, effort):
    trial = generator.trial(rate_pps, effort.latency_ms)
    return {**trial["latency_us"], "lost_share": 1 - trial["received"] / max(trial["offered"], 1)}


def measure(generator, effort):
    """One repetition of a row."""
    flooded = flood(generator, effort)
    most = flooded["received"] / flooded["seconds"]
    figures = {"throughput_pps": most, "flood_lost_share": 1 - flooded["received"] / flooded["offered"]}
    loss_free = loss_free_rate(generator, 1.1 * most, effort)
    if loss_free is None:
        return figures
    return {**figures, "loss_free_pps": loss_free,
            "latency_us": {f"{share:.0%}": latency(generator, share * loss_free, effort) for share in LATENCY_SHARES}}
