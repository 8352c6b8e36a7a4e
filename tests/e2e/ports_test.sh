#!/usr/bin/env bash
# guideway-dataplane over real ports, without a control plane: ports_test.sh GUIDEWAY_DATAPLANE OFFER_TABLES
#
#   ┌ client ─────────────┐  veth  ┌ lb ─────────────────────┐
#   │ c1 10.9.0.1   next  ├────────┤ eth1 10.9.0.2           │    VIP 203.0.113.10, its backend 10.9.0.3 is
#   │ hop of all backends │        │ guideway-dataplane      │    nowhere: what leaves for it is captured on c1
#   └─────────────────────┘        └─────────────────────────┘
#
# TAP on stdout.
set -uo pipefail
dataplane=$(realpath "$1")
offer_tables=$(realpath "$2")
client=gwt-dpc-$$ lb=gwt-dpl-$$
dir=$(mktemp -d)
pids=()
number=0

clean_up() {
  for pid in "${pids[@]}"; do kill -9 "$pid" 2>/dev/null; done
  wait 2>/dev/null
  ip netns del "$client" 2>/dev/null
  ip netns del "$lb" 2>/dev/null
  rm -rf "$dir"
}
trap clean_up EXIT

check() {  # name, command …: one case
  local name=$1
  shift
  number=$((number + 1))
  if "$@" >"$dir/why" 2>&1; then
    echo "ok $number - $name"
  else
    echo "not ok $number - $name"
    sed 's/^/# /' "$dir/why" "$dir/log" "$dir/counters" 2>/dev/null
  fi
}

make_lab() {
  ip netns add "$client" && ip netns add "$lb"
  ip link add eth1 netns "$lb" type veth peer name c1 netns "$client"
  ip -n "$client" link set c1 address 02:00:00:00:00:01
  ip -n "$client" addr add 10.9.0.1/24 dev c1
  ip -n "$lb" addr add 10.9.0.2/24 dev eth1
  for end in "$client c1" "$lb eth1"; do
    # shellcheck disable=SC2086
    set -- $end
    ip -n "$1" link set lo up && ip -n "$1" link set "$2" up
    ip netns exec "$1" ethtool -K "$2" tx off gro off gso off tso off >/dev/null
  done
  ip -n "$client" route add 203.0.113.0/24 via 10.9.0.2
}

configure() {  # device [kernel [worker_cores [memory]]] → $dir/guideway.toml
  mkdir -p "$dir/run"
  cat >"$dir/guideway.toml" <<TOML
schema = 1
[dataplane]
worker_cores = ${3:-[1]}
memory = "${4:-256MiB}"
hugepages = "off"
[[dataplane.port]]
name = "wan"
device = "$1"
kernel = "${2:-auto}"
next_hop_mac = "02:00:00:00:00:01"
source_addresses = ["10.9.0.2"]
[pool.web]
encap = "ipip"
backends = [{ name = "b1", address = "10.9.0.3" }]
[vip.web]
address = "203.0.113.10"
port = 80
pool = "web"
[control]
run_dir = "$dir/run"
TOML
}

start() {  # [arguments …] → $started
  : >"$dir/counters"
  ip netns exec "$lb" "$dataplane" --config "$dir/guideway.toml" "$@" 2>"$dir/log" &
  started=$!
  pids+=("$started")
}

# Tables stay offered until descriptor 9 is closed; then the counters are in $dir/counters.
offer() {
  mkfifo "$dir/stay" 2>/dev/null
  ip netns exec "$lb" "$offer_tables" "$dir/guideway.toml" <"$dir/stay" >"$dir/counters" 2>&1 &
  offering=$!
  pids+=("$offering")
  exec 9>"$dir/stay"
  eventually grep -q offered "$dir/counters"
}
end_offer() {
  exec 9>&-
  wait "$offering"
}

eventually() {  # command …, within 20 s: on a loaded machine a start may take that long
  for _ in $(seq 400); do
    "$@" && return 0
    sleep 0.05
  done
  return 1
}

stop() {  # exits with 0, promptly
  kill -TERM "$started"
  timeout 10 tail --pid="$started" -f /dev/null || return 1
  wait "$started"
}

counted() {  # name value: exactly that, 0 included
  [ "$(awk -v name="$1" '$1 == name { print $2 }' "$dir/counters")" = "${2#0}" ]
}

refuses() { refuses_config "$dir/guideway.toml" "$@"; }
refuses_config() {  # file words …: the last line of a start that fails contains them
  ip netns exec "$lb" timeout 20 "$dataplane" --config "$1" 2>"$dir/refusal"
  local code=$?
  tail -1 "$dir/refusal"
  [ "$code" -eq 1 ] && tail -1 "$dir/refusal" | grep -qF -- "${*:2}"
}

make_pcap() {  # 100 packets to the VIP, 20 to the host
  /usr/bin/python3 - "$dir/in.pcap" <<'PYTHON'
import sys
from scapy.all import Ether, IP, TCP, wrpcap
def syn(to, port):
    return Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / IP(src="198.51.100.7", dst=to) / TCP(sport=port, dport=80)
wrpcap(sys.argv[1], [syn("203.0.113.10", 1000 + i) for i in range(100)] + [syn("10.9.0.2", i) for i in range(20)])
PYTHON
}
packets_in() {  # file [filter]
  tcpdump -nr "$1" "${@:2}" 2>/dev/null | wc -l
}

# Another data plane with files of its own, on an interface that is taken, harms nobody but itself.
refuses_the_interface() {
  mkdir -p "$dir/other"
  sed "s|^run_dir.*|run_dir = \"$dir/other\"|" "$dir/guideway.toml" >"$dir/other.toml"
  refuses_config "$dir/other.toml" 'interface eth1 is held by another running data plane' && kill -0 "$started" && encapsulates
}

# With framesz=8192 an MTU that AF_PACKET's frames have no room for by default, and longer datagrams come whole.
serves_long_frames() {
  ip -n "$client" link set c1 mtu 4000 && ip -n "$lb" link set eth1 mtu 4000
  serves_over "$1" copy 10.9.0.2 && sends_back 3900
}
sends_back() {  # bytes: a datagram to the VIP that long comes back encapsulated
  ip netns exec "$client" timeout 10 tcpdump -ni c1 -c 1 "ip proto 4 and ip[2:2] > $1" >"$dir/capture" 2>&1 &
  local capture=$!
  eventually grep -q listening "$dir/capture" || return 1
  ip netns exec "$client" /usr/bin/python3 -c '
import socket, struct, sys
length = int(sys.argv[1])
header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, length, 0, 0, 64, 6, 0, socket.inet_aton("198.18.0.1"), socket.inet_aton("203.0.113.10"))
segment = struct.pack("!HHIIBBHHH", 1000, 80, 0, 0, 0x50, 2, 0, 0, 0)
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
raw.sendto((header + segment).ljust(length, b"x"), ("203.0.113.10", 0))' "$1"
  wait $capture
}

sighup_ends_nothing() {
  kill -HUP "$started"
  eventually grep -qF 'SIGHUP: there is nothing to reload here' "$dir/log" && kill -0 "$started" && encapsulates
}

notices_a_lost_link() {
  ip -n "$lb" link set eth1 down
  eventually grep -qF 'port "wan": interface eth1 is down' "$dir/log" || return 1
  ip -n "$lb" link set eth1 up
  eventually grep -qF 'port "wan": up again' "$dir/log" && encapsulates
}

over_pcap() {  # kernel
  configure "net_pcap0,rx_pcap=$dir/in.pcap,tx_pcap=$dir/out.pcap" "$1"
  start --wait-for-tables
  offer && eventually grep -q 'forwarding on' "$dir/log" || return 1
  sleep 1
  end_offer
}

# Worker 0 meets the flows of a round-robin pool. Worker 1 meets the ICMP errors that quote them, behind frames enough for
# worker 0 to be done by then.
over_two_workers() {
  /usr/bin/python3 - "$dir" <<'PYTHON'
import sys
from scapy.all import Ether, ICMP, IP, TCP, raw, wrpcap
vip = "203.0.113.10"
def frame(packet):
    return Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / packet
def flow(port, flags):
    return frame(IP(src="198.51.100.7", dst=vip) / TCP(sport=port, dport=80, flags=flags))
def too_big(port):
    quoted = IP(src=vip, dst="198.51.100.7") / TCP(sport=80, dport=port)
    return frame(IP(src="198.51.100.1", dst=vip) / ICMP(type=3, code=4, nexthopmtu=1400) / raw(quoted))
ports = range(1000, 1064)
wrpcap(f"{sys.argv[1]}/flows.pcap", [flow(port, flags) for port in ports for flags in "SA"])
# Behind so many others that the other worker is long done with the flows, also if it has to wait for its core.
errors = f"{sys.argv[1]}/errors.pcap"
other = frame(IP(dst="10.9.0.2"))
wrpcap(errors, [other] + [too_big(port) for port in ports])
with open(errors, "rb") as file:
    header, first, rest = file.read(24), file.read(16 + len(other)), file.read()
with open(errors, "wb") as file:
    file.write(header + first * 500000 + rest)
PYTHON
  configure "net_pcap0,rx_pcap=$dir/flows.pcap,rx_pcap=$dir/errors.pcap,tx_pcap=$dir/out0.pcap,tx_pcap=$dir/out1.pcap" \
    none '[0, 1]'
  local backends
  backends=$(for n in $(seq 1 8); do printf '{ name = "b%d", address = "10.9.0.%d" }, ' "$n" "$((n + 10))"; done)
  sed -i "s/^backends = .*/backends = [$backends]\nscheduler = \"round-robin\"/" "$dir/guideway.toml"
  start --wait-for-tables
  offer && eventually grep -q 'forwarding on' "$dir/log" || return 1
  sleep 3  # what is sent can be counted only when the files are closed
  end_offer
  stop
}
errors_follow_flows() {
  /usr/bin/python3 - "$dir" <<'PYTHON'
import sys
from scapy.all import ICMP, IP, TCP, TCPerror, rdpcap
def inside(name):
    return [(frame[IP].dst, frame[IP].payload) for frame in rdpcap(f"{sys.argv[1]}/{name}")]
flows = {inner[TCP].sport: backend for backend, inner in inside("out0.pcap")}
errors = {inner[ICMP].payload[TCPerror].dport: backend for backend, inner in inside("out1.pcap")}
print(len(flows), "flows,", len(errors), "errors,", len(set(flows.values())), "backends,",
      sum(flows[port] != errors.get(port) for port in flows), "astray")
sys.exit(flows != errors or len(flows) != 64 or len(set(flows.values())) != 8)
PYTHON
}

encapsulates() {  # a SYN from the client comes back encapsulated
  ip netns exec "$client" timeout 20 tcpdump -ni c1 -c 1 'ip proto 4 and dst 10.9.0.3' >"$dir/capture" 2>&1 &
  local capture=$!
  eventually grep -q listening "$dir/capture" || return 1
  for _ in $(seq 20); do
    ip netns exec "$client" timeout 0.5 bash -c 'echo >/dev/tcp/203.0.113.10/80' 2>/dev/null
    kill -0 $capture 2>/dev/null || break
  done
  wait $capture
  cat "$dir/capture"
  grep -q '203.0.113.10.80' "$dir/capture"
}
pings() {
  ip netns exec "$client" ping -c 3 -i 0.2 -W 5 "$1"
}

serves_over() {  # device kernel host-address
  configure "$1" "$2"
  start
  offer || return 1
  [ -z "${4:-}" ] || ip -n "$lb" addr add "$3/32" dev "$4" || return 1
  pings "$3" && encapsulates
}

# A port in peace uses the same few buffers again and again. Fragments without their first take a thousand out for a
# second and put them back behind the others, so that in the end each has been used. With the kernel all must lie in what
# it knows as packet memory, or it takes them and gives nothing back: docs/bugs.md, "A flood that an AF_XDP port never
# recovered from".
uses_all_buffers() {
  configure net_af_xdp0,iface=eth1 steer
  start
  offer && eventually all_come_back || return 1
  for _ in $(seq 14); do
    send fragments 1000
    sleep 1.2
  done
  all_come_back
}
send() {  # syns|fragments count: from as many sources
  ip netns exec "$client" /usr/bin/python3 - "$1" "$2" <<'PYTHON'
import random, socket, struct, sys, time
kind, count = sys.argv[1], int(sys.argv[2])
identification = random.randrange(1, 65536)
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
vip = socket.inet_aton("203.0.113.10")
offset, payload = (3, bytes(16)) if kind == "fragments" else (0, struct.pack("!HHIIBBHHH", 1000, 80, 0, 0, 0x50, 2, 0, 0, 0))
for i in range(count):
    source = socket.inet_aton("198.18.0.0")[:2] + struct.pack("!H", i + 1)
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), identification, offset, 64, 6, 0, source, vip)
    raw.sendto(header + payload, ("203.0.113.10", 0))
    if i % 20 == 0:
        time.sleep(0.001)
PYTHON
}
all_come_back() {  # a thousand, encapsulated; c1 also sees ARP
  local before
  before=$(come_back)
  send syns 1000
  sleep 0.2
  echo "$(($(come_back) - before)) of 1000 came back"
  [ $(($(come_back) - before)) -ge 1000 ]
}
come_back() { ip netns exec "$client" cat /sys/class/net/c1/statistics/rx_packets; }

left_alone() {
  ! ip -n "$lb" link show eth1 | grep -q xdp
}

make_lab
make_pcap

check 'pcap: packets go through with --wait-for-tables' over_pcap none
check 'pcap: SIGTERM ends it with 0' stop
check 'pcap: 100 packets left encapsulated' test "$(packets_in "$dir/out.pcap" 'ip proto 4')" -eq 100
check 'pcap: received 120' counted rx_packets 120
check 'pcap: sent 100' counted tx_packets 100
check 'pcap: 20 for the kernel have no way there' counted drop_no_kernel_path 20

check 'pcap as kernel path: packets go through' over_pcap "net_pcap1,rx_pcap=$dir/in.pcap,tx_pcap=$dir/kernel.pcap"
check 'pcap as kernel path: SIGTERM ends it with 0' stop
check 'pcap as kernel path: 20 for the kernel' test "$(packets_in "$dir/kernel.pcap" 'dst 10.9.0.2')" -eq 20
check 'pcap as kernel path: to_kernel counted' counted to_kernel_packets 20
check 'pcap as kernel path: from_kernel counted' counted from_kernel_packets 120
check 'pcap as kernel path: the kernel'\''s packets left' counted from_kernel_tx_packets 120

check 'two workers: packets go through' over_two_workers
check 'two workers: ICMP errors reach the backend that the other worker gave their flow' errors_follow_flows

check 'AF_PACKET: ping and VIP' serves_over net_af_packet0,iface=eth1 copy 10.9.0.2
check 'AF_PACKET: a second data plane on the interface is refused, the first goes on' refuses_the_interface
check 'AF_PACKET: a link that is lost is noticed, and that it is back' notices_a_lost_link
end_offer
check 'AF_PACKET: SIGTERM ends it with 0' stop

check 'AF_PACKET: ping and VIP with framesz=4096' serves_over net_af_packet0,iface=eth1,framesz=4096 copy 10.9.0.2
end_offer
check 'AF_PACKET: SIGTERM ends it with 0 after that, too' stop
check 'AF_PACKET: long frames with framesz=8192' serves_long_frames net_af_packet0,iface=eth1,framesz=8192,blocksz=8192
end_offer
check 'AF_PACKET: SIGTERM ends it with 0 after long frames' stop
ip -n "$client" link set c1 mtu 1500
ip -n "$lb" link set eth1 mtu 1500

check 'AF_XDP: ping and VIP' serves_over net_af_xdp0,iface=eth1 steer 10.9.0.2
check 'SIGHUP ends nothing' sighup_ends_nothing
check 'a second data plane is refused' refuses 'another data plane'
check 'AF_XDP: a second data plane on the interface is refused, the first goes on' refuses_the_interface
kill -9 "$started"
wait "$started" 2>/dev/null
end_offer
check 'AF_XDP: ping and VIP after kill -9' serves_over net_af_xdp0,iface=eth1 steer 10.9.0.2
end_offer
check 'AF_XDP: packets for the kernel never came to us' counted drop_no_kernel_path 0
check 'AF_XDP: SIGTERM ends it with 0' stop
check 'AF_XDP: the interface is left without a program' left_alone

check 'AF_XDP: uses all its buffers' uses_all_buffers
end_offer
check 'AF_XDP: the fragments that used them timed out' counted drop_fragment_timeout 14000
check 'AF_XDP: SIGTERM ends it with 0 after that, too' stop

ip -n "$client" route add 10.9.1.0/24 dev c1
check 'AF_XDP with TAP: ping and VIP' serves_over net_af_xdp0,iface=eth1 net_tap0,iface=gw0 10.9.1.2 gw0
end_offer
check 'AF_XDP with TAP: SIGTERM ends it with 0' stop

configure net_af_packet0,iface=eth9
check 'refused: no such interface' refuses 'no network interface "eth9"'
configure net_af_xdp0,iface=eth1 auto '[0, 1]'
check 'refused: fewer queues than workers' refuses 'has 1 receive queues, and there are 2 workers'
configure net_pcap0,rx_pcap="$dir/in.pcap" none '[0, 1]'
check 'refused: device without enough queues' refuses 'queue pairs, but there are 2 workers'
configure net_null0 auto '[900]'
check 'refused: no such core' refuses 'core 900 of dataplane.worker_cores'
configure net_nothing0
check 'refused: no such driver' refuses 'device "net_nothing0" cannot be opened'
configure 0000:ff:1f.7
check 'refused: no such PCI device' refuses 'device "0000:ff:1f.7" cannot be opened'
configure net_af_packet0,iface=eth1 steer
check 'refused: a kernel path that the device cannot do' refuses 'works with net_af_xdp devices only'
configure net_null0 auto '[1]' 64MiB
sed -i 's/hugepages = "off"/hugepages = "on"\nrx_descriptors = 32768/' "$dir/guideway.toml"
check 'refused: no hugepages' refuses 'hugepages = "on", but only'
sed -i 's/hugepages = "on"/hugepages = "off"/' "$dir/guideway.toml"
check 'refused: too little memory' refuses 'raise dataplane.memory'

echo "1..$number"
