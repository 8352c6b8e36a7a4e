#!/usr/bin/env bash
# Installs what is missing, builds, runs the tests:  tests/run.sh [--quick] [SUITE …]
# Suites: unit shm bpf packet e2e continuity fuzz perf lint; none named: all. The last line is "N passed, N failed, N skipped";
# the exit code is 0 only if nothing failed. BUILD=DIR uses another build directory, SANITIZE=address,undefined or thread
# builds with a sanitizer, in build-address-undefined or build-thread; tests/sanitize.sh does so with the suites and the
# sanitizer's options that go together. FUZZ_SECONDS=60 is how long each fuzz target runs. --quick: suite continuity in
# about a minute; CONTINUITY_CONNECTIONS=2000 is how many connections each of its events has (docs/continuity.md).
set -euo pipefail
cd "$(dirname "$0")/.."

suites=()
for argument in "$@"; do
  case $argument in
    unit | shm | bpf | packet | e2e | continuity | fuzz | perf | lint) suites+=("$argument") ;;
    --quick) export CONTINUITY=quick ;;
    -h | --help) sed -n '2,8s/^# \?//p' "$0"; exit 0 ;;
    *) echo "tests/run.sh: no suite '$argument'; there are: unit shm bpf packet e2e continuity fuzz perf lint" >&2; exit 2 ;;
  esac
done

deploy/install_deps.sh tests

sanitize=${SANITIZE:-none}
build=${BUILD:-build$([ "$sanitize" = none ] || echo "-${sanitize//,/-}")}
# Sanitizers with optimization take minutes for each file that has Boost.Beast in it, without it seconds; tests take longer.
optimization=2 patience=1
if [ "$sanitize" != none ]; then optimization=0 patience=10; fi
[ -f "$build/build.ninja" ] || meson setup "$build" "-Db_sanitize=$sanitize" "-Doptimization=$optimization" \
  >"$build.log" 2>&1 || { cat "$build.log"; exit 1; }
rm -f "$build.log"
ninja -C "$build" --quiet
if [ ${#suites[@]} -eq 0 ] || [[ " ${suites[*]} " = *" fuzz "* ]]; then
  ninja -C "$build" --quiet fuzz # not part of the default build
fi

log=$build/meson-logs/testlog.junit.xml
CONTINUITY_REPORT=$(realpath "$build")/meson-logs/continuity.txt
export CONTINUITY_REPORT
rm -f "$log" "$CONTINUITY_REPORT"
meson test -C "$build" --no-rebuild --print-errorlogs --timeout-multiplier "$patience" "${suites[@]/#/--suite=}" || true
[ ! -s "$CONTINUITY_REPORT" ] || cat "$CONTINUITY_REPORT"
exec python3 tests/lib/summary.py "$log"
