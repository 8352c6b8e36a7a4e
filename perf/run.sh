#!/usr/bin/env bash
# What the packet path costs, against its targets:  perf/run.sh [--quick]
# Builds what it needs with the flags of the shipped programs, and measures on one core. --quick: only what has a target,
# in about a minute. Otherwise every row of perf/pipeline_bench, in about five minutes and with 3 GB of memory, and the
# results go to perf/results: pipeline.json, pipeline.md and pipeline.svg. CORE=N is where it runs (default: the last
# one), SECOND_CORE=M where a second worker does (default: the first one), BUILD=DIR the build directory, REPETITIONS=15
# how often each row is measured. Nothing fails for being slow: a row says "ok" or "short".
# perf/run.sh --continuity [--quick] [--seed N] [--schedules N]: what changes and failures break, simulated in virtual
# time with the shipped stages and tables; in half an hour, with 2 GB of memory, the results go to perf/results:
# continuity.json, continuity.md and continuity.svg. --quick: in about a minute, and nothing is written.
# perf/run.sh --end-to-end [--quick …]: whole load balancers against each other, see perf/end_to_end/README.md.
set -euo pipefail
cd "$(dirname "$0")/.."

continuity() { # [--quick] [--seed N] [--schedules N]
  local build=${BUILD:-build} written=(--write perf/results)
  if [[ " $* " = *" --quick "* ]]; then written=(); deploy/install_deps.sh build; else deploy/install_deps.sh perf; fi
  [ -f "$build/build.ninja" ] || meson setup "$build" >/dev/null
  ninja -C "$build" --quiet perf/continuity_sim
  exec perf/continuity/report.py "$build/perf/continuity_sim" "${written[@]}" "$@"
}

quick=
case ${1-} in
  '') ;;
  --quick) quick=1 ;;
  --continuity) shift; continuity "$@" ;;
  --end-to-end) shift; exec perf/end_to_end/run.py "$@" ;;
  -h | --help) sed -n '2,11s/^# \?//p' "$0"; exit 0 ;;
  *) echo "perf/run.sh: no option '$1'; there are --quick, --continuity and --end-to-end" >&2; exit 2 ;;
esac

if [ -n "$quick" ]; then deploy/install_deps.sh build; else deploy/install_deps.sh perf; fi
build=${BUILD:-build}
[ -f "$build/build.ninja" ] || meson setup "$build" >/dev/null
ninja -C "$build" --quiet perf/pipeline_bench perf/micro_bench

core=${CORE:-$(($(nproc) - 1))}
repetitions=${REPETITIONS:-15}
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

pipeline() { # NAME FILTER [OPTION …]
  local name=$1
  shift
  taskset -c "$core" "$build/perf/pipeline_bench" "$@" --repetitions "$repetitions" --json "$out/$name.json" >/dev/null
}

# One call, so that what is compared is interleaved.
many='flows:(65536|1048576)/vips:100/backends:1000$'
second=${SECOND_CORE:-0}
two_workers=()
if [ "$second" != "$core" ]; then two_workers=(--second-core "$second"); fi
pipeline targets "^ipv4/tcp/(ipip|gue)/$many|^ipv6/tcp/ipip/$many|^ipv4/syn/ipip/$many|^ipv4/tcp/ipip/flows:65536/vips:(1|10000)/backends:1000|^ipv[46]/tcp/ipip/flows:65536/vips:100/backends:1000/driver:null|^ipv4/tcp/ipip/flows:1048576/vips:100/backends:(3|1000)(/pools:1)?/driver:null|^ipv4/tcp/ipip/flows:1048576/vips:100/backends:1000/known|^ipv4/syn/ipip/flows:1048576/vips:100/backends:1000/fresh" \
  "${two_workers[@]}"
taskset -c "$core" "$build/perf/micro_bench" --benchmark_format=json --benchmark_repetitions=7 \
  --benchmark_filter='build_slots|flip/pools:100/slots:65521/slots_change:1' >"$out/tables.json" 2>/dev/null

if [ -n "$quick" ]; then
  perf/report.py "$out/targets.json" "$out/tables.json"
  exit
fi

for family in ipv4 ipv6; do
  for kind in tcp syn udp not_vip; do
    for flows in 1 65536 1048576; do pipeline "matrix-$family-$kind-$flows" "^$family/$kind/.*/flows:$flows/"; done
    # One at a time: a trace of 8M frames takes 1.5 GB.
    for vips in 1 100 10000; do pipeline "matrix-$family-$kind-8M-$vips" "^$family/$kind/.*/flows:8388608/vips:$vips/"; done
  done
done
mkdir -p perf/results
perf/report.py "$out/targets.json" "$out/tables.json" "$out"/matrix-*.json --write perf/results
