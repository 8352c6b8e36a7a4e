#!/usr/bin/env bash
# Programs killed with -9 while HTTP and numbered UDP packets pass; the router is the witness of what is announced.
# restart_test.sh BUILD_DIR
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

UDP_PORT=7

# traffic_begin, traffic_end: HTTP to both VIPs and UDP to one; every packet and every request must come back.
traffic_begin() {
  load_begin "$LAB_VIP4" "$LAB_VIP6" --rate 300
  rm -f "$LAB_DIR/client/run/udp.log"
  lab_start client udp "$e2e/udp_echo.py" send "$LAB_VIP4" $UDP_PORT 1000
  sleep 1
}
traffic_end() {
  load_end
  lab_stop client udp
  cat "$LAB_DIR/client/run/udp.log"
}
nothing_was_lost() {
  no_request_failed
  [ "$(jq .lost "$LAB_DIR/client/run/udp.log")" -eq 0 ] || fail "UDP packets were lost"
}

# routes_begin, routes_end: prints what happened to VIPs' routes at the router in between, one line each.
routes_begin() {
  rm -f "$LAB_DIR/router/run/monitor.log"
  lab_start router monitor ip -timestamp monitor route
  sleep 0.2
}
routes_end() {
  lab_stop router monitor
  grep -E '203\.0\.113\.|2001:db8:1:' "$LAB_DIR/router/run/monitor.log" || true
}

udp_vip_joins() {
  local host
  for host in "${LAB_BACKENDS[@]}"; do lab_start "$host" echo "$e2e/udp_echo.py" serve "$LAB_VIP4" $UDP_PORT; done
  printf '[vip.echo]\naddress = "%s"\nport = %s\nprotocol = "udp"\npool = "web4"\n' "$LAB_VIP4" $UDP_PORT >>"$CONFIG"
  lab_signal lb controlplane HUP
  lab_wait 5 status_holds '.vips[] | select(.name == "echo").announced'
  traffic_begin
  traffic_end
  nothing_was_lost
}

# The control plane is dead for longer than every time-out.
control_plane_killed_loses_nothing_and_withdraws_nothing() {
  routes_begin
  traffic_begin
  lab_stop lb controlplane KILL
  sleep 5
  traffic_end
  nothing_was_lost
  [ -z "$(routes_end)" ] || fail "routes changed: $(cat "$LAB_DIR/router/run/monitor.log")"
}

control_plane_started_again_loses_nothing_and_withdraws_nothing() {
  routes_begin
  traffic_begin
  lab_start_controlplane
  lab_wait 20 status_holds '.dataplane.connected and ([.pools[].backends[].state == "up"] | all)' ||
    fail "$(lab_ctl status)"
  sleep 1
  traffic_end
  nothing_was_lost
  [ -z "$(routes_end)" ] || fail "routes changed: $(cat "$LAB_DIR/router/run/monitor.log")"
}

a_new_control_plane_still_changes_tables() {
  lab_ctl drain web4/b2
  sleep 0.1
  load "$LAB_VIP4" --requests 1000
  [ "$(jq '.backends.b2 // 0' "$work/load.json")" -eq 0 ] || fail "b2 is drained and answered"
  lab_ctl undrain web4/b2
}

data_plane_killed_withdraws() {
  local killed
  killed=$(now_ms)
  lab_stop lb dataplane KILL
  unrouted_within 5 "$LAB_VIP4" "$LAB_VIP6"
  echo "withdrawn at the router $(($(now_ms) - killed)) ms after the kill"
}

data_plane_started_again_serves_the_tables_that_are_there() {
  local started published
  published=$(status .generation.published)
  started=$(now_ms)
  lab_start_dataplane
  routed_within 30 "$LAB_VIP4" "$LAB_VIP6"
  echo "announced again $(($(now_ms) - started)) ms after the start"
  load "$LAB_VIP4" "$LAB_VIP6" --requests 3000
  status_holds ".generation.active >= $published" || fail "active $(status .generation.active), published $published"
  traffic_begin
  traffic_end
  nothing_was_lost
}

data_plane_stopped_in_order_withdraws_first() {
  local stopped
  load_begin "$LAB_VIP4" "$LAB_VIP6" --rate 300
  sleep 1
  stopped=$(now_ms)
  lab_stop lb dataplane TERM
  lab_unrouted "$LAB_VIP4" || fail "still routed when the data plane was gone"
  load_end
  echo "gone $(($(now_ms) - stopped)) ms after the signal"
  lab_start_dataplane
  routed_within 30 "$LAB_VIP4" "$LAB_VIP6"
}

both_killed_withdraws() {
  lab_signal lb controlplane KILL
  lab_signal lb dataplane KILL
  unrouted_within 5 "$LAB_VIP4" "$LAB_VIP6"
  lab_wait 5 lab_stopped lb dataplane
  lab_wait 5 lab_stopped lb controlplane
}

both_started_again_serve() {
  lab_start_guideway
  routed_within 60 "$LAB_VIP4" "$LAB_VIP6"
  load "$LAB_VIP4" "$LAB_VIP6" --requests 3000
}

begin
cases guideway_serves_both_vips udp_vip_joins control_plane_killed_loses_nothing_and_withdraws_nothing \
  control_plane_started_again_loses_nothing_and_withdraws_nothing a_new_control_plane_still_changes_tables \
  every_packet_is_accounted_for data_plane_killed_withdraws data_plane_started_again_serves_the_tables_that_are_there \
  data_plane_stopped_in_order_withdraws_first both_killed_withdraws both_started_again_serve every_packet_is_accounted_for
