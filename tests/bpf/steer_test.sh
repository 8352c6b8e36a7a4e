#!/usr/bin/env bash
# Steering with a real DPDK port: packets for VIPs reach the AF_XDP socket, all others the kernel.
#
#   gwt-…-client  client 192.0.2.1 ──veth── lb 192.0.2.2  gwt-…-lb
#                        2001:db8::1               2001:db8::2
#
# The data plane's part is played by dpdk-testpmd in its icmpecho mode: it answers pings to any address it sees, so a
# ping to a VIP that the kernel does not know is answered only through the socket.
#
# usage: steer_test.sh XSK_STEER_OBJECT STEER_VIPS_PROGRAM PUSH_TAG_OBJECT TAGGED_PING_SCRIPT
set -euo pipefail
object=$1
steer_vips=$2
push_tag=$3
tagged_ping=$4
client=gwt-steer-client-$$
lb=gwt-steer-lb-$$
work=$(mktemp -d)
testpmd=
cleanup() {
  [ -z "$testpmd" ] || kill -9 "$testpmd" 2>/dev/null || true
  ip netns del "$client" 2>/dev/null || true
  ip netns del "$lb" 2>/dev/null || true
  rm -rf "$work" "/run/dpdk/gwt-steer-$$"
}
trap cleanup EXIT

checks=0
check() {  # check NAME COMMAND …
  local name=$1
  shift
  checks=$((checks + 1))
  if "$@" >"$work/out" 2>&1; then
    echo "ok $checks - $name"
  else
    echo "not ok $checks - $name"
    sed 's/^/# /' "$work/out"
  fi
}
not() { ! "$@"; }
from_client() { ip netns exec "$client" "$@"; }
on_lb() { ip netns exec "$lb" "$@"; }
answers() { from_client ping -c 2 -i 0.2 -W 1 "$1"; }
says() {  # says TEXT COMMAND …: the command's output contains TEXT
  local text=$1
  shift
  "$@" >"$work/said" 2>&1 || true
  cat "$work/said"
  grep -qF -- "$text" "$work/said"
}
counter() { on_lb "$steer_vips" lb counters | grep -oP "(?<=$1 )\d+"; }
grows() {  # grows COUNTER COMMAND …
  local name=$1 before
  shift
  before=$(counter "$name")
  "$@" || true
  echo "$name was $before, is $(counter "$name")"
  [ "$(counter "$name")" -gt "$before" ]
}
tagged_ping() {  # tagged_ping VIP [TYPE:ID …]
  local vip=$1
  shift
  from_client /usr/bin/python3 "$tagged_ping" client "$lb_mac" 192.0.2.1 "$vip" "$@"
}
put_tags_aside() { from_client tc qdisc add dev client clsact && from_client tc filter add dev client egress bpf da obj "$push_tag" sec tc; }
leave_tags_alone() { from_client tc qdisc del dev client clsact; }
attach_alone() {  # attach_alone xdpgeneric|xdpdrv: without a data plane, so that what is for a VIP counts as unbound
  on_lb ip link set lb "$1" obj "$object" sec xdp && on_lb "$steer_vips" lb set 203.0.113.11
}
start_testpmd() {
  ip netns exec "$lb" dpdk-testpmd --no-huge -m 128 --no-pci -l 0,1 --file-prefix="gwt-steer-$$" --log-level=lib.eal:warning \
    --vdev="net_af_xdp0,iface=lb,xdp_prog=$object" -- --total-num-mbufs=16384 --forward-mode=icmpecho --auto-start --stats-period=60 \
    >"$work/testpmd" 2>&1 </dev/null &
  testpmd=$!
  for _ in $(seq 100); do
    on_lb "$steer_vips" lb counters >/dev/null 2>&1 && return
    kill -0 "$testpmd" 2>/dev/null || break
    sleep 0.1
  done
  echo "Bail out! dpdk-testpmd did not come up"
  sed 's/^/# /' "$work/testpmd"
  exit 1
}

ip netns add "$client"
ip netns add "$lb"
ip -n "$client" link add client type veth peer name lb netns "$lb"
ip -n "$client" address add 192.0.2.1/24 dev client
ip -n "$client" address add 2001:db8::1/64 dev client nodad
ip -n "$lb" address add 192.0.2.2/24 dev lb
ip -n "$lb" address add 2001:db8::2/64 dev lb nodad
for side in client lb; do
  namespace=gwt-steer-$side-$$
  ip netns exec "$namespace" ethtool -K $side tx off >/dev/null 2>&1
  ip -n "$namespace" link set lo up
  ip -n "$namespace" link set $side up
done
lb_mac=$(on_lb cat /sys/class/net/lb/address)
ip -n "$client" route add 203.0.113.0/24 via 192.0.2.2
ip -n "$client" route add 2001:db8:1::/64 via 2001:db8::2

check "without a program the error names the interface and the fix" \
  says 'no XDP program on lb; the port must be configured' on_lb "$steer_vips" lb counters
check "without an interface the error says so" says 'no network interface "nosuch"' on_lb "$steer_vips" nosuch counters

start_testpmd
check "with no VIP the kernel answers for itself" answers 192.0.2.2
check "with no VIP nobody answers for one" not answers 203.0.113.10
on_lb "$steer_vips" lb set 203.0.113.10 203.0.113.11 2001:db8:1::10
check "an IPv4 VIP is answered through the socket" answers 203.0.113.10
check "another IPv4 VIP too" answers 203.0.113.11
check "packets to an IPv6 VIP are steered" grows steered answers 2001:db8:1::10
check "an address that is no VIP is not steered" not grows steered answers 203.0.113.12
check "packets that are not steered are counted as passed" grows passed answers 203.0.113.12
check "the kernel still answers IPv4" answers 192.0.2.2
check "the kernel still answers IPv6" answers 2001:db8::2
on_lb "$steer_vips" lb set 203.0.113.11
check "a VIP that was removed is no longer steered" not grows steered answers 203.0.113.10
check "a VIP that stayed is still answered" answers 203.0.113.11
on_lb "$steer_vips" lb set 203.0.113.11 203.0.113.64/27 2001:db8:1::/64
check "an address in a VIP's prefix is answered through the socket" answers 203.0.113.95
check "an address behind it is not steered" not grows steered answers 203.0.113.96
check "packets into an IPv6 VIP's prefix are steered" grows steered answers 2001:db8:1::ffff

check "a frame with a tag is answered through the socket, with its tag" \
  says 'answer with tags [7]' tagged_ping 203.0.113.11 0x8100:7
check "a frame with two tags is steered" grows steered tagged_ping 203.0.113.11 0x88a8:5 0x8100:7
check "a frame with three tags is the kernel's" grows passed tagged_ping 203.0.113.11 0x88a8:5 0x8100:7 0x8100:8
check "a frame with a tag to no VIP is the kernel's" grows passed tagged_ping 203.0.113.12 0x8100:7
put_tags_aside
check "a tag that is beside the frame is lost to the socket" says 'answer with tags []' tagged_ping 203.0.113.11
from_client ethtool -K client txvlan off >/dev/null
check "with that offload off it is in the frame, and kept" says 'answer with tags [7]' tagged_ping 203.0.113.11
from_client ethtool -K client txvlan on >/dev/null
leave_tags_alone

kill -9 "$testpmd"
wait "$testpmd" 2>/dev/null || true
check "after the data plane is killed its VIPs fall to the kernel, counted" grows unbound answers 203.0.113.11
check "what it left on the interface is removed" says removed on_lb "$steer_vips" lb remove
start_testpmd
on_lb "$steer_vips" lb set 203.0.113.11
check "a new data plane serves the VIP again" answers 203.0.113.11

kill "$testpmd"
wait "$testpmd" 2>/dev/null || true
on_lb ip link set lb xdp off
for mode in xdpgeneric xdpdrv; do
  check "$mode: the program is taken" attach_alone $mode
  check "$mode: a packet to a VIP is told" grows unbound tagged_ping 203.0.113.11
  check "$mode: a packet to no VIP is not" grows passed tagged_ping 203.0.113.12
  check "$mode: a packet to a VIP behind a tag is told" grows unbound tagged_ping 203.0.113.11 0x8100:7
  check "$mode: a packet to a VIP behind two tags is told" grows unbound tagged_ping 203.0.113.11 0x88a8:5 0x8100:7
  check "$mode: a packet to no VIP behind two tags is not" grows passed tagged_ping 203.0.113.12 0x88a8:5 0x8100:7
  put_tags_aside
  check "$mode: a packet to a VIP with a tag beside the frame is told" grows unbound tagged_ping 203.0.113.11
  check "$mode: a packet to a VIP with a tag beside the frame and one in it is told" grows unbound tagged_ping 203.0.113.11 0x8100:9
  leave_tags_alone
  on_lb ip link set lb $mode off
done
echo "1..$checks"
