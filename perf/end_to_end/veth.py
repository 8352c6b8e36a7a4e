"""Three hosts in network namespaces, and load balancers that a kernel carries packets to.

   ┌ client ──────┐         ┌ balancer ─────────┐         ┌ backend ────────────────────┐
   │          net ├─────────┤ outside    inside ├─────────┤ net  10.9.2.11 … .18        │    10.9.1.0/24 on the left,
   │ 10.9.1.1     │         │ 10.9.1.2 10.9.2.2 │         │      8 "backends", one host │    10.9.2.0/24 on the right
   │         back ├──┐      └───────────────────┘      ┌──┤ back                        │
   └──────────────┘  └─── answers of DSR: 10.9.3.0/24 ─┘  └─────────────────────────────┘

A veth hands a packet over on its sender's core. Receive packet steering brings it to the receiver's: what the
balancer's kernel does runs on the balancer's core, the rest on the other. (An AF_XDP socket takes packets before that.)
A wire carries single packets with finished checksums, so the offloads that a veth has are off.
"""
import contextlib
import functools
import os

import guideway
import host

BACKENDS = [f"10.9.2.{11 + i}" for i in range(guideway.BACKENDS)]
CLIENT, OUTSIDE, INSIDE = "10.9.1.1", "10.9.1.2", "10.9.2.2"
BACKEND_MAC = "02:00:00:00:01:00"


class Network:
    """The namespaces, made and removed by the with statement."""

    def __init__(self):
        self.client, self.balancer, self.backend = (f"gwe{os.getpid()}-{name}" for name in ("client", "lb", "backend"))

    def __enter__(self):
        try:
            self.make()
        except host.LabError:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for netns in (self.client, self.balancer, self.backend):
            with contextlib.suppress(host.LabError):
                host.run("ip", "netns", "del", netns)

    def make(self):
        for netns in (self.client, self.balancer, self.backend):
            host.run("ip", "netns", "add", netns)
            self.sysctl(netns, "net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.default.rp_filter=0",
                        "net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1",
                        "net.ipv4.ip_local_port_range=1024 65535")
            self.ip(netns, "link", "set", "lo", "up")
        self.wire((self.client, "net", [CLIENT]), (self.balancer, "outside", [OUTSIDE]))
        self.wire((self.balancer, "inside", [INSIDE]), (self.backend, "net", BACKENDS))
        self.wire((self.client, "back", ["10.9.3.1"]), (self.backend, "back", ["10.9.3.2"]))
        self.ip(self.balancer, "link", "set", "outside", "address", guideway.MAC)
        self.ip(self.backend, "link", "set", "net", "address", BACKEND_MAC)
        for address in BACKENDS:
            self.ip(self.balancer, "neighbour", "replace", address, "lladdr", BACKEND_MAC, "dev", "inside")
        self.ip(self.client, "route", "add", guideway.VIP, "via", OUTSIDE)

    def wire(self, *ends):
        (one, one_name, _), (other, other_name, _) = ends
        host.run("ip", "link", "add", one_name, "netns", one, "type", "veth", "peer", other_name, "netns", other)
        for netns, name, addresses in ends:
            host.run("ethtool", "-K", name, "tx", "off", "tso", "off", "gso", "off", "gro", "off", netns=netns)
            for address in addresses:
                self.ip(netns, "address", "add", f"{address}/24", "dev", name)
            self.ip(netns, "link", "set", name, "up")
            core = host.BALANCER_CORE if netns == self.balancer else host.LOAD_CORE
            host.run("sh", "-c", f"echo {1 << core:x} >/sys/class/net/{name}/queues/rx-0/rps_cpus", netns=netns)

    def ip(self, netns, *words):
        host.run("ip", "-n", netns, *words)

    def sysctl(self, netns, *settings):
        host.run("sysctl", "-qw", *settings, netns=netns)

    def nft(self, netns, rules):
        host.run("nft", "-f", "-", netns=netns, input=rules)

    def answer_directly(self):
        """Backends own the VIP, and their answers do not come through the balancer."""
        self.ip(self.backend, "address", "add", f"{guideway.VIP}/32", "dev", "lo")
        self.ip(self.backend, "route", "add", "10.9.1.0/24", "via", "10.9.3.1")

    def answer_through_balancer(self):
        self.ip(self.backend, "route", "add", "10.9.1.0/24", "via", INSIDE)

    def forward(self):
        self.sysctl(self.balancer, "net.ipv4.ip_forward=1")

    def sink(self):
        """The generator receives on a packet socket; the backend's stack shall have no work with what it gets."""
        self.nft(self.backend, """
            table netdev sink {
              chain packets {
                type filter hook ingress device "net" priority 0
                meta protocol ip drop
              }
            }""")


def generator_arguments(network):
    # Long rings: the kernel calls a frame sent while it may still be queued, and the frame is written anew then.
    return ["--transmit", "net_af_packet0,iface=net,framecnt=4096", "--transmit-netns", network.client,
            "--receive", "net_af_packet1,iface=net,framecnt=4096", "--receive-netns", network.backend,
            "--vip", guideway.VIP, "--mac", guideway.MAC]


# ---- what is measured: called with the Programs and the Network ----------------------------------------------------

def start_routing(_programs, network):
    """The ceiling: the balancer's kernel forwards to the one backend, and balances nothing."""
    network.ip(network.backend, "address", "add", f"{guideway.VIP}/32", "dev", "lo")
    network.ip(network.balancer, "route", "add", guideway.VIP, "via", BACKENDS[0])
    network.answer_through_balancer()
    network.forward()


def start_nftables_dnat(_programs, network):
    """Connection tracking; a flow's first packet chooses its backend."""
    network.answer_through_balancer()
    network.forward()
    backends = ", ".join(f"{i} : {address}" for i, address in enumerate(BACKENDS))
    network.nft(network.balancer, f"""
        table ip lb {{
          chain prerouting {{
            type nat hook prerouting priority dstnat
            ip daddr {guideway.VIP} meta l4proto {{ tcp, udp }} th dport {guideway.PORT} \
              dnat to jhash ip saddr . th sport mod {len(BACKENDS)} map {{ {backends} }}
          }}
        }}""")


def start_nftables_dsr(_programs, network):
    """No state: each packet is hashed, gets the backend's MAC address, and is put out at once."""
    network.answer_directly()
    backends = ", ".join(f"{i} : {BACKEND_MAC}" for i in range(len(BACKENDS)))
    network.nft(network.balancer, f"""
        table netdev lb {{
          chain ingress {{
            type filter hook ingress device "outside" priority 0
            ip daddr {guideway.VIP} meta l4proto {{ tcp, udp }} th dport {guideway.PORT} \
              ether daddr set jhash ip saddr . th sport mod {len(BACKENDS)} map {{ {backends} }} fwd to "inside"
          }}
        }}""")


def start_haproxy(programs, network):
    """TCP mode: a connection to the client and another one to the backend."""
    network.ip(network.balancer, "address", "add", f"{guideway.VIP}/32", "dev", "lo")
    servers = "\n".join(f"  server b{i} {address}:{guideway.PORT}" for i, address in enumerate(BACKENDS))
    file = programs.directory / "haproxy.cfg"
    file.write_text(f"""global
  nbthread 1
  maxconn 8000
defaults
  mode tcp
  timeout connect 5s
  timeout client 10s
  timeout server 10s
listen all
  bind {guideway.VIP}:{guideway.PORT}
{servers}
""")
    programs.start("haproxy", "haproxy", "-db", "-f", file, netns=network.balancer, core=host.BALANCER_CORE)
    host.wait_until(lambda: f":{guideway.PORT}" in host.run("ss", "-Hltn", netns=network.balancer),
                    "haproxy's listening")


def start_guideway(driver, programs, network):
    """IPIP. The generator takes packets as they leave the balancer: the decapsulation is the backend's work."""
    network.answer_directly()
    ports = [f'[[dataplane.port]]\nname = "{interface}"\ndevice = "{driver}{i},iface={interface}"\n'
             for i, interface in enumerate(("outside", "inside"))]
    guideway.start(programs, ports, "ipip", BACKENDS, hugepages=False, netns=network.balancer)


def start_guideway_and_backend(driver, programs, network):
    """IPIP, decapsulated by an XDP program. In generic mode it runs where the backend's stack runs, behind steering."""
    start_guideway(driver, programs, network)
    host.run(programs.build / "bpf/guideway-backend", "attach", "net", "--source", f"{INSIDE}/32", "--mode", "generic",
             netns=network.backend)


# The first is the ceiling that the others are compared with.
UDP_ROWS = {
    "kernel routing": start_routing,
    "nftables, ingress and fwd": start_nftables_dsr,
    "nftables, dnat": start_nftables_dnat,
    "Guideway, AF_XDP, ipip": functools.partial(start_guideway, "net_af_xdp"),
    "Guideway, AF_PACKET, ipip": functools.partial(start_guideway, "net_af_packet"),
}
TCP_ROWS = {
    "kernel routing": start_routing,
    "nftables, ingress and fwd": start_nftables_dsr,
    "nftables, dnat": start_nftables_dnat,
    "HAProxy, TCP mode": start_haproxy,
    "Guideway, AF_XDP, ipip": functools.partial(start_guideway_and_backend, "net_af_xdp"),
}
