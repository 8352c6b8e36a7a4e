# shellcheck shell=bash
# The lab: six hosts on one machine, for deploy/demo.sh and tests/e2e. To be sourced.
#
#                                 ┌──────────── router ────────────┐
#   client ── 10.1.0.0/24 ────────┤ BIRD, AS 65000                 ├──── 10.2.0.0/24 ──── lb
#     .2      fd00:1::/64      .1 │                                │ .1  fd00:2::/64  .2    BIRD, AS 65001
#             MTU 1500            │   .1          .1          .1   │     MTU 1600           guideway-dataplane
#                                 └────┬───────────┬───────────┬───┘                        guideway-controlplane
#                          10.11.0.0/24│10.12.0.0/24│10.13.0.0/24
#                          fd00:11::/64│fd00:12::/64│fd00:13::/64       MTU 1600: a client's full packet
#                                   .2 │        .2 │        .2 │        and its outer headers
#                                      b1          b2          b3
#                                nginx, XDP decapsulation, the VIPs on lo
#
#   request:  client → router → lb → (encapsulated) → router → b2          answer:  b2 → router → client
#   The router knows the VIPs, 203.0.113.10 and 2001:db8:1::10, only from BGP.
#
# A host is a process in its own network, mount, PID and UTS namespaces with its own /run: killing that process is
# killing the host and everything on it. The veth pairs are made between the namespaces, so the machine's own network
# never sees them, and labs of different names (LAB) do not see each other.
#
# Files: $LAB_DIR/HOST/pid is the host's first process, $LAB_DIR/HOST/run is its /run. A daemon NAME of a host has there
# NAME.pid (a PID on that host) and NAME.log.

# The build directory is the caller's LAB_BUILD, or build/ of this repository.

LAB=${LAB:-gw-demo}
LAB_KEEP=${LAB_KEEP:-} # if empty, the hosts die with the shell that called lab_up, however it ends
LAB_DIR=/run/guideway-lab/$LAB
LAB_HOSTS=(client router lb b1 b2 b3)
LAB_BACKENDS=(b1 b2 b3)
LAB_VIP4=203.0.113.10
LAB_VIP6=2001:db8:1::10
LAB_SOURCE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd) # where nginx.conf, guideway.toml … of the lab are
LAB_BUILD=${LAB_BUILD:-$LAB_SOURCE/../../build}

lab_exists() { lab_alive "${LAB_HOSTS[0]}"; }

# A host lives as long as its first process; the namespace tells it from a later process of the same PID.
lab_alive() {
  [ -s "$LAB_DIR/$1/pid" ] && [ "$(readlink "/proc/$(<"$LAB_DIR/$1/pid")/ns/net")" = "$(<"$LAB_DIR/$1/namespace")" ]
}

# lab_exec HOST COMMAND…: runs a command on a host of the lab.
lab_exec() {
  local pid
  pid=$(<"$LAB_DIR/$1/pid")
  nsenter --target "$pid" --net --mount --pid --uts -- "${@:2}"
}

# lab_start HOST NAME COMMAND…: starts a daemon that stays in the foreground.
lab_start() {
  local host=$1 name=$2
  rm -f "$LAB_DIR/$host/run/$name.pid"
  # shellcheck disable=SC2016  # expanded on the host
  setsid nsenter --target "$(<"$LAB_DIR/$host/pid")" --net --mount --pid --uts -- \
    sh -c 'echo $$ >"/run/$0.pid"; exec "$@" >>"/run/$0.log" 2>&1' "$name" "${@:3}" </dev/null &>/dev/null &
  disown
  lab_wait 5 test -s "$LAB_DIR/$host/run/$name.pid"
}

lab_pid() { cat "$LAB_DIR/$1/run/$2.pid" 2>/dev/null; }
lab_running() { [ -n "$(lab_pid "$1" "$2")" ] && lab_exec "$1" kill -0 "$(lab_pid "$1" "$2")" 2>/dev/null; }
lab_stopped() { ! lab_running "$1" "$2"; }

# lab_signal HOST NAME SIGNAL; lab_stop also waits until the daemon is gone.
lab_signal() { lab_exec "$1" kill "-$3" "$(lab_pid "$1" "$2")"; }
lab_stop() {
  lab_running "$1" "$2" && lab_signal "$1" "$2" "${3:-TERM}" && lab_wait 10 lab_stopped "$1" "$2"
  rm -f "$LAB_DIR/$1/run/$2.pid"
}

# lab_wait SECONDS COMMAND…: until it succeeds; fails when it did not in time.
lab_wait() {
  local deadline=$((${EPOCHREALTIME/./} + $1 * 1000000))
  until "${@:2}" >/dev/null 2>&1; do
    [ "${EPOCHREALTIME/./}" -lt $deadline ] || return 1
    sleep 0.02
  done
}

# The hosts and the wires between them; no daemon runs yet.
lab_up() {
  if lab_exists; then
    echo "The lab '$LAB' is already there. Remove it with: sudo deploy/demo.sh --clean" >&2
    return 1
  fi
  lab_down
  local host
  for host in "${LAB_HOSTS[@]}"; do lab_host "$host" || return 1; done
  lab_wire client 1 1500
  lab_wire lb 2 1600
  for host in "${LAB_BACKENDS[@]}"; do
    lab_wire "$host" "1${host#b}" 1600
    lab_exec "$host" ip address add "$LAB_VIP4/32" dev lo
    lab_exec "$host" ip address add "$LAB_VIP6/128" dev lo nodad
  done
  lab_exec router sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
}

lab_host() {
  local dir=$LAB_DIR/$1 holder leash=(setpriv --pdeathsig KILL --)
  [ -z "$LAB_KEEP" ] || leash=()
  mkdir -p "$dir/run"
  # shellcheck disable=SC2016  # expanded on the host
  setsid "${leash[@]}" unshare --net --mount --pid --uts --fork --kill-child --mount-proc --propagation private -- sh -euc '
    hostname "$1"
    mount -t sysfs sysfs /sys
    mount -t bpf bpf /sys/fs/bpf
    mount --bind "$0/run" /run
    ip link set lo up
    # Answers leave over another way than requests came; addresses are usable at once; queues are not shared by offloads.
    sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0 \
      net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0
    : >/run/ready
    exec sleep infinity' "$dir" "$1" </dev/null &>"$dir/host.log" &
  holder=$!
  disown
  if ! lab_wait 5 test -e "$dir/run/ready"; then
    echo "Cannot make the lab's host '$1': $(cat "$dir/host.log")" >&2
    return 1
  fi
  tr -d ' ' <"/proc/$holder/task/$holder/children" >"$dir/pid"
  readlink "/proc/$(<"$dir/pid")/ns/net" >"$dir/namespace"
}

# lab_wire HOST NET MTU: the host's eth0 to the router, which calls its end after the host. The router is .1, the host .2.
lab_wire() {
  local host=$1 net=$2 mtu=$3
  ip link add name eth0 netns "$(<"$LAB_DIR/$host/pid")" type veth \
    peer name "$host" netns "$(<"$LAB_DIR/router/pid")"
  lab_interface router "$host" "10.$net.0.1/24" "fd00:$net::1/64" "$mtu"
  lab_interface "$host" eth0 "10.$net.0.2/24" "fd00:$net::2/64" "$mtu"
  lab_exec "$host" ip route add default via "10.$net.0.1"
  lab_exec "$host" ip -6 route add default via "fd00:$net::1"
}

# A veth hands over packets with unfinished checksums and several segments in one; a real wire does not.
lab_interface() {
  lab_exec "$1" ethtool -K "$2" tx off rx off tso off gso off gro off >/dev/null
  lab_exec "$1" ip link set "$2" mtu "$5" up
  lab_exec "$1" ip address add "$3" dev "$2"
  lab_exec "$1" ip address add "$4" dev "$2" nodad
}

# Removes every trace of the lab; says nothing if there is none.
lab_down() {
  local host
  for host in "${LAB_HOSTS[@]}"; do
    ! lab_alive "$host" || kill -KILL "$(<"$LAB_DIR/$host/pid")"
  done
  rm -rf "$LAB_DIR"
  rmdir --ignore-fail-on-non-empty "${LAB_DIR%/*}" 2>/dev/null || true
}

# BIRD on the router and on the LB host. The LB host's is deploy/bird.conf with the lab's addresses.
lab_start_routing() {
  sed -e 's|^router id .*|router id 10.2.0.2;|' -e 's|^define ROUTER1 .*|define ROUTER1 = 10.2.0.1;|' \
    -e 's|^define LOCAL4 .*|define LOCAL4 = 10.2.0.2;|' -e 's|^define LOCAL6 .*|define LOCAL6 = fd00:2::2;|' \
    -e 's|^log syslog .*|log "/run/bird.messages" all;|' "$LAB_SOURCE/../bird.conf" >"$LAB_DIR/lb/run/bird.conf"
  cp "$LAB_SOURCE/bird-router.conf" "$LAB_DIR/router/run/bird.conf"
  local host
  for host in router lb; do
    lab_start "$host" bird bird -f -c /run/bird.conf -s /run/bird.ctl -P /run/bird.own.pid || return 1
    lab_wait 5 lab_exec "$host" birdc -s /run/bird.ctl show status || return 1
  done
}

lab_start_nginx() {
  lab_start "$1" nginx nginx -c "$LAB_SOURCE/nginx.conf" -e /run/nginx-error.log
  lab_wait 5 lab_exec "$1" curl -so /dev/null http://127.0.0.1/healthz
}

# nginx and the decapsulation of what comes from the LB host.
lab_start_backends() {
  local host
  for host in "${LAB_BACKENDS[@]}"; do
    lab_start_nginx "$host" || return 1
    lab_exec "$host" "$LAB_BUILD/bpf/guideway-backend" attach eth0 \
      --source 10.2.0.2/32 --source fd00:2::2/128 >>"$LAB_DIR/$host/run/guideway-backend.log" 2>&1 || return 1
  done
}

# Both programs run with /run/guideway.toml of the LB host, which is the lab's at first.
lab_start_dataplane() {
  lab_start lb dataplane "$LAB_BUILD/dataplane/guideway-dataplane" --config /run/guideway.toml
}
lab_start_controlplane() {
  lab_start lb controlplane "$LAB_BUILD/controlplane/guideway-controlplane" --config /run/guideway.toml
}
lab_start_guideway() {
  mkdir -p "$LAB_DIR/lb/run/guideway/state"
  [ -e "$LAB_DIR/lb/run/flow_hash.key" ] ||
    (umask 077 && od -An -N16 -tx1 /dev/urandom | tr -d ' ' >"$LAB_DIR/lb/run/flow_hash.key")
  [ -e "$LAB_DIR/lb/run/guideway.toml" ] || cp "$LAB_SOURCE/guideway.toml" "$LAB_DIR/lb/run/guideway.toml"
  lab_start_dataplane && lab_start_controlplane
}

# guidewayctl on the LB host.
lab_ctl() { lab_exec lb "$LAB_BUILD/controlplane/ctl/guidewayctl" "$@"; }

# Whether the router has a route to the VIP, learned by BGP.
lab_routed() {
  local family=inet
  [[ $1 != *:* ]] || family=inet6
  lab_exec router ip -family $family route show proto bird exact "$1" | grep -q .
}
lab_unrouted() { ! lab_routed "$1"; }

# lab_load LOG ADDRESS… [OPTIONS]: requests from the client, see load.py; LOG is a file on this machine.
lab_load() { lab_exec client "$LAB_SOURCE/load.py" --log "$@"; }
# The same in the background, from lab_load_begin to lab_load_end, which prints the JSON.
lab_load_begin() {
  rm -f "$LAB_DIR/client/run/load.log"
  lab_start client load "$LAB_SOURCE/load.py" --log "$@"
}
lab_load_end() {
  lab_stop client load
  cat "$LAB_DIR/client/run/load.log"
}

# What the health check needs at most to find a backend dead, in milliseconds: fall × (interval with jitter + timeout).
lab_detection_ms() {
  /usr/bin/python3 - "$LAB_DIR/lb/run/guideway.toml" <<'END'
import sys, tomllib
check = tomllib.load(open(sys.argv[1], "rb"))["health_check"]["http"]
interval_ms, timeout_ms = (int(check[key].removesuffix("ms")) for key in ("interval", "timeout"))
print(round(check["fall"] * (interval_ms * (1 + check["jitter"]) + timeout_ms)))
END
}
