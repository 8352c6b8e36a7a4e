#!/usr/bin/env bash
# No change breaks a connection: thousands of TCP connections of the kernel's, through everything an operator does and
# everything that dies. docs/continuity.md explains the method and the report.
#   continuity_test.sh BUILD_DIR
# CONTINUITY=quick: the controls and some events. CONTINUITY_CONNECTIONS=2000, CONTINUITY_LBS=3: the size.
# CONTINUITY_EVENTS="drain_1 ipip_drain_1": only these. CONTINUITY_REPORT=FILE gets the report.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=../e2e/lib.sh
. "$here/../e2e/lib.sh"
# shellcheck source=lab.sh
. "$here/lab.sh"
# shellcheck source=stand_in.sh
. "$here/stand_in.sh"
# shellcheck source=measure.sh
. "$here/measure.sh"

# How many connections an event may break, old and new, per mille of its population, by encapsulation; one that is not
# named: none.
declare -A COLLATERAL_MAX=(
  [ipip:lb_removed_in_the_middle_of_a_drain]=150 # flows that began after the drain on the LB that is lost
)

# Controls: the harness is void unless they come out so.

nothing_happens() {
  watch
  sleep 2
  judge
}

hash_mod_n_breaks_9_of_10() {
  ENCAP=none
  watch stand_in
  balance_over "${backends[@]:1}"
  witness
  is_about collateral 900
}

# A third of the connections meet a dead LB, and nobody tells the router.
a_dead_lb_that_is_not_withdrawn_stalls_its_share() {
  watch
  lab_signal lb1 dataplane KILL
  sleep 4
  witness
  is_about stalled $((1000 / LBS))
  [ "$(value failed_new)" -gt 0 ] || fail "new connections should fail, too: $(<"$work/client.json")"
}

# What an operator does.

add_1_of_10() {
  unset 'WEIGHT[10]'
  watch
  WEIGHT[10]=2
  reload
  judge
}

drain_1() {
  watch
  drain b1
  judge
}

drain_3_and_remove_them() {
  watch
  drain b1 b2 b3
  sleep 1
  server_dies b1 b2 b3
  remove b1 b2 b3
  judge
}

halve_5_weights() {
  watch
  for i in 1 2 3 4 5; do WEIGHT[i]=1; done
  reload
  judge
}

rolling_restart() {
  local backend
  watch
  for backend in "${backends[@]}"; do
    drain "$backend"
    sleep 0.5
    server_dies "$backend"
    remove "$backend"
    server_returns "$backend"
    bring_back "$backend"
    sleep 0.5
  done
  judge
}

reload_of_an_unchanged_file() {
  watch
  reload
  sleep 1
  judge
}

# What dies.

control_planes_killed() {
  watch
  each lbs controlplane_dies
  sleep 2
  each lbs controlplane_start
  each lbs serves
  judge
}

data_plane_killed_and_restarted() {
  watch
  lab_signal lb1 dataplane KILL
  route_over "${lbs[@]:1}"
  lab_wait 5 lab_stopped lb1 dataplane
  dataplane_start lb1
  serves lb1
  sleep 0.5
  route_over "${lbs[@]}"
  judge
}

# Workers meet other flows than before, and each must know what all of them knew. With IPIP nobody mends what an LB has
# forgotten. While the data plane is away the connections are quiet: what is lost meanwhile is not what this is about.
# With AF_PACKET the kernel spreads flows over any number of workers; DPDK's AF_XDP sees but one queue of a veth.
data_plane_restarted_with_2_workers_and_back_with_1() {
  ENCAP=ipip NEW_PER_SECOND=500 DEVICE=net_af_packet0,iface=eth0
  local known
  watch
  drain b1
  sleep 2
  quiet
  known=$(counter_of lb1 flows)
  [ "$known" -gt 20 ] || fail "only $known flows are known: $(all_counters)"
  dataplane_restart lb1 2
  took_over lb1 $((2 * known))
  loud
  sleep 2
  quiet
  both_workers_received lb1
  dataplane_restart lb1 1
  took_over lb1 $((known + 1))
  loud
  judge
}

# What is remembered must not go to others because the numbers of backends are given anew. There is nobody to mend it with
# IPIP; and the connections are quiet while nobody forwards.
both_programs_killed_after_a_backend_was_removed() {
  ENCAP=ipip NEW_PER_SECOND=500
  local lb
  watch
  drain b1
  server_dies b1
  remove b1
  drain b4
  sleep 2
  quiet
  for lb in "${lbs[@]}"; do
    controlplane_dies "$lb"
    lab_stop "$lb" dataplane KILL
    dataplane_start "$lb"
    controlplane_start "$lb"
  done
  each lbs serves
  loud
  judge
}

# The backends serve, but for some seconds no load balancer's checks reach them. With IPIP nobody mends what an LB gets
# wrong; slots must not move at all.
health_checks_of_all_backends_fail() {
  ENCAP=ipip FAIL_OPEN_BELOW=50
  watch
  each lbs checks_break
  each lbs holds_all_down
  sleep 3
  each lbs checks_work
  each lbs serves
  sleep 1
  each lbs moved_no_slot
  judge
}

lb_removed_and_returned() {
  watch
  route_over "${lbs[@]:1}"
  sleep 2
  route_over "${lbs[@]}"
  judge
}

# The router does not notice, and goes on sending. With second chance only: while a port of a bridge is down, what is for it
# comes to all others, and an LB that does not know it may answer by way of the wrong backend.
link_of_an_lb_down_for_a_second() {
  watch
  drain b1
  lab_exec router ip link set lb1 down
  sleep 1
  lab_exec router ip link set lb1 up
  sleep 2
  judge
}

# One that has seen nothing of the drain, with a copy of the state directory of one that has.
lb_joins_in_the_middle_of_a_drain() {
  NEW_PER_SECOND=500
  local newcomer=${lbs[-1]}
  watch
  lbs=("${lbs[@]::LBS-1}")
  route_over "${lbs[@]}"
  controlplane_dies "$newcomer"
  lab_stop "$newcomer" dataplane
  rm -rf "${LAB_DIR:?}/$newcomer/run/guideway"
  drain b1
  sleep 1
  mkdir "$LAB_DIR/$newcomer/run/guideway"
  cp -r "$LAB_DIR/lb1/run/guideway/state" "$LAB_DIR/$newcomer/run/guideway/state"
  guideway_start "$newcomer"
  lbs+=("$newcomer")
  route_over "${lbs[@]}"
  sleep 1
  judge
}

# New connections after the drain are known to the LB that is lost, old ones to those that remain.
lb_removed_in_the_middle_of_a_drain() {
  NEW_PER_SECOND=500
  watch
  drain b1
  sleep 1
  route_over "${lbs[@]:1}"
  sleep 1
  judge
}

that_under_a_syn_flood() {
  NEW_PER_SECOND=500
  watch
  lab_start client flood "$tools/syn_flood" "$LAB_VIP4" $PORT 5000
  sleep 1
  drain b1
  sleep 1
  route_over "${lbs[@]:1}"
  sleep 1
  lab_stop client flood
  judge
}

# Only SYNs to unsettled slots are remembered, so the drain comes first, and takes eight tenths of the slots. The
# connections are quiet until the tables are full. As long as all LBs are there, each has to be right by itself.
that_under_a_syn_flood_with_the_flow_table_full() {
  NEW_PER_SECOND=500 PROBATION_TIMEOUT=30m
  local evicted=() lb begun
  watch
  quiet
  drain "${backends[@]:0:8}"
  begun=$SECONDS
  lab_start client flood "$tools/syn_flood" "$LAB_VIP4" $PORT 100000
  each lbs fills_up
  echo "the flow tables were full after $((SECONDS - begun)) s"
  lab_stop client flood
  lab_start client flood "$tools/syn_flood" "$LAB_VIP4" $PORT 5000
  for lb in "${lbs[@]}"; do evicted+=("$(counter_of "$lb" flows_evicted)"); done
  loud
  sleep 2
  nobody_passed_on
  route_over "${lbs[@]:1}"
  sleep 2
  lab_stop client flood
  for ((i = 1; i < LBS; i++)); do
    is_full "${lbs[i]}"
    [ "$(counter_of "${lbs[i]}" flows_evicted)" -gt $((evicted[i] + 1000)) ] || fail "${lbs[i]} had room: $(all_counters)"
  done
  judge
}

# The steps.

quiet() {
  client open 0 0 >/dev/null
  client hush >/dev/null
  lab_wait 3 seen_is waiting 0 || fail "connections still wait: $(client_report)"
  sleep 1.1 # the counters are as old
}
loud() {
  client talk >/dev/null
  open_more
}

checks_break() {
  lab_exec "$1" nft "add table inet checks; add chain inet checks out { type filter hook output priority filter; };
    add rule inet checks out tcp dport $HEALTH_PORT drop"
}
checks_work() { lab_exec "$1" nft delete table inet checks; }
holds_all_down() { lab_wait 10 all_are_down "$1" || fail "$1 still believes in some: $(ctl "$1" status)"; }
all_are_down() { ctl "$1" status --json | jq -e '[.pools[].backends[].state == "down"] | all' >/dev/null; }
moved_no_slot() {
  ctl "$1" status --json | jq -e '[.pools[].unsettled_slots == 0] | all' >/dev/null || fail "$1 moved slots: $(ctl "$1" status)"
}

# took_over LB FLOWS: at least so many, when its data plane started last.
took_over() {
  local flows
  flows=$(grep -o 'took over [0-9]*' "$LAB_DIR/$1/run/dataplane.log" | tail -n 1)
  [ "${flows##* }" -ge "$2" ] || fail "$1 ${flows:-took over nothing}, but knew $2"
}
both_workers_received() {
  ctl "$1" status --json | jq -e '.dataplane.workers | length == 2 and (map(.rx_packets > 100) | all)' >/dev/null ||
    fail "not both workers received packets: $(ctl "$1" status --json | jq -c .dataplane.workers)"
}

PLACES=393216 # of the smallest flow table: 65,536 buckets of 6
fills_up() { lab_wait 240 is_full "$1" || fail "$1 has but $(counter_of "$1" flows) flows of $PLACES"; }
is_full() { [ $((100 * $(counter_of "$1" flows))) -ge $((97 * PLACES)) ]; }
counter_of() { ctl "$1" status --json | jq ".dataplane.counters[] | select(.name == \"$2\").value"; }

drain() { for_each_lb_and drain "$@"; }
undrain() { for_each_lb_and undrain "$@"; }
for_each_lb_and() {
  local backend
  for backend in "${@:2}"; do each lbs ctl_backend "$1" "$backend"; done
}
ctl_backend() { ctl "$3" "$1" "web/$2" >/dev/null; }

remove() {
  local backend
  for backend in "$@"; do unset "WEIGHT[$(number_of "$backend")]"; done
  reload
}
bring_back() {
  WEIGHT[$(number_of "$1")]=2
  reload
  undrain "$1"
}
reload() { each lbs reload_lb; }
reload_lb() {
  config_of "$1" >"$LAB_DIR/$1/run/guideway.toml"
  lab_exec "$1" curl -sSf -X POST --unix-socket /run/guideway/control.sock http://guideway/api/v1/reload >/dev/null
  serves "$1"
}

server_dies() {
  local backend
  for backend in "$@"; do
    client gone "$(number_of "$backend")" >/dev/null
    lab_stop "$backend" server KILL
  done
}
server_returns() {
  server_start "$1"
  client back "$(number_of "$1")" >/dev/null
}
controlplane_dies() { lab_stop "$1" controlplane KILL; }

# The same with IPIP, which can take no hops along.
for event in add_1_of_10 drain_1 drain_3_and_remove_them halve_5_weights rolling_restart \
  lb_removed_in_the_middle_of_a_drain; do
  eval "ipip_$event() { ENCAP=ipip; $event; }"
done

quick=(nothing_happens hash_mod_n_breaks_9_of_10 add_1_of_10 drain_1 data_plane_killed_and_restarted
  lb_removed_in_the_middle_of_a_drain)
full=(nothing_happens hash_mod_n_breaks_9_of_10 a_dead_lb_that_is_not_withdrawn_stalls_its_share
  add_1_of_10 drain_1 drain_3_and_remove_them halve_5_weights rolling_restart reload_of_an_unchanged_file
  control_planes_killed data_plane_killed_and_restarted data_plane_restarted_with_2_workers_and_back_with_1
  both_programs_killed_after_a_backend_was_removed health_checks_of_all_backends_fail lb_removed_and_returned
  link_of_an_lb_down_for_a_second lb_joins_in_the_middle_of_a_drain
  lb_removed_in_the_middle_of_a_drain that_under_a_syn_flood that_under_a_syn_flood_with_the_flow_table_full
  ipip_add_1_of_10 ipip_drain_1 ipip_drain_3_and_remove_them ipip_halve_5_weights ipip_rolling_restart
  ipip_lb_removed_in_the_middle_of_a_drain)
# Others on the same cores must not be what stalls a connection.
renice -n -20 $$ >/dev/null

events=("${full[@]}")
[ "${CONTINUITY:-}" != quick ] || events=("${quick[@]}")
[ -z "${CONTINUITY_EVENTS:-}" ] || read -ra events <<<"$CONTINUITY_EVENTS"

# A machine that stands still for seconds stalls connections, and nobody here can help it. What is wrong with Guideway is
# wrong twice. Both rows are in the report.
once_more() {
  local status
  set +e
  (set -e; "$1")
  status=$?
  set -e
  [ $status -ne 0 ] || return 0
  echo "that failed; once more:"
  hosts_last_lines
  "$1"
}
for event in "${full[@]}"; do
  [[ $event != ipip_* ]] || continue # made of the others
  eval "attempt_$(declare -f "$event")"
  eval "$event() { once_more attempt_$event; }"
done

cases "${events[@]}"
failed=$?
report >"${CONTINUITY_REPORT:-$work/report}"
sed 's/^/# /' "${CONTINUITY_REPORT:-$work/report}"
[ $failed -eq 0 ]
