#!/usr/bin/env bash
# Shows Guideway at work on this machine alone: builds it, makes a lab of six hosts in network namespaces (drawn in
# deploy/lab/lab.sh), sends real HTTP through it, kills things and measures. The machine's own network is not touched.
#   sudo deploy/demo.sh           the whole show; exit code 0 only if everything it shows is right
#   sudo deploy/demo.sh --keep    the same, and leaves the lab running for guidewayctl
#   sudo deploy/demo.sh --clean   removes what --keep left
# LAB=NAME names another lab, so that two can run beside each other. BUILD=DIR uses another build directory.
set -euo pipefail
repo=$(cd "$(dirname "$0")/.." && pwd)
build=${BUILD:-$repo/build}
export LAB_BUILD=$build
# shellcheck source=lab/lab.sh
. "$repo/deploy/lab/lab.sh"

REQUESTS=10000       # per VIP
RATE=400             # requests per second while things break
SHARE_TOLERANCE=3    # percentage points

results=()
failures=0
work=

main() {
  case ${1:-} in
    '') ;;
    --keep) LAB_KEEP=1 ;;
    --clean) need_root; lab_down; exit 0 ;;
    -h | --help) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
  esac
  need_root
  work=$(mktemp -d)
  trap finish EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM

  install
  build
  make_lab
  start_guideway
  balance "$LAB_VIP4" web4 "GUE over IPv4"
  balance "$LAB_VIP6" web6 "IPv6 in IPv6"
  lose_backend_and_get_it_back
  lose_load_balancer_and_get_it_back
  summary
}

usage() { sed -n '2,7s/^# \?//p' "$0"; }

need_root() {
  [ "$(id -u)" -eq 0 ] && return
  echo "deploy/demo.sh makes network namespaces and needs root for that: sudo deploy/demo.sh" >&2
  exit 1
}

# The end, however it comes: nothing stays unless it was asked for and all is well.
finish() {
  local code=$?
  if [ -n "$work" ]; then rm -rf "$work"; fi
  [ $code -eq 0 ] && [ -n "$LAB_KEEP" ] && exit 0
  if [ -n "${made_lab:-}" ]; then lab_down; fi
  exit $code
}

step() { if [ -t 1 ]; then printf '\n\033[1m%s\033[0m\n' "$*"; else printf '\n%s\n' "$*"; fi; }
say() { printf '  %s\n' "$*"; }
stop_with() {
  printf '\n%s\n' "$*" >&2
  exit 1
}

# check RIGHT TITLE FIGURES: one line of the summary; RIGHT is 0 or the exit code of what did not hold.
check() {
  local verdict=ok
  if [ "$1" -ne 0 ]; then
    verdict=WRONG
    failures=$((failures + 1))
  fi
  results+=("$(printf '%-6s %-44s %s' "$verdict" "$2" "$3")")
}

now_ms() { echo $((${EPOCHREALTIME/./} / 1000)); }
seconds() { awk -v ms="$1" 'BEGIN { printf "%.2f s", ms / 1000 }'; }

install() {
  "$repo/deploy/install_deps.sh" demo || exit 1
}

build() {
  local log=$work/build.log begun
  begun=$(now_ms)
  step "Building Guideway$([ -f "$build/build.ninja" ] || echo ' (the first time takes a few minutes)')"
  cd "$repo"
  {
    [ -f "$build/build.ninja" ] || meson setup "$build"
    ninja -C "$build" dataplane/guideway-dataplane controlplane/guideway-controlplane controlplane/ctl/guidewayctl \
      bpf/guideway-backend
  } >"$log" 2>&1 || stop_with "$(cat "$log")" $'\n'"The build failed, see above."
  say "up to date after $(seconds $(($(now_ms) - begun)))"
}

make_lab() {
  if lab_exists; then
    stop_with "The lab '$LAB' is there already. Remove it with: sudo deploy/demo.sh --clean"
  fi
  step "Making the lab: six hosts in namespaces of their own"
  say "client ── router (BIRD) ── lb (BIRD, Guideway)"
  say "             └──────────── b1 b2 b3 (nginx, XDP decapsulation, the VIPs on lo)"
  made_lab=1
  if ! { lab_up && lab_start_routing && lab_start_backends; }; then lab_broken "The lab did not come up."; fi
}

start_guideway() {
  step "Starting guideway-dataplane and guideway-controlplane; the router learns the VIPs by BGP"
  local begun
  begun=$(now_ms)
  if ! { lab_start_guideway && lab_wait 60 lab_routed "$LAB_VIP4" && lab_wait 60 lab_routed "$LAB_VIP6"; }; then
    lab_broken "The VIPs were not announced within 60 s."
  fi
  local took
  took=$(seconds $(($(now_ms) - begun)))
  say "router: $(lab_exec router ip route show proto bird "$LAB_VIP4")"
  say "router: $(lab_exec router ip -6 route show proto bird "$LAB_VIP6")"
  check 0 "VIPs announced by BGP" "$took after the start"
}

lab_broken() {
  local log
  for log in "$LAB_DIR"/*/host.log "$LAB_DIR"/*/run/*.log; do
    [ -s "$log" ] || continue
    printf -- '--- %s\n' "${log#"$LAB_DIR"/}" >&2
    tail -n 20 "$log" >&2
  done
  stop_with "$1 The last lines of the hosts' logs are above."
}

# balance VIP POOL HOW: requests to a VIP, and the share of each backend against its weight.
balance() {
  local vip=$1 pool=$2 backend weight answered share expected off=0 shares=
  step "$(grouped $REQUESTS) HTTP requests to $vip, each from a port of its own (to the backends: $3)"
  lab_load "$work/load.tsv" "$vip" --requests $REQUESTS >"$work/load.json" || true
  say "$(printf '%-8s %6s %9s %9s %8s' backend weight expected answered share)"
  while read -r backend weight expected; do
    answered=$(jq ".backends.$backend // 0" "$work/load.json")
    share=$(percent "$answered" $REQUESTS)
    say "$(printf '%-8s %6s %7s %% %9s %6s %%' "$backend" "$weight" "$(percent "$expected" 100)" "$(grouped "$answered")" "$share")"
    near "$share" "$expected" || off=1
    shares+="${shares:+ : }$share"
  done < <(weights "$pool")
  report_failures
  [ "$(jq .failed "$work/load.json")" -eq 0 ] || off=1
  check $off "$(grouped $REQUESTS) requests to $vip" "$(jq .failed "$work/load.json") failed, shares $shares %"
}

# "backend weight expected-share" for each backend of a pool.
weights() {
  lab_ctl status --json | jq -r --arg pool "$1" '.pools[] | select(.name == $pool) | .backends
    | (map(.weight) | add) as $sum | .[] | "\(.name) \(.weight) \(.weight * 1000 / $sum | round / 10)"'
}

report_failures() {
  say "$(jq -r '"\(.failed) failed, \(.seconds) s"' "$work/load.json")"
  jq -r '.failures[] | "    failed: \(.failure)"' "$work/load.json" | sort | uniq -c
}

grouped() { sed -E ':a; s/([0-9])([0-9]{3})($|,)/\1,\2\3/; ta' <<<"$1"; } # 10,000
percent() { awk -v part="$1" -v all="$2" 'BEGIN { printf "%.1f", all ? 100 * part / all : 0 }'; }
near() { awk -v a="$1" -v b="$2" -v t=$SHARE_TOLERANCE 'BEGIN { exit !(a - b <= t && b - a <= t) }'; }

lose_backend_and_get_it_back() {
  local detection killed back failed last after took
  detection=$(lab_detection_ms)
  step "Killing nginx on b2 while $RATE requests per second arrive; configured detection time: $(seconds "$detection")"
  lab_load_begin "$work/load.tsv" "$LAB_VIP4" "$LAB_VIP6" --rate $RATE
  sleep 1
  killed=$(now_ms)
  lab_stop b2 nginx KILL
  sleep "$(awk -v ms="$detection" 'BEGIN { print ms / 1000 + 1 }')"
  back=$(now_ms)
  lab_start_nginx b2
  lab_wait 20 backend_is b2 up || true
  sleep 1
  lab_load_end >"$work/load.json"

  failed=$(failures_between "$killed" "$back")
  last=$(awk -F'\t' -v begin="$killed" -v end="$back" \
    '$4 != "" && $1 * 1000 < end { last = $1 * 1000 - begin } END { printf "%d", last }' "$work/load.tsv")
  after=$(failures_between $((killed + detection)) "$back")
  say "$failed requests failed, the last one $(seconds "$last") after the kill"
  check $((after > 0 || failed == 0)) "backend killed under load" \
    "no failure after $(seconds "$last"), detection time $(seconds "$detection")"

  step "Starting nginx on b2 again, under the same load"
  took=$(awk -F'\t' -v begin="$back" '$3 == "b2" && $1 * 1000 > begin { printf "%d", $1 * 1000 - begin; exit }' "$work/load.tsv")
  after=$(failures_between "$back" "$(now_ms)")
  say "b2 answers again after $(seconds "${took:-0}"); since then $after requests failed"
  check $((${#took} == 0 || after > 0)) "backend back under load" "answers again after $(seconds "${took:-0}"), $after failed"
}

# Requests begun between two times that failed.
failures_between() {
  awk -F'\t' -v begin="$1" -v end="$2" '$4 != "" && $1 * 1000 > begin && $1 * 1000 < end' "$work/load.tsv" | wc -l
}

# backend_is NAME STATE: in every pool.
backend_is() {
  lab_ctl status --json | jq -e --arg name "$1" --arg state "$2" \
    '[.pools[].backends[] | select(.name == $name) | .state == $state] | all'
}

lose_load_balancer_and_get_it_back() {
  local begun withdrawn wrong=0
  step "Killing guideway-dataplane with -9: nobody can withdraw the VIPs in an orderly way"
  begun=$(now_ms)
  lab_stop lb dataplane KILL
  { lab_wait 10 lab_unrouted "$LAB_VIP4" && lab_wait 10 lab_unrouted "$LAB_VIP6"; } || wrong=1
  withdrawn=$(seconds $(($(now_ms) - begun)))
  say "router: no route to $LAB_VIP4 or $LAB_VIP6 after $withdrawn"
  check $wrong "data plane killed, VIPs withdrawn" "after $withdrawn"

  step "Starting guideway-dataplane again"
  wrong=0
  begun=$(now_ms)
  lab_start_dataplane
  { lab_wait 60 lab_routed "$LAB_VIP4" && lab_wait 60 lab_routed "$LAB_VIP6"; } || wrong=1
  withdrawn=$(seconds $(($(now_ms) - begun)))
  lab_load "$work/load.tsv" "$LAB_VIP4" "$LAB_VIP6" --requests 1000 >"$work/load.json" || wrong=1
  say "VIPs back after $withdrawn; 1,000 requests, $(jq .failed "$work/load.json") failed"
  check $wrong "data plane started again" "VIPs back after $withdrawn, $(jq .failed "$work/load.json") of 1,000 requests failed"
}

summary() {
  step "Summary"
  printf '  %s\n' "${results[@]}"
  [ $failures -eq 0 ] || stop_with "$failures of ${#results[@]} are wrong."
  step "Next steps"
  if [ -n "$LAB_KEEP" ]; then
    say "The lab '$LAB' is running."
    say "sudo deploy/lab/enter lb guidewayctl status"
    say "sudo deploy/lab/enter lb guidewayctl explain tcp 10.1.0.2 40000 $LAB_VIP4 80"
    say "sudo deploy/lab/enter lb guidewayctl drain web4/b2"
    say "sudo deploy/lab/enter client curl http://$LAB_VIP4/"
    say "sudo deploy/lab/enter router ip route"
    say "sudo deploy/demo.sh --clean        removes it"
  else
    say "sudo deploy/demo.sh --keep         leaves the lab running, to explore it with guidewayctl"
    say "sudo tests/run.sh                  runs every test"
    say "deploy/guideway.toml               explains each key of the configuration"
  fi
}

main "$@"
