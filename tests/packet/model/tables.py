"""What is configured, as one generation of the tables; and which service an address and port belong to."""
import copy
import dataclasses
import ipaddress

from .pools import Owners, server_id_bytes
from .ways import Way
from .wire import TCP, UDP

FIRST_GENERATION = 1


@dataclasses.dataclass
class Vip:
    address: str  # or a prefix
    protocol: str  # tcp, udp, quic
    port: int  # 0: any
    pool: str
    unserved: str = "drop"
    no_backend: str = "drop"
    echo: str = "answer"
    tracking: str = ""  # none, moved, all; what the protocol has by itself

    def __post_init__(self):
        self.tracking = self.tracking or ("all" if self.protocol == "udp" else "moved")

    def number(self):
        return TCP if self.protocol == "tcp" else UDP

    def prefix(self):
        return ipaddress.ip_network(self.address)


class Service:
    """A VIP and its pool. owners: of the pool's slots. ways: to its backends, by position."""

    def __init__(self, vip, owners, ways):
        self.vip, self.pool, self.owners, self.ways = vip, owners.pool, owners, ways
        self.quic = self.pool.quic_model() if vip.protocol == "quic" else None
        self.places_by_server_id = {server_id_bytes(value): place for place, backend in enumerate(self.pool.backends)
                                    for value in backend.server_ids}

    def is_usable(self):
        return bool(self.owners.slots)

    def can_take(self, place):
        return self.pool.backends[place].can_take()

    def owner_of(self, slot):
        return self.owners.slots[slot] if self.owners.slots else None

    def is_unsettled(self, slot):
        return slot in self.owners.past

    def past_of(self, slot):
        return self.owners.past.get(slot, ())

    def oldest_owner_of(self, slot):
        """Of a slot that has moved; else, and if none is left, the owner."""
        return next(iter(self.past_of(slot)), self.owner_of(slot))

    def way_of_server(self, server_id):
        """None if it names no backend that can take anything."""
        place = self.places_by_server_id.get(server_id)
        return self.ways[place] if place is not None and self.can_take(place) else None


class Tables:
    """One generation. pools: by name."""

    def __init__(self, pools, vips, port):
        self.pools, self.vips, self.port, self.generation = pools, vips, port, FIRST_GENERATION
        self.owners = {name: Owners(pool) for name, pool in pools.items()}
        self.ways = {name: [Way(pool, backend, port) for backend in pool.backends] for name, pool in pools.items()}
        self.own = [ipaddress.ip_network(text) for text in (*port.sources.values(), *port.source_prefixes)]
        self.add_services()

    def changed(self, states):
        """The next generation; the same if nothing changes. states: of backends, by pool and position."""
        pools = {name: self.pools[name].changed(of_pool) for name, of_pool in states.items()}
        pools = {name: pool for name, pool in pools.items() if pool.in_force() != self.pools[name].in_force()}
        if not pools:
            return self
        tables = copy.copy(self)
        tables.generation += 1
        tables.pools = {**self.pools, **pools}
        tables.owners = {**self.owners, **{name: Owners(pool) for name, pool in pools.items()}}
        tables.add_services()
        return tables

    def add_services(self):
        self.services, self.holders = {}, {}
        self.lengths = {4: [], 6: []}
        for vip in self.vips:
            self.add(vip)

    def add(self, vip):
        prefix = vip.prefix()
        service = Service(vip, self.owners[vip.pool], self.ways[vip.pool])
        place = (prefix.version, prefix.prefixlen, self.cut(prefix.network_address.packed, prefix.prefixlen))
        self.services[(*place, vip.number(), vip.port)] = service
        self.holders.setdefault(place, []).append(service)
        lengths = self.lengths[prefix.version]
        if prefix.prefixlen not in lengths:
            lengths.append(prefix.prefixlen)
            lengths.sort(reverse=True)

    @staticmethod
    def cut(address, bits):
        return int.from_bytes(address, "big") >> 8 * len(address) - bits

    def holders_of(self, version, address):
        """The services of the longest prefix over the address; [] if it is no VIP's."""
        for bits in self.lengths[version]:
            holders = self.holders.get((version, bits, self.cut(address, bits)))
            if holders:
                return holders
        return []

    def service(self, version, address, protocol, port):
        """The first of: address and port, prefix and port, address with any port, prefix with any port."""
        for wanted in (port, 0):
            for bits in self.lengths[version]:
                service = self.services.get((version, bits, self.cut(address, bits), protocol, wanted))
                if service:
                    return service
        return None

    def is_own(self, version, address):
        number = int.from_bytes(address, "big")
        return any(own.version == version and int(own.network_address) <= number <= int(own.broadcast_address)
                   for own in self.own)
