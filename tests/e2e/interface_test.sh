#!/usr/bin/env bash
# What becomes of the interface below an AF_XDP port while the data plane runs; the router is the witness of what is
# announced. interface_test.sh BUILD_DIR
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

port_is() { lab_wait 10 status_holds ".dataplane.ports[0].state == \"$1\"" || fail "$(lab_ctl status)"; }
warned() { lab_wait 5 status_holds ".warnings | any(contains(\"$1\"))" || fail "$(status .warnings)"; }
logged() { grep -F "$1" "$LAB_DIR/lb/run/dataplane.log" | tail -1 | grep . || fail "the log does not say: $1"; }
requests_succeed() {
  routed_within 30 "$LAB_VIP4" "$LAB_VIP6"
  load "$LAB_VIP4" "$LAB_VIP6" --requests 500
}
# Also while there is no way to the router: what the data plane tells BIRD on its own host.
announces() { lab_exec lb birdc -s /run/bird.ctl show route table vips4 | grep -qF "$LAB_VIP4/32"; }
announces_nothing() { ! announces; }
withdrawn() {
  lab_wait 5 announces_nothing || fail "still announced"
  unrouted_within 5 "$LAB_VIP4" "$LAB_VIP6"
}
program_is_there() { lab_exec lb ip link show eth0 | grep -q 'prog/xdp'; }
take_program_off() { lab_exec lb ip link set eth0 xdp off; }

a_program_that_was_taken_off_comes_back() {
  take_program_off
  lab_wait 5 program_is_there || fail "no program on eth0"
  logged 'had been taken off interface eth0; it is attached again'
  requests_succeed
  port_is up
}

another_program_in_its_place_withdraws() {
  local begun
  begun=$(now_ms)
  lab_exec lb ip -force link set eth0 xdp obj "$LAB_BUILD/bpf/backend_decap.bpf.o" sec xdp
  lab_wait 5 lab_unrouted "$LAB_VIP4" || fail "still a route"
  echo "withdrawn at the router after $(($(now_ms) - begun)) ms"
  port_is not_steered
  warned 'its XDP program is not on the interface'
  logged 'has another XDP program'
  withdrawn
}

without_it_ours_comes_back() {
  take_program_off
  port_is up
  logged 'up again'
  requests_succeed
}

a_lost_carrier_withdraws() {
  local begun
  begun=$(now_ms)
  lab_exec router ip link set lb down
  lab_wait 5 announces_nothing || fail "still announced"
  echo "withdrawn at the daemon after $(($(now_ms) - begun)) ms"
  port_is down
  status_holds '.vips | all(.why == "no port of the data plane is up")' || fail "$(status '.vips[].why')"
  warned 'port uplink has no link'
  logged 'interface eth0 has no carrier'
  withdrawn
}

with_a_carrier_it_announces_again() {
  lab_exec router ip link set lb up
  lab_exec router ip address replace fd00:2::1/64 dev lb nodad
  port_is up
  requests_succeed
}

an_interface_that_is_down_withdraws() {
  lab_exec lb ip link set eth0 down
  port_is down
  logged 'interface eth0 is down; bring it up'
  withdrawn
}

an_interface_that_is_up_again_is_announced() {
  lab_exec lb ip link set eth0 up
  lab_exec lb ip address replace fd00:2::2/64 dev eth0 nodad
  lab_exec lb ip route replace default via 10.2.0.1
  lab_exec lb ip -6 route replace default via fd00:2::1
  port_is up
  requests_succeed
}

a_renamed_interface_goes_on() {
  lab_exec lb ip link set eth0 name eth9
  sleep 1.5
  port_is up
  lab_exec lb ip link set eth9 name eth0
  requests_succeed
}

a_deleted_interface_withdraws() {
  lab_exec lb ip link del eth0
  port_is gone
  warned 'has lost its interface'
  logged 'interface eth0 is gone'
  withdrawn
}

one_of_the_same_name_is_another() {
  lab_wire lb 2 1600
  port_is replaced
  logged 'interface eth0 was replaced by another one'
  sleep 2
  announces_nothing || fail "announced by a data plane that cannot receive"
}

a_new_data_plane_opens_it() {
  lab_stop lb dataplane TERM
  lab_start_dataplane
  lab_wait 30 status_holds '.dataplane.connected' || fail "$(lab_ctl status)"
  port_is up
  requests_succeed
}

begin
cases guideway_serves_both_vips a_program_that_was_taken_off_comes_back another_program_in_its_place_withdraws \
  without_it_ours_comes_back a_lost_carrier_withdraws with_a_carrier_it_announces_again \
  an_interface_that_is_down_withdraws an_interface_that_is_up_again_is_announced a_renamed_interface_goes_on \
  a_deleted_interface_withdraws one_of_the_same_name_is_another a_new_data_plane_opens_it every_packet_is_accounted_for
