#!/usr/bin/env bash
# deploy/demo.sh as a newcomer runs it, --keep, --clean and Ctrl-C; and the machine's own network before, during, after.
# demo_test.sh BUILD_DIR
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
demo=$e2e/../../deploy/demo.sh
export BUILD=$LAB_BUILD

# Lifetimes of addresses and routes count down by themselves.
machine_network() {
  {
    ip -details link
    ip -details address
    ip -details route show table all
    ip -details -6 route show table all
    ip rule
    ip -6 rule
    ip netns list
    nft list ruleset
    sysctl -a 2>/dev/null | grep -E '^net\.ipv[46]\.(conf|ip_forward)'
    cat /proc/mounts
  } | sed -E 's/(valid_lft|preferred_lft|expires) [0-9]+sec//g'
}
network_is_as_before() { diff "$work/network" <(machine_network) || fail "the machine's own network changed"; }

the_demo_passes_and_keeps_its_lab() {
  timeout 120 "$demo" --keep
}
the_network_is_untouched_while_the_lab_runs() { network_is_as_before; }
a_kept_lab_answers_guidewayctl() {
  "$e2e/../../deploy/lab/enter" lb guidewayctl status
  [ -n "$("$e2e/../../deploy/lab/enter" client curl -s --max-time 2 "http://$LAB_VIP4/")" ]
}
a_second_demo_says_that_the_lab_is_there() {
  ! "$demo" 2>&1 | tee "$work/second.out" || fail "it should not succeed"
  grep -q 'demo.sh --clean' "$work/second.out"
}
clean_removes_everything() {
  local pids
  pids=$(cat "$LAB_DIR"/*/pid)
  "$demo" --clean
  [ ! -e "$LAB_DIR" ]
  local pid
  for pid in $pids; do lab_wait 2 test ! -e "/proc/$pid" || fail "process $pid is still there"; done
}
an_interrupted_demo_cleans_up() {
  local pid
  setsid "$demo" &
  pid=$!
  lab_wait 30 test -s "$LAB_DIR/lb/run/dataplane.pid"
  kill -TERM "$pid"
  lab_wait 10 test ! -e "$LAB_DIR" || fail "$LAB_DIR is still there"
}
a_wrong_option_is_answered_with_the_usage() {
  ! "$demo" --kep 2>"$work/usage.out" || fail "it should not succeed"
  grep -q -- --keep "$work/usage.out"
}
the_network_is_untouched_afterwards() { network_is_as_before; }

machine_network >"$work/network"
cases the_demo_passes_and_keeps_its_lab the_network_is_untouched_while_the_lab_runs a_kept_lab_answers_guidewayctl \
  a_second_demo_says_that_the_lab_is_there clean_removes_everything an_interrupted_demo_cleans_up \
  a_wrong_option_is_answered_with_the_usage the_network_is_untouched_afterwards
