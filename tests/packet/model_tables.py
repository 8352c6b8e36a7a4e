"""The tables that the data plane and the model are compared with: each way to carry packets, each policy, addresses and
prefixes of both families; and the same as guideway.toml."""
import dataclasses

from model import Backend, Pool, Port, QuicConfig, Timeouts, Vip

SECRET = bytes(range(100, 116))
PORT_MAC, NEXT_HOP_MAC = "02:00:00:00:00:01", "02:00:00:00:00:fe"
SOURCES = {4: "192.0.2.1", 6: "2001:db8:ff::1"}
PLENTY = 1_000_000

POOLS = {
    "gue-mixed": Pool("gue", 65521, [Backend("10.0.0.1", 1), Backend("10.0.0.2", 2, 1400), Backend("2001:db8:2::1", 3),
                                     Backend("223.251.252.253", 4)]),
    "gue-short": Pool("gue", 251, [Backend("10.0.1.1", 1, 1300), Backend("2001:db8:2::11", 1, 1300)]),
    "gue1-mixed": Pool("gue1", 1021, [Backend("10.1.0.1", 7, 1350), Backend("2001:db8:2::2", 5, 1350),
                                      Backend("10.1.0.3", 0)]),
    "ipip-mixed": Pool("ipip", 251, [Backend("10.2.0.1", 65535), Backend("2001:db8:2::3", 65534),
                                       Backend("10.2.0.2", 1)]),
    "ipip-inner": Pool("ipip", 251, [Backend("10.2.1.1", 1, 1400), Backend("2001:db8:2::13", 1, 1300)],
                       oversize="fragment-inner"),
    "gre-marked": Pool("gre", 251, [Backend("10.4.0.1", 1, 1400), Backend("2001:db8:2::4", 1, 1300)], dscp=46,
                       oversize="drop"),
    "gre-inner": Pool("gre", 251, [Backend("10.4.1.1", 1, 1400), Backend("2001:db8:2::14", 1, 1300)], dscp=0,
                      oversize="fragment-inner"),
    "direct": Pool("l2dsr", 251, [Backend("10.5.0.1", 1, 1400), Backend("2001:db8:2::5", 1, 1300)]),
    "direct-drop": Pool("l2dsr", 251, [Backend("10.5.1.1", 1, 1300)], oversize="drop"),
    "quic-lb": Pool("gue", 251, [Backend("10.6.0.1", 1, server_ids=("01", "0a0b0c0d")),
                                 Backend("10.6.0.2", 2, server_ids=("fe", "ed793a51")),
                                 Backend("2001:db8:2::6", 0, server_ids=("80", "00000000"))],
                    quic=[QuicConfig(0, 1, 4), QuicConfig(2, 4, 12, "8f95f09245765f80256934e50c66207f"),
                          QuicConfig(6, 4, 5, "fdf726a9893ec05c0632d3956680baf0"), QuicConfig(3, 4, 4)]),
    "quic-katran": Pool("ipip", 251, [Backend("10.6.1.1", 1, server_ids=(1, 0x12345678)),
                                      Backend("10.6.1.2", 1, 1300, server_ids=(65535,))], quic="katran"),
    "quic-moved": Pool("gue", 251, [Backend("10.6.2.1", 1, server_ids=("01",)), Backend("10.6.2.2", 0, server_ids=("02",)),
                                    Backend("2001:db8:2::26", 1, server_ids=("03",))], quic=[QuicConfig(1, 1, 4)],
                       second_chance=True, past=((("10.6.2.2", 1), ("10.6.2.1", 1)),)),
    "drained": Pool("ipip", 251, [Backend("10.3.0.1", 0)]),
    "turns": Pool("ipip", 251, [Backend("10.7.0.1", 1), Backend("2001:db8:2::7", 3), Backend("10.7.0.2", 0)],
                  scheduler="round-robin", past=((("10.7.0.2", 1), ("10.7.0.1", 1)),)),
    "turns-gue": Pool("gue", 1021, [Backend("10.7.1.1", 1), Backend("10.7.1.2", 3), Backend("10.7.1.3", 1)],
                      scheduler="round-robin", second_chance=True, past=((("10.7.1.1", 1),),)),
    "by-source": Pool("gre", 1021, [Backend("10.7.2.1", 2), Backend("2001:db8:2::17", 3)], scheduler="source-hash",
                      source_bits={4: 24, 6: 64}),
    # Slots that moved: of two backends that share them in new proportions, one that is drained and one that is gone.
    "moved-gue": Pool("gue", 251, [Backend("10.8.0.1", 1, 1400), Backend("10.8.0.2", 2), Backend("2001:db8:2::8", 1),
                                   Backend("10.8.0.3", 0)], second_chance=True,
                      past=((("10.8.0.3", 3), ("10.8.0.1", 1)), (("10.8.0.9", 2), ("10.8.0.1", 1), ("10.8.0.2", 1)),
                            (("2001:db8:2::8", 1), ("10.8.0.2", 1)))),
    "moved-ipip": Pool("ipip", 1021, [Backend("10.8.1.1", 1), Backend("2001:db8:2::18", 3), Backend("10.8.1.2", 0)],
                       past=((("10.8.1.1", 1), ("10.8.1.9", 1)), (("10.8.1.2", 1), ("2001:db8:2::18", 1)))),
    "moved-away": Pool("gue", 251, [Backend("10.8.2.1", 0), Backend("10.8.2.2", 0)], second_chance=True,
                       past=((("10.8.2.9", 1),), (("10.8.2.1", 1), ("10.8.2.2", 1), ("10.8.2.9", 1)))),
    # All to one after the other: more owners than a slot remembers, one of them twice, and the owner of now.
    "moved-often": Pool("gue", 251, [Backend(f"2001:db8:2::2{place}", int(place == 6)) for place in range(7)],
                        second_chance=True, oversize="fragment-inner",
                        past=tuple(((f"2001:db8:2::2{place}", 1),) for place in (0, 1, 2, 3, 0, 4, 6, 5))),
}

VIPS = [
    Vip("203.0.113.10", "tcp", 80, "gue-mixed"), Vip("203.0.113.10", "udp", 53, "ipip-mixed"),
    Vip("203.0.113.11", "tcp", 443, "gue1-mixed", unserved="kernel", echo="healthy"),
    Vip("222.241.242.243", "udp", 65535, "gue1-mixed", unserved="reject"),
    Vip("203.0.113.12", "tcp", 80, "drained", echo="healthy"),
    Vip("203.0.113.13", "tcp", 80, "drained", unserved="reject", no_backend="reject", echo="drop"),
    Vip("203.0.113.13", "udp", 0, "drained", unserved="reject", no_backend="reject", echo="drop"),
    Vip("203.0.113.14", "udp", 0, "direct", unserved="reject"),
    Vip("203.0.113.14", "tcp", 25, "direct-drop", unserved="reject"),
    Vip("198.18.0.0/15", "tcp", 80, "gre-marked", unserved="reject"),
    Vip("198.18.4.0/24", "tcp", 0, "ipip-inner", unserved="kernel"),
    Vip("198.18.4.0/24", "udp", 53, "gre-inner", unserved="kernel"),
    Vip("198.18.4.7", "tcp", 443, "gue-short"), Vip("198.18.4.7", "udp", 0, "gue-short"),
    Vip("203.0.113.15", "quic", 443, "quic-lb", unserved="reject"),
    Vip("203.0.113.16", "quic", 0, "quic-katran"), Vip("2001:db8:1::15", "quic", 443, "quic-lb"),
    Vip("2001:db8:1::16", "quic", 443, "quic-katran"), Vip("203.0.113.19", "quic", 443, "quic-moved"),
    Vip("2001:db8:1::19", "quic", 443, "quic-moved", tracking="all"),
    Vip("2001:db8:1::10", "tcp", 80, "gue-mixed"), Vip("2001:db8:1::10", "udp", 53, "ipip-mixed"),
    Vip("2001:db8:1::11", "tcp", 443, "gue1-mixed", unserved="kernel", echo="healthy"),
    Vip("2001:db8:1::12", "tcp", 80, "drained", unserved="reject", no_backend="reject", echo="healthy"),
    Vip("2001:db8:1::12", "udp", 0, "drained", unserved="reject", no_backend="reject", echo="healthy"),
    Vip("fdff:ffff:ffff:ffff::fffe", "tcp", 1, "ipip-mixed", echo="drop"),
    Vip("2001:db8:4::/48", "tcp", 80, "gre-marked", unserved="reject"),
    Vip("2001:db8:4:5::/64", "tcp", 0, "direct", unserved="kernel"),
    Vip("2001:db8:4:5::/64", "udp", 53, "ipip-inner", unserved="kernel"),
    Vip("2001:db8:4:5::7", "tcp", 443, "gue-short", unserved="reject"),
    Vip("2001:db8:4:5::7", "udp", 0, "gre-inner", unserved="reject"),
    Vip("203.0.113.17", "tcp", 80, "turns", tracking="all"), Vip("203.0.113.17", "udp", 53, "turns-gue"),
    Vip("2001:db8:1::17", "tcp", 80, "turns-gue", tracking="all"), Vip("2001:db8:1::17", "udp", 53, "turns"),
    Vip("203.0.113.18", "tcp", 0, "by-source"), Vip("2001:db8:1::18", "udp", 0, "by-source", tracking="none"),
    Vip("203.0.113.20", "tcp", 80, "moved-gue"), Vip("203.0.113.20", "udp", 53, "moved-gue"),
    Vip("203.0.113.20", "tcp", 443, "moved-ipip", tracking="all"),
    Vip("203.0.113.20", "tcp", 25, "moved-gue", tracking="none"),
    Vip("203.0.113.21", "tcp", 0, "moved-ipip"), Vip("203.0.113.21", "udp", 0, "moved-ipip"),
    Vip("203.0.113.22", "tcp", 80, "moved-away", no_backend="reject"), Vip("203.0.113.22", "udp", 80, "moved-away"),
    Vip("203.0.113.23", "tcp", 80, "moved-often"), Vip("203.0.113.24", "tcp", 80, "gue-short", tracking="all"),
    Vip("2001:db8:1::20", "tcp", 80, "moved-gue"), Vip("2001:db8:1::20", "udp", 53, "moved-ipip"),
    Vip("2001:db8:1::20", "tcp", 443, "moved-gue", tracking="all"),
    Vip("2001:db8:1::22", "tcp", 80, "moved-away", echo="healthy"), Vip("2001:db8:1::23", "tcp", 80, "moved-often"),
]
# As the real programs have them, where nothing was ever in force before.
SETTLED_POOLS = {name: dataclasses.replace(pool, past=()) for name, pool in POOLS.items()}
# Far enough apart for gaps in between (generated_flows.py), and from those of fragments.
TIMEOUTS = Timeouts(probation=2, established=8, closing=6, datagram=3)
LONG_S = 3600

PORTS = {
    "plain": Port(PORT_MAC, NEXT_HOP_MAC, SOURCES, 1500),
    "tagged": Port(PORT_MAC, NEXT_HOP_MAC, SOURCES, 1500, (100,), ("10.99.0.0/16", "2001:db8:fe::/64")),
    "tagged twice": Port(PORT_MAC, NEXT_HOP_MAC, SOURCES, 1500, (4094, 1), ("10.98.7.0/25", "2001:db8:fd::/120")),
}


@dataclasses.dataclass
class Setup:
    """What one run is with. answers_per_second: of echo and of errors; 0 or plenty."""
    name: str
    port: Port
    answers_per_second: int = PLENTY


SETUPS = [*(Setup(f"port {name}", port) for name, port in PORTS.items()), Setup("no answers", PORTS["plain"], 0)]


def text_list(values):
    return "[" + ", ".join(f'"{value}"' for value in values) + "]"


def port_toml(port, directory):
    text = f"""[[dataplane.port]]
name = "uplink"
device = "net_pcap0,rx_pcap={directory}/in.pcap,tx_pcap={directory}/out.pcap"
kernel = "net_pcap1,rx_pcap={directory}/none.pcap,tx_pcap={directory}/kernel.pcap"
next_hop_mac = "{port.next_hop_mac}"
source_addresses = {text_list(port.sources.values())}
mtu = {port.mtu}
"""
    if port.vlans:
        text += f"vlan = {port.vlans[0] if len(port.vlans) == 1 else list(port.vlans)}\n"
    if port.source_prefixes:
        text += f"ipip_source_prefixes = {text_list(port.source_prefixes)}\n"
    return text


def quic_toml(name, quic, directory):
    """Keys lie in files beside the configuration."""
    if quic == "katran":
        return f'[pool.{name}.quic]\nlayout = "katran"\n'
    configs = []
    for config in quic:
        key = ""
        if config.key:
            (directory / f"{name}-{config.id}").write_text(config.key + "\n")
            key = f', key_file = "{name}-{config.id}"'
        configs.append(f"{{ id = {config.id}, server_id_bytes = {config.server_id_bytes}, "
                       f"nonce_bytes = {config.nonce_bytes}{key} }}")
    return f'[pool.{name}.quic]\nlayout = "quic-lb"\nconfigs = [{", ".join(configs)}]\n'


def scheduler_toml(pool):
    text = f'scheduler = "{pool.scheduler}"\n'
    if pool.scheduler == "source-hash":
        text += "".join(f"source_bits_ipv{version} = {bits}\n" for version, bits in pool.source_bits.items())
    return text


def pool_toml(name, pool, directory):
    backends = []
    for place, backend in enumerate(pool.backends):
        mtu = f", mtu = {backend.mtu}" if backend.mtu else ""
        ids = f", server_id = {list(backend.server_ids)}" if backend.server_ids else ""
        backends.append(f'{{ name = "b{place}", address = "{backend.address}", weight = {backend.weight}{mtu}{ids} }}')
    dscp = '"copy"' if pool.dscp == "copy" else pool.dscp
    chance = "second_chance = true\n" if pool.second_chance else ""
    return (f'[pool.{name}]\nencap = "{pool.encap}"\nslots = {pool.slots}\ndscp = {dscp}\n{chance}'
            + scheduler_toml(pool) +
            f'oversize = "{pool.oversize}"\n'
            f'health_check = "none"\nbackends = [{", ".join(backends)}]\n'
            + (quic_toml(name, pool.quic, directory) if pool.quic else ""))


def vip_toml(place, vip):
    port = vip.port or '"any"'
    return (f'[vip.v{place}]\naddress = "{vip.address}"\nport = {port}\npool = "{vip.pool}"\n'
            f'protocol = "{vip.protocol}"\n'
            f'unserved = "{vip.unserved}"\nno_backend = "{vip.no_backend}"\necho = "{vip.echo}"\n'
            f'tracking = "{vip.tracking}"\n')


def pools_before(pools):
    """As they were in each era before today, the oldest first; those without such an era are left out."""
    for age in range(max(len(pool.past) for pool in pools.values()), 0, -1):
        yield {name: dataclasses.replace(pool, backends=[Backend(*weighted) for weighted in pool.past[-age]], quic=None)
               for name, pool in pools.items() if len(pool.past) >= age}


def timeouts_toml(timeouts):
    """timeouts: None for those that are longer than a run."""
    of = timeouts or Timeouts(*[LONG_S] * 4)
    return f"""[flows]
probation_timeout = "{of.probation}s"
idle_timeout = "{of.established}s"
closing_timeout = "{of.closing}s"
datagram_timeout = "{of.datagram}s"
"""


def toml(setup, directory, pools, vips):
    """The configuration; its key goes into a file beside it."""
    (directory / "key").write_text(SECRET.hex() + "\n")
    text = f"""schema = 1
[dataplane]
main_core = 0
worker_cores = [1]
hugepages = "off"
memory = "128MiB"
echo_per_second = {setup.answers_per_second}
errors_per_second = {setup.answers_per_second}
{port_toml(setup.port, directory)}
[flow_hash]
key_file = "key"
[control]
run_dir = "{directory}"
state_dir = "{directory}"
[health_check.none]
type = "none"
"""
    text += "".join(pool_toml(name, pool, directory) for name, pool in pools.items())
    return text + "".join(vip_toml(place, vip) for place, vip in enumerate(vips))
