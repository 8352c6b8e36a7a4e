"""What happens to backends while frames come: drawn, as tables for the model, and as the file that --changes takes."""
import collections
import dataclasses

STATES = ("up", "up", "drained", "down", "unreachable")
MEAN_GAPS_S = (0.3, 1, 4)
POOLS_AT_ONCE_MAX = 3
SLOTS_MAX = 1021  # the model takes its time over larger pools


@dataclasses.dataclass
class Change:
    """states: of backends, by pool and position."""
    at_us: int  # since the first frame
    states: dict


def may_change(pool):
    return pool.slots <= SLOTS_MAX


def draw_changes(random, pools, seconds):
    """Until so long after the first frame."""
    names = [name for name, pool in pools.items() if may_change(pool)]
    rate, changes = 1 / random.choice(MEAN_GAPS_S), []
    at_s = random.expovariate(rate)
    while at_s < seconds:
        states = collections.defaultdict(dict)
        for name in random.sample(names, random.randint(1, POOLS_AT_ONCE_MAX)):
            for place in random.choices(range(len(pools[name].backends)), k=random.choice((1, 1, 2, 3))):
                states[name][place] = random.choice(STATES)
        changes.append(Change(round(at_s * 1e6), dict(states)))
        at_s += random.expovariate(rate)
    return changes


def tables_later(tables, changes):
    """(microseconds since the first frame, tables) each."""
    later = []
    for change in changes:
        tables = tables.changed(change.states)
        later.append((change.at_us, tables))
    return later


def changes_text(changes):
    return "".join(f"{change.at_us / 1e6:.6f} {name}/b{place} {state}\n" for change in changes
                   for name, of_pool in change.states.items() for place, state in of_pool.items())
