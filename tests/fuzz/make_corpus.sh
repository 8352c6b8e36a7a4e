#!/usr/bin/env bash
# Makes tests/fuzz/corpus anew: what of the golden cases, of the corpus so far, and of further directories, say of a long
# run, reaches something that nothing smaller does.
#   tests/fuzz/make_corpus.sh [DIR …]      each with a directory for a target in it: DIR/path, DIR/answers, …
# BUILD=DIR uses another build directory than build. Afterwards: git add -A tests/fuzz/corpus
set -euo pipefail
cd "$(dirname "$0")/../.."
build=${BUILD:-build}
corpus=tests/fuzz/corpus
input_bytes_max=1024 # of a file; the smaller ones come first anyway. Edges count, not how often: that is soon found again

ninja -C "$build" --quiet fuzz tests/fuzz/fuzz_make_seeds
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$build/tests/fuzz/fuzz_make_seeds" tests/packet/cases "$work/seeds"

for target in path answers fragments decapsulation; do
  from=("$work/seeds/$target")
  for directory in "$corpus" "$@"; do
    [ -d "$directory/$target" ] && from+=("$directory/$target")
  done
  mkdir -p "$work/new/$target"
  "$build/tests/fuzz/fuzz_$target" -merge=1 -use_counters=0 -max_len=$input_bytes_max "$work/new/$target" "${from[@]}" 2>"$work/log" ||
    { cat "$work/log" >&2; exit 1; }
  mkdir -p "$corpus/$target"
  find "$corpus/$target" -type f ! -name 'fixed_*' -delete # what crashed once stays, whatever it reaches
  cp "$work/new/$target"/* "$corpus/$target"
  echo "$target: $(find "$corpus/$target" -type f | wc -l) inputs, $(du -sb "$corpus/$target" | cut -f1) bytes"
done
