#!/usr/bin/env bash
# Does the kernel take the BPF programs, whichever clang compiled them? TAP, one case for each object.
#   verifier_test.sh OBJECT …
set -uo pipefail

load() { # in a BPF file system of its own
  # shellcheck disable=SC2016 # $1 is the inner shell's
  unshare --mount sh -c 'mount -t bpf bpf /sys/fs/bpf && bpftool prog load "$1" /sys/fs/bpf/program' sh "$1"
}

number=0
for object in "$@"; do
  number=$((number + 1))
  if log=$(load "$object" 2>&1); then
    echo "ok $number - $(basename "$object")"
  else
    echo "not ok $number - $(basename "$object")"
    tail -20 <<<"$log" | sed 's/^/# /'
  fi
done
case "$*" in
  *clang19*) ;;
  *) number=$((number + 1)) && echo "ok $number - objects of clang 19 # SKIP there is no clang-19 here" ;;
esac
echo "1..$number"
