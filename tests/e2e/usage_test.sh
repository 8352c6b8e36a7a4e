#!/usr/bin/env bash
# All programs say by the same exit code that they were called in a wrong way:  usage_test.sh PROGRAM…
set -uo pipefail

number=0
failed=0
# exits CODE PROGRAM ARGUMENT…
exits() {
  local wanted=$1 said code
  shift
  said=$(timeout 20 "$@" 2>&1)
  code=$?
  number=$((number + 1))
  if [ "$code" = "$wanted" ] && [ -n "$said" ]; then
    echo "ok $number - $(basename "$1") ${*:2} exits with $wanted"
  else
    failed=1
    echo "not ok $number - $(basename "$1") ${*:2} exits with $wanted"
    printf 'exit code %s\n%s\n' "$code" "$said" | sed 's/^/# /'
  fi
}

# says_version PROGRAM: its name and the version, in one line.
says_version() {
  number=$((number + 1))
  if [[ "$("$1" --version)" =~ ^$(basename "$1")\ [0-9]+\.[0-9]+\.[0-9]+$ ]]; then
    echo "ok $number - $(basename "$1") --version says its name and version"
  else
    failed=1
    echo "not ok $number - $(basename "$1") --version says its name and version"
  fi
}

echo "1..$((5 * $#))"
for program; do
  exits 0 "$program" --help
  exits 2 "$program" --nonsense
  exits 2 "$program" --config
  exits 2 "$program" word
  says_version "$program"
done
exit $failed
