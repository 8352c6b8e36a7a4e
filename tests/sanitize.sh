#!/usr/bin/env bash
# Builds with sanitizers, in build directories of their own, and runs the tests that run in-process:
#   tests/sanitize.sh [address|thread] …     default: both
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- address thread
for kind in "$@"; do
  case $kind in
    address)
      # The allocator may return null for absurd sizes, as it does without a sanitizer.
      # (Not detect_stack_use_after_return: g++ 12 then misaligns what is aligned to a cache line, GCC bug 110027.)
      ASAN_OPTIONS=allocator_may_return_null=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
        SANITIZE=address,undefined tests/run.sh unit shm bpf packet
      ;;
    thread) TSAN_OPTIONS=halt_on_error=1 SANITIZE=thread tests/run.sh unit shm ;;
    *) echo "tests/sanitize.sh: no sanitizer '$kind'; there are: address thread" >&2; exit 2 ;;
  esac
done
