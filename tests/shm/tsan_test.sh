#!/usr/bin/env bash
# ThreadSanitizer finds nothing in the protocol, and does find a writer without grace period:  tsan_test.sh PROGRAM
set -uo pipefail
program=$1
export TSAN_OPTIONS="halt_on_error=1 exitcode=66 report_signal_unsafe=0"
# Where the kernel randomises mappings by more bits than ThreadSanitizer knows, it needs a fixed layout.
run=(timeout 120 setarch "$(uname -m)" -R "$program")

echo "1..2"
output=$("${run[@]}" 2>&1)
status=$?
if [ $status -eq 0 ]; then echo "ok 1 - the protocol is free of data races ($output)"; else
  echo "not ok 1 - the protocol is free of data races (exit code $status)"
  echo "# ${output//$'\n'/$'\n# '}"
fi
output=$("${run[@]}" no-grace 2>&1)
status=$?
if [ $status -eq 66 ]; then echo "ok 2 - a writer without grace period is found"; else
  echo "not ok 2 - a writer without grace period is found (exit code $status)"
  echo "# ${output//$'\n'/$'\n# '}"
fi
