# shellcheck shell=bash disable=SC2154  # set by what is sourced before
# The continuity lab: a router that spreads connections over several load balancers, as Linux does it, and backends that
# answer directly. To be sourced after tests/e2e/lib.sh, whose hosts, daemons and cases it uses.
#
#                 10.1.0.0/16               203.0.113.10, 2001:db8:1::10: multipath over the LBs, hash of addresses and ports
#   client ─────────────────────── router ── br0, 10.2.0.0/16, fd00:2::/64, MTU 1600
#     .0.2                   .0.1           .255.1 │
#     .1.1 … .1.8: sources         ┌───────────────┼───────────────┬───────────┬──────────── … ──┐
#     fd00:1::1:1 … ::1:8        lb1             lb2 …           lbN          b1                b10
#                              10.2.0.1        10.2.0.2        10.2.0.N     10.2.1.1         10.2.1.10
#                              guideway-dataplane (AF_XDP), -controlplane   token_server, XDP decapsulation, VIPs on lo
#
#   token:  client → router → one of the LBs → (encapsulated) → b3        answer:  b3 → router → client
#
# Routes to VIPs are the test's: it withdraws an LB as BGP would, by replacing them.

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
tools=$LAB_BUILD/tests/continuity

LBS=${CONTINUITY_LBS:-3}
BACKENDS=10
SOURCES=8
PORT=80
HEALTH_PORT=81
# shellcheck disable=SC2034  # lab_down's list
LAB_HOSTS=(client router)
lbs=() backends=()
for ((i = 1; i <= LBS; i++)); do lbs+=("lb$i"); done
for ((i = 1; i <= BACKENDS; i++)); do backends+=("b$i"); done
LAB_HOSTS+=("${lbs[@]}" "${backends[@]}")

# What runs now; events change it and call reload.
ENCAP=gue
PROBATION_TIMEOUT=30s
FAIL_OPEN_BELOW=0
DEVICE=net_af_xdp0,iface=eth0
declare -A WORKERS=() # of an LB; one that is not named: 1
WEIGHT=() # of backend N; none: it is not in the pool
for ((i = 1; i <= BACKENDS; i++)); do WEIGHT[i]=2; done

each() { # each HOSTS-ARRAY-NAME COMMAND…: COMMAND HOST, for each at once; all must succeed
  local -n each_hosts=$1
  local host pid pids=()
  for host in "${each_hosts[@]}"; do
    "${@:2}" "$host" &
    pids+=($!)
  done
  for pid in "${pids[@]}"; do wait "$pid" || return 1; done
}

continuity_up() {
  local host
  lab_down
  for host in "${LAB_HOSTS[@]}"; do lab_host "$host" || return 1; done
  router_up
  client_up
  for host in "${lbs[@]}" "${backends[@]}"; do segment_join "$host"; done
  each backends backend_up || return 1
  (umask 077 && od -An -N16 -tx1 /dev/urandom | tr -d ' ' >"$work/flow_hash.key")
  for host in "${lbs[@]}"; do cp "$work/flow_hash.key" "$LAB_DIR/$host/run/flow_hash.key"; done
  count_resets
  route_over "${lbs[@]}"
}

router_up() {
  lab_exec router sh -ec '
    sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 \
      net.ipv4.fib_multipath_hash_policy=1 net.ipv6.fib_multipath_hash_policy=1 \
      net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.default.send_redirects=0
    ip link add br0 type bridge mcast_snooping 0
    ip link set br0 mtu 1600 up
    ip address add 10.2.255.1/16 dev br0
    ip address add fd00:2::ff:1/64 dev br0 nodad
    ip route add blackhole 198.18.0.0/15'
}

# Ports are taken from all there are. Between namespaces a packet keeps the hash of its socket, and the router takes that
# for its own; without txrehash=0 the client would change it with each retransmission and so walk from LB to LB.
client_up() {
  ip link add name eth0 netns "$(<"$LAB_DIR/client/pid")" type veth peer name client netns "$(<"$LAB_DIR/router/pid")"
  lab_interface router client 10.1.0.1/16 fd00:1::1/64 1500
  lab_interface client eth0 10.1.0.2/16 fd00:1::2/64 1500
  # shellcheck disable=SC2016  # expanded on the host
  lab_exec client sh -ec '
    sysctl -qw net.ipv4.ip_local_port_range="2000 65000" net.core.txrehash=0
    for i in $(seq "$1"); do
      ip address add 10.1.1.$i/16 dev eth0
      ip address add fd00:1::1:$i/64 dev eth0 nodad
    done
    ip route add default via 10.1.0.1
    ip -6 route add default via fd00:1::1' - "$SOURCES"
}

number_of() { echo "${1//[a-z]/}"; }

segment_join() {
  local host=$1 number
  number=$(number_of "$1")
  ip link add name eth0 netns "$(<"$LAB_DIR/$host/pid")" type veth peer name "$host" netns "$(<"$LAB_DIR/router/pid")"
  lab_exec router ethtool -K "$host" tx off rx off tso off gso off gro off >/dev/null
  lab_exec router ip link set "$host" mtu 1600 master br0 up
  case $host in
    lb*) lab_interface "$host" eth0 "10.2.0.$number/16" "fd00:2::$number/64" 1600 ;;
    *) lab_interface "$host" eth0 "10.2.1.$number/16" "fd00:2::1:$number/64" 1600 ;;
  esac
  lab_exec "$host" ip route add default via 10.2.255.1
  lab_exec "$host" ip -6 route add default via fd00:2::ff:1
}

# The VIP is on the segment's hosts many times: nobody may ask or answer for it there. Hops are reached over the router,
# whose address every backend has resolved at all times; forwarding on lo is what lends XDP the kernel's routes. In native
# mode a veth takes from XDP only what goes to a peer with a program of its own (docs/backend.md).
backend_up() {
  # shellcheck disable=SC2016  # expanded on the host
  lab_exec "$1" sh -ec '
    sysctl -qw net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2 net.core.somaxconn=4096 \
      net.ipv4.tcp_max_syn_backlog=4096 net.ipv4.conf.lo.forwarding=1 net.ipv6.conf.lo.forwarding=1
    ip route add 10.2.1.0/24 via 10.2.255.1
    ip -6 route add fd00:2::1:0/112 via fd00:2::ff:1
    ip address add "$1/32" dev lo
    ip address add "$2/128" dev lo nodad' - "$LAB_VIP4" "$LAB_VIP6"
  lab_exec "$1" "$LAB_BUILD/bpf/guideway-backend" attach eth0 --mode generic --source 10.2.0.0/24 >>"$LAB_DIR/$1/run/backend.log" 2>&1
  count_other_resets "$1"
  server_start "$1"
}

# A backend without its server also refuses health checks.
count_other_resets() {
  lab_exec "$1" nft -f - <<END
table inet continuity {
  counter other_resets { }
  chain to_others {
    type filter hook output priority raw;
    tcp flags & rst == rst ip saddr != $LAB_VIP4 counter name other_resets
    tcp flags & rst == rst ip6 saddr != $LAB_VIP6 counter name other_resets
  }
}
END
}

server_start() { lab_start "$1" server "$tools/token_server" "$(number_of "$1")" $PORT $HEALTH_PORT; }

# route_over LB…: the router knows these LBs, as if they alone announced the VIPs.
route_over() {
  local lb via4=() via6=()
  for lb in "$@"; do
    via4+=(nexthop via "10.2.0.$(number_of "$lb")")
    via6+=(nexthop via "fd00:2::$(number_of "$lb")")
  done
  lab_exec router ip route replace "$LAB_VIP4/32" "${via4[@]}"
  lab_exec router ip -6 route replace "$LAB_VIP6/128" "${via6[@]}"
}

# What the router sees of resets from VIPs: how many, and to which of the client's ports.
count_resets() {
  lab_exec router nft -f - <<END
table inet continuity {
  counter resets { }
  set flows4 { type ipv4_addr . inet_service; flags dynamic; size 1000000; }
  set flows6 { type ipv6_addr . inet_service; flags dynamic; size 1000000; }
  chain from_backends {
    type filter hook prerouting priority raw;
    iifname != "br0" accept
    tcp sport != $PORT accept
    tcp flags & rst == 0 accept
    ip saddr $LAB_VIP4 counter name resets
    ip6 saddr $LAB_VIP6 counter name resets
    ip saddr $LAB_VIP4 ip daddr 10.1.0.0/16 add @flows4 { ip daddr . tcp dport }
    ip6 saddr $LAB_VIP6 add @flows6 { ip6 daddr . tcp dport }
  }
}
END
}

config_of() {
  local core=$(($(number_of "$1") % 2)) number separator=
  local cores=$core
  [ "${WORKERS[$1]:-1}" -eq 1 ] || cores="0, 1"
  sed -e "s/WORKER_CORES/$cores/" -e "s/MAIN_CORE/$((1 - core))/" -e "s/DEVICE/$DEVICE/" \
    -e "s/PROBATION_TIMEOUT/$PROBATION_TIMEOUT/" "$here/guideway.toml"
  printf '\n[pool.web]\nencap = "%s"\nsecond_chance = %s\nhealth_check = "server"\nfail_open_below = %d\nbackends = [' \
    "$ENCAP" "$([ "$ENCAP" = gue ] && echo true || echo false)" "$FAIL_OPEN_BELOW"
  for number in "${!WEIGHT[@]}"; do
    printf '%s\n  { name = "b%d", address = "10.2.1.%d", weight = %d }' "$separator" "$number" "$number" "${WEIGHT[number]}"
    separator=,
  done
  printf '\n]\n'
}

dataplane_start() {
  lab_start "$1" dataplane "$LAB_BUILD/dataplane/guideway-dataplane" --config /run/guideway.toml
}
dataplane_restart() { # LB WORKERS: with so many
  WORKERS[$1]=$2
  config_of "$1" >"$LAB_DIR/$1/run/guideway.toml"
  lab_stop "$1" dataplane
  dataplane_start "$1"
  serves "$1"
}
controlplane_start() {
  lab_start "$1" controlplane "$LAB_BUILD/controlplane/guideway-controlplane" --config /run/guideway.toml
}
guideway_start() {
  mkdir -p "$LAB_DIR/$1/run/guideway/state"
  config_of "$1" >"$LAB_DIR/$1/run/guideway.toml"
  dataplane_start "$1"
  controlplane_start "$1"
  serves "$1"
}
# Whether the LB's workers use the tables that its control plane last published, which has seen all backends.
serves() { lab_wait 20 serves_now "$1" || fail "$1 does not serve: $(ctl "$1" status)"; }
serves_now() {
  ctl "$1" status --json | jq -e '.dataplane.connected and .generation.active == .generation.published
    and ([.pools[].backends[].state | . == "up" or . == "drained"] | all)' >/dev/null
}

ctl() { lab_exec "$1" "$LAB_BUILD/controlplane/ctl/guidewayctl" "${@:2}"; }
