#!/usr/bin/env bash
# Backends that die, drain and change weight, and configuration files that are bad, under load.
# change_test.sh BUILD_DIR
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

backend_is() {
  status_holds "[.pools[].backends[] | select(.name == \"$1\") | .state == \"$2\"] | all"
}

no_failure_once_a_dead_backend_was_due_to_be_detected() {
  local detection killed
  detection=$(lab_detection_ms)
  load_begin "$LAB_VIP4" "$LAB_VIP6" --rate 500
  sleep 1
  killed=$(now_ms)
  lab_stop b2 nginx KILL
  sleep "$((detection / 1000 + 2))"
  load_end
  [ "$(jq .failed "$work/load.json")" -gt 0 ] || fail "the kill was not noticed at all"
  echo "detection time $detection ms, failures after it: $(failed_since $((killed + detection)))"
  awk -F'\t' -v killed="$killed" '$4 != "" { last = $1 } END { printf "last failure %d ms after the kill\n", last * 1000 - killed }' \
    "$work/load.tsv"
  [ "$(failed_since $((killed + detection)))" -eq 0 ]
}

a_backend_that_is_back_takes_its_share_without_a_failure() {
  load_begin "$LAB_VIP4" "$LAB_VIP6" --rate 500
  lab_start_nginx b2
  lab_wait 10 backend_is b2 up
  sleep 1
  load_end
  no_request_failed
  load "$LAB_VIP4" --requests 4000
  shares_are web4
}

drain_sends_no_new_flow_and_fails_none() {
  local drained
  load_begin "$LAB_VIP4" --rate 500
  sleep 1
  lab_ctl drain web4/b2
  drained=$(($(now_ms) + 100))
  sleep 1
  load_end
  no_request_failed
  echo "answers of b2 after the drain: $(answered_since "$drained" b2)"
  [ "$(answered_since "$drained" b2)" -eq 0 ]
}

undrain_brings_it_back() {
  lab_ctl undrain web4/b2
  sleep 0.1
  load "$LAB_VIP4" --requests 4000
  shares_are web4
}

b2_of_web4() { status ".pools[] | select(.name == \"web4\").backends[] | select(.name == \"b2\").$1"; }

a_drain_ends_at_its_deadline() {
  local before
  lab_ctl drain web4/b2 --deadline 2s --wait || [ $? -eq 5 ] || fail "the drain failed"
  [ "$(b2_of_web4 state)" = removed ] || fail "b2 is $(b2_of_web4 state)"
  sleep 1.5 # until the status has counted what came before
  before=$(b2_of_web4 packets)
  load "$LAB_VIP4" --requests 1000
  sleep 1.5
  echo "packets to b2: $before at the deadline, $(b2_of_web4 packets) now"
  [ "$(b2_of_web4 packets)" -eq "$before" ]
  lab_ctl undrain web4/b2
  [ "$(b2_of_web4 state)" = up ] || fail "b2 is $(b2_of_web4 state)"
}

weight_changes_the_share() {
  lab_ctl weight web4/b1 6
  sleep 0.1
  load "$LAB_VIP4" --requests 4000
  shares_are web4
  [ "$(jq .backends.b1 "$work/load.json")" -gt 2400 ] || fail "b1 answered too few"
}

a_bad_file_is_refused_with_its_line_and_touches_nothing() {
  local before
  before=$(status '.config.digest, .generation.published')
  cp "$CONFIG" "$work/good.toml"
  sed -i 's/^encap = "gue"/encap = "gre7"/' "$CONFIG"
  load_begin "$LAB_VIP4" "$LAB_VIP6" --rate 500
  lab_signal lb controlplane HUP
  sleep 1
  load_end
  no_request_failed
  echo "--- the control plane's log and guidewayctl check:"
  grep 'guideway.toml:[0-9]*: .*gre7' "$LAB_DIR/lb/run/controlplane.log"
  ! lab_ctl check /run/guideway.toml || fail "guidewayctl check finds no error"
  cp "$work/good.toml" "$CONFIG"
  [ "$(status '.config.digest, .generation.published')" = "$before" ] || fail "something changed"
}

a_good_file_is_taken_up_under_load() {
  load_begin "$LAB_VIP4" "$LAB_VIP6" --rate 500
  sed -i '/^\[pool.web6\]/,/^\[/ s/weight = 1 }/weight = 2 }/' "$CONFIG"
  lab_signal lb controlplane HUP
  lab_wait 5 status_holds '[.pools[] | select(.name == "web6").backends[].weight == 2] | all'
  sleep 1
  load_end
  no_request_failed
}

begin
cases guideway_serves_both_vips no_failure_once_a_dead_backend_was_due_to_be_detected \
  a_backend_that_is_back_takes_its_share_without_a_failure drain_sends_no_new_flow_and_fails_none \
  undrain_brings_it_back a_drain_ends_at_its_deadline weight_changes_the_share a_bad_file_is_refused_with_its_line_and_touches_nothing \
  a_good_file_is_taken_up_under_load every_packet_is_accounted_for
