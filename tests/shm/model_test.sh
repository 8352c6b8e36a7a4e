#!/usr/bin/env bash
# Checks the model of the hand-over with Spin, completely, and that Spin refutes its mutants:  model_test.sh handover.pml
set -uo pipefail
model=$(realpath "$1")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# check DIR OPTION…: prints Spin's numbers; 0 = no error in the complete state space, 1 = an error, 2 = neither.
check() {
  local directory=$work/$1
  shift
  mkdir -p "$directory" && cd "$directory" || return 2
  if ! { spin -a "$@" "$model" && gcc -O0 -w -DSAFETY -DCOLLAPSE -DMEMLIM=1500 -o pan pan.c; } >spin.log 2>&1; then
    cat spin.log
    return 2
  fi
  timeout 120 ./pan -m100000 >pan.log 2>&1
  grep -q 'errors: [1-9]' pan.log && return 1
  if grep -q 'errors: 0' pan.log && ! grep -qE 'max search depth too small|Search not completed' pan.log; then
    awk '/states, stored/ {print $1 " states"; exit}' pan.log
    return 0
  fi
  cat pan.log
  return 2
}

number=0
expect() { # STATUS NAME OPTION…
  local expected=$1 name=$2 output status
  shift 2
  number=$((number + 1))
  output=$(check "$number" "$@")
  status=$?
  if [ $status -eq "$expected" ]; then
    echo "ok $number - $name${output:+ ($output)}"
  else
    echo "not ok $number - $name (got $status)"
    echo "# ${output//$'\n'/$'\n# '}"
  fi
}

echo "1..9"
expect 0 "one worker, the writer killed and reborn" -DKILLS=2
expect 0 "two workers" -DWORKERS=2 -DKILLS=1 -DGENERATIONS=3
expect 0 "a fresh segment replaces the old one" -DSEGMENTS=2 -DKILLS=1 -DGENERATIONS=3
expect 1 "refuted: no grace period" -DNO_GRACE
expect 1 "refuted: the root stored first" -DROOT_FIRST
expect 1 "refuted: the workers' pins read before the gatekeeper's" -DWORKERS_FIRST
expect 1 "refuted: the gatekeeper's pin moved before the active view" -DPIN_FIRST
expect 1 "refuted: a worker that pins after it looked" -DNO_ATTACHING
expect 1 "refuted: a move that does not attach, into a fresh segment" -DMOVE_IS_NO_ATTACH -DSEGMENTS=2 -DGENERATIONS=4
