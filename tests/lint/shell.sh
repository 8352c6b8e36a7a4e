#!/usr/bin/env bash
# Checks our own scripts with shellcheck; TAP, one case per script.
set -euo pipefail
cd "$(dirname "$0")/../.."

mapfile -t scripts < <(git grep -lE '^#!.*\b(ba)?sh$|^# shellcheck shell=')
echo "1..${#scripts[@]}"
number=0
for script in "${scripts[@]}"; do
  number=$((number + 1))
  if complaint=$(shellcheck "$script"); then
    echo "ok $number - shellcheck $script"
  else
    printf '%s\n' "$complaint" | sed 's/^/# /'
    echo "not ok $number - shellcheck $script"
  fi
done
