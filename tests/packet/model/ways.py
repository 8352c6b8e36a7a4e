"""How packets get to backends, all that does not depend on the packet."""
import ipaddress

from .wire import ETHER_IP, ETHER_QINQ, ETHER_VLAN


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


def ethernet(prefix, version):
    """prefix: both MAC addresses and the tags."""
    return prefix + ETHER_IP[version]
