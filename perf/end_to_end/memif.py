"""Load balancers that poll: one device, a memif, to which the generator is the other end.

   core 0                     memif: two queues in shared memory            core 1
   generator (client, no copies of its own) ◄──────────► load balancer (server, copies in and out)
"""
import dataclasses
import functools
import os
import subprocess

import guideway
import host

BACKEND_ADDRESSES = [f"10.9.2.{11 + i}" for i in range(guideway.BACKENDS)]
RING_BITS = 12  # 4096 packets in each direction: 1 ms at 4 Mpps


def socket_of(programs):
    return programs.directory / "memif.sock"


def device(programs):
    return f"net_memif0,role=server,id=0,socket={socket_of(programs)},socket-abstract=no"


def generator_arguments(programs, row):
    return ["--transmit", f"net_memif1,role=client,id=0,socket={socket_of(programs)},socket-abstract=no,"
            f"zero-copy=yes,rsize={RING_BITS}", "--receive-queues", str(ROWS[row].queues),
            "--vip", guideway.VIP, "--mac", guideway.MAC]


def start_testpmd(mode, programs):
    programs.start("testpmd", "dpdk-testpmd", "--lcores", f"0@{host.LOAD_CORE},1@{host.BALANCER_CORE}", "--in-memory",
                   "--no-pci", "--no-telemetry", "-m", "256", f"--vdev={device(programs)}", "--",
                   f"--forward-mode={mode}", "--port-topology=loop", "--nb-cores=1", "--no-flush-rx", "--auto-start",
                   stdin=subprocess.PIPE)  # it leaves when its standard input ends
    programs.wait_for("testpmd", "Checking link statuses")


def start_guideway(encap, programs):
    port = (f'[[dataplane.port]]\nname = "wan"\ndevice = "{device(programs)}"\nnext_hop_mac = "{guideway.NEXT_HOP}"\n'
            'source_addresses = ["10.9.2.2"]\n')
    guideway.start(programs, [port], encap, BACKEND_ADDRESSES, hugepages=True)


def start_open_vswitch(programs):
    """In user space altogether; a `select` group gives each flow a bucket, which sets the backend's MAC address."""
    directory = programs.directory
    database, socket = directory / "ovs.db", f"unix:{directory}/db.sock"
    environment = {**os.environ, **{f"OVS_{kind}DIR": str(directory) for kind in ("RUN", "LOG", "DB", "SYSCONF")}}
    vsctl = functools.partial(host.run, "ovs-vsctl", f"--db={socket}", "--timeout=10", env=environment)
    host.run("ovsdb-tool", "create", database, "/usr/share/openvswitch/vswitch.ovsschema")
    programs.start("ovsdb", "ovsdb-server", database, f"--remote=p{socket}", "--no-chdir", env=environment,
                   core=host.LOAD_CORE)
    host.wait_until((directory / "db.sock").exists, "the start of ovsdb-server")
    vsctl("--no-wait", "init", "--", "set", "Open_vSwitch", ".", "other_config:dpdk-init=true",
          f"other_config:dpdk-lcore-mask={1 << host.LOAD_CORE:#x}",
          f"other_config:pmd-cpu-mask={1 << host.BALANCER_CORE:#x}", "other_config:dpdk-socket-mem=512",
          'other_config:dpdk-extra="--in-memory --no-pci --no-telemetry"')
    programs.start("vswitchd", "/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk", socket, "--no-chdir",
                   "--pidfile", env=environment)
    vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev", "fail-mode=secure", "--",
          "add-port", "br0", "lan", "--", "set", "interface", "lan", "type=dpdk", "ofport_request=1",
          f'options:dpdk-devargs="{device(programs)}"')
    trouble = vsctl("get", "interface", "lan", "error").strip()
    if trouble != "[]":
        raise host.LabError(f"Open vSwitch cannot use the device: {trouble}")
    ofctl = functools.partial(host.run, "ovs-ofctl", "-O", "OpenFlow15", env=environment)
    buckets = ",".join(f"bucket=actions=set_field:02:00:00:00:01:{i:02x}->eth_dst,IN_PORT"
                       for i in range(guideway.BACKENDS))
    bridge = f"unix:{directory}/br0.mgmt"
    ofctl("add-group", bridge, f"group_id=1,type=select,{buckets}")
    ofctl("add-flow", bridge, f"udp,nw_dst={guideway.VIP},tp_dst={guideway.PORT},actions=group:1")


@dataclasses.dataclass(frozen=True)
class Row:
    start: object    # called with the Programs
    queues: int = 1  # to the generator


# The first is the ceiling that the others are compared with.
ROWS = {
    "testpmd, macswap": Row(functools.partial(start_testpmd, "macswap")),
    "Guideway, l2dsr": Row(functools.partial(start_guideway, "l2dsr")),
    "Guideway, ipip": Row(functools.partial(start_guideway, "ipip")),
    "Guideway, gue": Row(functools.partial(start_guideway, "gue")),
    # It has a queue for each of its two threads that may send, and uses the second.
    "Open vSwitch, select group": Row(start_open_vswitch, queues=2),
}
