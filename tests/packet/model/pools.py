"""What is configured of pools, and who owns their slots."""
import dataclasses
import functools

from quic_model import QuicModel
from slot_table_model import slot_table

PAST_OWNERS_MAX = 4


@dataclasses.dataclass
class Port:
    """mac: the source of what leaves. sources: outer ones, by IP version. vlans: the outer tag first."""
    mac: str
    next_hop_mac: str
    sources: dict
    mtu: int
    vlans: tuple = ()
    source_prefixes: tuple = ()


@dataclasses.dataclass
class Backend:
    address: str
    weight: int = 1
    mtu: int = 0
    server_ids: tuple = ()  # as in the file: hex digits, with Katran's layout numbers
    state: str = "up"  # drained, down, unreachable

    def weight_in_force(self):
        return self.weight if self.state == "up" else 0

    def can_take(self):
        """What it has: it is alive and reachable."""
        return self.state in ("up", "drained")

    def is_drained(self):
        return self.can_take() and not self.weight_in_force()

    def in_force(self):
        """What tables say of it."""
        return self.weight_in_force(), self.state != "down", self.state != "unreachable"


@dataclasses.dataclass
class QuicConfig:
    """One of QUIC-LB's configurations. key: 32 hex digits, or none."""
    id: int
    server_id_bytes: int
    nonce_bytes: int
    key: str = ""

    def secret(self):
        return bytes.fromhex(self.key) if self.key else None


@dataclasses.dataclass
class Pool:
    encap: str  # ipip, gue, gue1, gre, l2dsr
    slots: int
    backends: list
    dscp: object = "copy"  # or a number
    oversize: str = "fragment"
    quic: object = None  # "katran" or a list of QuicConfig
    second_chance: bool = False
    scheduler: str = "maglev"  # source-hash, round-robin, least-connections
    source_bits: dict = dataclasses.field(default_factory=lambda: {4: 32, 6: 128})  # by IP version, for source-hash
    past: tuple = ()  # the eras before, the oldest first: (address, weight) of each backend

    def weights(self):
        return tuple((backend.address, backend.weight_in_force()) for backend in self.backends)

    def in_force(self):
        return [backend.in_force() for backend in self.backends]

    def changed(self, states):
        """The pool from now on. states: of backends, by position."""
        backends = [dataclasses.replace(backend, state=states.get(place, backend.state))
                    for place, backend in enumerate(self.backends)]
        pool = dataclasses.replace(self, backends=backends)
        if pool.weights() != self.weights():
            pool.past += (self.weights(),)
        return pool

    def quic_model(self):
        """What reads connection IDs; None if they name nobody."""
        if self.quic is None or self.quic == "katran":
            return self.quic and QuicModel(self.quic)
        return QuicModel({c.id: (c.server_id_bytes, c.nonce_bytes, c.secret()) for c in self.quic})


def server_id_bytes(value):
    return value.to_bytes(4, "big") if isinstance(value, int) else bytes.fromhex(value)


@functools.lru_cache(maxsize=1000)
def owners_in(weights, slots):
    return slot_table(weights, slots)


class Owners:
    """Of a pool's slots. slots: positions of backends; none if no backend takes new flows. past: by slot, of those that
    are unsettled: the previous owners that it remembers, in order of age (docs/continuity.md)."""

    def __init__(self, pool):
        self.pool, self.slots, self.past = pool, owners_in(pool.weights(), pool.slots), {}
        today = {backend.address: place for place, backend in enumerate(pool.backends)}
        tables = [([today.get(address) for address, _ in era], owners_in(era, pool.slots)) for era in pool.past]
        tables = [(names, table) for names, table in tables if table]
        for slot in range(pool.slots if tables else 0):
            now = self.slots[slot] if self.slots else None
            owners = [names[table[slot]] for names, table in tables]
            if any(owner != now for owner in owners):
                self.past[slot] = self.remembered(owners, now)

    def remembered(self, owners, now):
        """The oldest, and of the others but the owner of now the drained ones and the newest: at most four in all. Only
        those count that can take what they have."""
        living = [owner for owner in owners if owner is not None and self.pool.backends[owner].can_take()]
        newest_first = [owner for owner in dict.fromkeys(reversed(living)) if owner not in (living[0], now)]
        wanted = sorted(newest_first, key=lambda owner: not self.pool.backends[owner].is_drained())
        kept = wanted[:PAST_OWNERS_MAX - 1]
        return living[:1] + [owner for owner in reversed(newest_first) if owner in kept]
