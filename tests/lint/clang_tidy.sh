#!/usr/bin/env bash
# clang-tidy over our own sources, two at a time; TAP, one case per file.  clang_tidy.sh BUILD_DIR
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
build=$1

mapfile -t sources < <(git ls-files 'common/*.cpp' 'dataplane/*.cpp' 'controlplane/*.cpp' 'bpf/*.cpp')
echo "1..${#sources[@]}"
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
check() { clang-tidy-14 -p "$1" --quiet --extra-arg=-Wno-unknown-warning-option "$3" >"$2/${3//\//_}" 2>/dev/null; }
export -f check
# shellcheck disable=SC2016  # expanded by the inner bash
printf '%s\n' "${sources[@]}" | xargs -P 2 -I{} bash -c 'check "$@" || touch "$2/failed_${3//\//_}"' _ "$build" "$logs" {}

number=0
for source in "${sources[@]}"; do
  number=$((number + 1))
  if [ -e "$logs/failed_${source//\//_}" ]; then
    sed 's/^/# /' "$logs/${source//\//_}"
    echo "not ok $number - clang-tidy $source"
  else
    echo "ok $number - clang-tidy $source"
  fi
done
