"""What is configured: ports, pools, VIPs; and which service an address and port belong to."""
import dataclasses
import ipaddress

from quic_model import QuicModel
from slot_table_model import slot_table

from .wire import ETHER_IP, ETHER_QINQ, ETHER_VLAN, TCP, UDP

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
    past: tuple = ()  # the eras before, the oldest first: (address, weight) of each backend

    def quic_model(self):
        """What reads connection IDs; None if they name nobody."""
        if self.quic is None or self.quic == "katran":
            return self.quic and QuicModel(self.quic)
        return QuicModel({c.id: (c.server_id_bytes, c.nonce_bytes, c.secret()) for c in self.quic})


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


def mac_bytes(text):
    return bytes.fromhex(text.replace(":", ""))


class Way:
    """How packets get to one backend, all that does not depend on the packet."""

    def __init__(self, pool, backend, port):
        address = ipaddress.ip_address(backend.address)
        self.encap, self.oversize = pool.encap, pool.oversize
        self.version, self.destination = address.version, address.packed
        self.source = ipaddress.ip_address(port.sources[self.version]).packed if self.version in port.sources else b""
        self.source_host_mask = 0
        if pool.encap in ("ipip", "gre"):
            self.spread_source(port)
        self.mtu = backend.mtu or port.mtu
        self.dscp = pool.dscp
        self.ethernet = mac_bytes(port.next_hop_mac) + mac_bytes(port.mac) + vlan_tags(port.vlans)

    def spread_source(self, port):
        for prefix in map(ipaddress.ip_network, port.source_prefixes):
            if prefix.version == self.version:
                self.source = prefix.network_address.packed
                self.source_host_mask = (1 << min(32, prefix.max_prefixlen - prefix.prefixlen)) - 1

    def source_of(self, entropy):
        if not self.source_host_mask:
            return self.source
        number = int.from_bytes(self.source, "big") | entropy & self.source_host_mask
        return number.to_bytes(len(self.source), "big")

    def traffic_class(self, inner):
        return inner if self.dscp == "copy" else self.dscp << 2 | inner & 3


def vlan_tags(vlans):
    """IEEE 802.1Q, section 9.5: a service tag is the outer one of two. Ends before the EtherType of the packet."""
    tags = b""
    for place, vlan in enumerate(vlans):
        tags += (ETHER_QINQ if len(vlans) == 2 and place == 0 else ETHER_VLAN) + vlan.to_bytes(2, "big")
    return tags


def server_id_bytes(value):
    return value.to_bytes(4, "big") if isinstance(value, int) else bytes.fromhex(value)


def past_owners(pool, slots):
    """By slot, of those whose owner has changed: the backends of today's pool that owned it, as positions: the oldest,
    and the newest others but for the owner of now, at most three in all; in order of age (docs/continuity.md)."""
    tables = [(era, slot_table(era, pool.slots)) for era in pool.past]
    today = {backend.address: place for place, backend in enumerate(pool.backends)}
    past = {}
    for slot in range(pool.slots):
        now = slots[slot] if slots else None
        owners = [today.get(era[table[slot]][0]) for era, table in tables]
        if all(owner == now for owner in owners):
            continue
        alive = [owner for owner in owners if owner is not None]
        newest = [owner for owner in dict.fromkeys(reversed(alive)) if owner not in (alive[0], now)]
        past[slot] = alive[:1] + newest[:PAST_OWNERS_MAX - 1][::-1]
    return past


class Service:
    """A VIP and its pool. slots: positions in `ways`; none if no backend is usable. past: as past_owners() says."""

    def __init__(self, vip, pool, slots, ways, past):
        self.vip, self.pool, self.slots, self.ways, self.past = vip, pool, slots, ways, past
        self.quic = pool.quic_model() if vip.protocol == "quic" else None
        self.ways_by_server_id = {server_id_bytes(value): way for backend, way in zip(pool.backends, ways)
                                  for value in backend.server_ids}

    def owner_of(self, slot):
        return self.slots[slot] if self.slots else None

    def is_unsettled(self, slot):
        return slot in self.past

    def oldest_owner_of(self, slot):
        """Of a slot that has moved; else, and if none is left, the owner."""
        return next(iter(self.past.get(slot, ())), self.owner_of(slot))


class Tables:
    """pools: by name."""

    def __init__(self, pools, vips, port):
        self.port = port
        self.pools, self.ways, self.slots, self.past = pools, {}, {}, {}
        for name, pool in pools.items():
            self.slots[name] = slot_table([(backend.address, backend.weight) for backend in pool.backends], pool.slots)
            self.past[name] = past_owners(pool, self.slots[name])
            self.ways[name] = [Way(pool, backend, port) for backend in pool.backends]
        self.services, self.holders = {}, {}
        self.lengths = {4: [], 6: []}
        for vip in vips:
            self.add(vip)
        self.own = [ipaddress.ip_network(text) for text in (*port.sources.values(), *port.source_prefixes)]

    def add(self, vip):
        prefix = vip.prefix()
        pool = vip.pool
        service = Service(vip, self.pools[pool], self.slots[pool], self.ways[pool], self.past[pool])
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


def ethernet(prefix, version):
    """prefix: both MAC addresses and the tags."""
    return prefix + ETHER_IP[version]
