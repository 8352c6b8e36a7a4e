"""Pools and VIPs that are drawn, beside the fixed ones of model_tables.py: with many owners of each slot, lately and now."""
import dataclasses

from model import Backend, Pool, QuicConfig, Vip

COUNT = 4
SLOTS = 251
BACKENDS_MAX, ERAS_MAX = 8, 8
WEIGHTS = (0, 0, 1, 1, 1, 2, 5)
SCHEDULERS = ("maglev", "maglev", "source-hash", "round-robin")
STATEFUL = ("round-robin", "least-connections")
QUIC_CONFIGS = (QuicConfig(0, 1, 4), QuicConfig(2, 4, 12, "8f95f09245765f80256934e50c66207f"),
                QuicConfig(5, 2, 5, "fdf726a9893ec05c0632d3956680baf0"))
SOURCE_BITS = {4: (1, 8, 9, 24, 31, 32), 6: (1, 32, 33, 64, 127, 128)}


def draw_pools(random, has_timeouts):
    """By name. has_timeouts: that flows may be silent for too long within a run. When those are swept is not part of the
    model, so then nobody may ask how many flows there are."""
    schedulers = SCHEDULERS + (() if has_timeouts else ("least-connections",))
    return {f"drawn-{number}": Drawn(random, number, schedulers).pool() for number in range(COUNT)}


class Drawn:
    def __init__(self, random, number, schedulers):
        self.random, self.number, self.schedulers = random, number, schedulers

    def address(self, place):
        """Where a pool is of both families, not all backends can be hops of each other."""
        if self.random.random() < self.share_of_ipv6:
            return f"2001:db8:20:{self.number}::{place + 1:x}"
        return f"10.20.{self.number}.{place + 1}"

    def pool(self):
        self.share_of_ipv6 = self.random.choice((0, 0, 0.3, 1))
        addresses = [self.address(place) for place in range(self.random.randint(2, BACKENDS_MAX + 1))]
        backends = [Backend(address, self.random.choice(WEIGHTS), self.random.choice((0, 0, 1300, 1400)))
                    for address in addresses[:-1]]  # the last one is gone
        has_second_chance = self.random.random() < 0.7
        encap = "gue" if has_second_chance else self.random.choice(("gue", "ipip", "gre"))
        bits = {version: self.random.choice(choices) for version, choices in SOURCE_BITS.items()}
        return self.with_quic(Pool(encap, SLOTS, backends, second_chance=has_second_chance,
                                   past=tuple(self.eras(addresses)), scheduler=self.random.choice(self.schedulers),
                                   source_bits=bits))

    def with_quic(self, pool):
        """Half of the pools read connection IDs."""
        quic = self.random.choice((None, None, "katran", list(self.random.sample(QUIC_CONFIGS, 2))))
        for place, backend in enumerate(pool.backends if quic else ()):
            sizes = sorted({config.server_id_bytes for config in quic}) if quic != "katran" else ()
            ids = tuple(f"{7 * place + 1:0{2 * size}x}" for size in sizes) or (place + 1,)
            pool.backends[place] = dataclasses.replace(backend, server_ids=ids)
        return dataclasses.replace(pool, quic=quic)

    def eras(self, addresses):
        """Of each two or three backends: so they differ much."""
        for _ in range(self.random.randint(0, ERAS_MAX)):
            owners = self.random.sample(addresses, min(len(addresses), self.random.choice((1, 2, 2, 3))))
            yield tuple((address, self.random.choice((1, 1, 3))) for address in owners)


def draw_vips(random, pools):
    """Of the pools that draw_pools() gave."""
    return [Vip(f"{prefix}{50 + number}", protocol, port, name, no_backend=random.choice(("drop", "reject")),
                tracking="all" if pool.scheduler in STATEFUL else random.choice(tracking))
            for number, (name, pool) in enumerate(pools.items()) for prefix in ("203.0.113.", "2001:db8:1::")
            for protocol, port, tracking in (("tcp", 80, ("moved",)), ("tcp", 443, ("moved", "all", "none")),
                                             ("udp", 53, ("all", "all", "none")),
                                             ("quic", 443, ("moved", "moved", "all", "none")))
            if pool.quic or protocol != "quic"]
