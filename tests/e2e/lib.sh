# shellcheck shell=bash
# What the end-to-end tests share: TAP, a lab of their own, and questions to it. To be sourced, with the build directory
# in $1. A test is a list of functions: each is a case, runs with `set -e` in a subshell, and says on stdout or stderr
# what it saw, which is printed as TAP comments.
set -uo pipefail
e2e=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export LAB_BUILD=$1
LAB=gwt-$(basename "$0" .sh)-$$
export LAB
# shellcheck source=../../deploy/lab/lab.sh
. "$e2e/../../deploy/lab/lab.sh"

work=$(mktemp -d)
# shellcheck disable=SC2034  # for the tests
CONFIG=$LAB_DIR/lb/run/guideway.toml
trap 'lab_down; rm -rf "$work"' EXIT
trap 'exit 143' TERM INT HUP

# cases FUNCTION…: runs them in this order; all of a test's cases share one lab.
cases() {
  local case number=0 failed=0
  echo "1..$#"
  for case in "$@"; do
    number=$((number + 1))
    local begun=$SECONDS
    (
      set -e
      "$case"
    ) >"$work/case.out" 2>&1
    case $? in
      0) echo "ok $number - ${case//_/ }" ;;
      77) echo "ok $number - ${case//_/ } # SKIP $(tail -n 1 "$work/case.out")" ;;
      *)
        failed=1
        echo "not ok $number - ${case//_/ }"
        hosts_last_lines >>"$work/case.out"
        ;;
    esac
    sed 's/^/# /' "$work/case.out"
    echo "# $((SECONDS - begun)) s"
  done
  return $failed
}

hosts_last_lines() {
  local log
  for log in "$LAB_DIR"/*/host.log "$LAB_DIR"/*/run/*.log; do
    [ -s "$log" ] || continue
    echo "--- ${log#"$LAB_DIR"/}"
    tail -n 15 "$log"
  done
}

skip() {
  echo "$*"
  exit 77
}

fail() {
  echo "$*"
  exit 1
}

# The whole lab with Guideway serving both VIPs. lab_up must run in the test's own shell: the hosts die with it.
begin() {
  if ! { lab_up && lab_start_routing && lab_start_backends; }; then
    hosts_last_lines | sed 's/^/# /'
    echo "Bail out! the lab did not come up"
    exit 1
  fi
}

guideway_serves_both_vips() {
  lab_start_guideway
  routed_within 60 "$LAB_VIP4" "$LAB_VIP6"
}

routed_within() {
  local vip
  for vip in "${@:2}"; do lab_wait "$1" lab_routed "$vip" || fail "no route to $vip within $1 s"; done
}
unrouted_within() {
  local vip
  for vip in "${@:2}"; do lab_wait "$1" lab_unrouted "$vip" || fail "still a route to $vip after $1 s"; done
}

now_ms() { echo $((${EPOCHREALTIME/./} / 1000)); }

# status JQ_FILTER: prints what it finds; expect_status also wants it to be neither false nor null.
status() { lab_ctl status --json | jq -r "$1"; }
status_holds() { lab_ctl status --json | jq -e "$1" >/dev/null; }

# load ADDRESS… [OPTIONS]: all requests must succeed; $work/load.json and $work/load.tsv tell more.
load() {
  lab_load "$work/load.tsv" "$@" >"$work/load.json" || fail "requests failed: $(cat "$work/load.json")"
  cat "$work/load.json"
}
load_begin() { lab_load_begin "$work/load.tsv" "$@"; }
load_end() { lab_load_end | tee "$work/load.json"; }
no_request_failed() { [ "$(jq .failed "$work/load.json")" -eq 0 ] || fail "requests failed"; }

# Requests begun after a time (ms since 1970) that failed, or that a backend answered.
failed_since() { awk -F'\t' -v since="$1" '$4 != "" && $1 * 1000 > since' "$work/load.tsv" | wc -l; }
answered_since() { awk -F'\t' -v since="$1" -v who="$2" '$3 == who && $1 * 1000 > since' "$work/load.tsv" | wc -l; }

# shares_are POOL: those of $work/load.json within 3 percentage points of the effective weights.
shares_are() {
  lab_ctl status --json | jq -e --arg pool "$1" --slurpfile load "$work/load.json" '
    .pools[] | select(.name == $pool) | .backends | (map(.weight_effective) | add) as $sum
    | map(100 * ($load[0].backends[.name] // 0) / $load[0].requests - 100 * .weight_effective / $sum)
    | all(-3 <= . and . <= 3)' >/dev/null || fail "shares are more than 3 percentage points off"
}

# rx = tx + to the kernel + drops, in the end, when nothing is on its way.
every_packet_is_accounted_for() {
  lab_wait 3 status_holds '[.dataplane.equations[] | .left == .right] | all' ||
    fail "unequal: $(status '.dataplane.equations')"
  status '.dataplane.counters[] | select(.value > 0) | "\(.name) \(.value)"'
}

# The status is up to a second old: what has just happened is waited for.
counter() { status ".dataplane.counters[] | select(.name == \"$1\").value"; }
counter_above() { [ "$(counter "$1")" -gt "$2" ]; }
