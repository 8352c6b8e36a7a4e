"""A model of the packet path: what becomes of a frame, byte for byte.

Written from docs/packet_policy.md, docs/flow_hash.md, docs/tables.md and the RFCs alone, so that it is a second opinion
on the data plane. It takes frames with their time of arrival, and keeps the data plane's counters.

    pools    backends, owners of slots   ways       what is known of the way to a backend
    tables   VIPs, one generation        parse      addresses, headers, what is wrong with them
    path     the decisions, in order     fragments  datagrams that come in pieces
    encap    outer headers, MTU          icmp       echo, and what errors quote
    wire     headers, checksums          answers    resets and errors of our own
    flows    what is remembered of flows schedule   slots, and backends of new flows
"""
from .flows import Timeouts
from .path import End, PacketPath
from .pools import Backend, Pool, Port, QuicConfig
from .tables import Tables, Vip

__all__ = ["Backend", "End", "PacketPath", "Pool", "Port", "QuicConfig", "Tables", "Timeouts", "Vip"]
