#!/usr/bin/env bash
# Packet memory in hugepages, where this machine has some to give; the other tests do without.
# hugepages_test.sh BUILD_DIR
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

PAGES=192 # of 2 MiB
reserved=/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages
before=$(cat $reserved 2>/dev/null)
trap 'lab_down; [ -z "$before" ] || echo "$before" >$reserved; rm -rf "$work"' EXIT

serves_from_hugepages() {
  [ -n "$before" ] || skip "this kernel has no 2 MiB hugepages"
  echo $((before + PAGES)) >$reserved
  [ "$(cat $reserved)" -ge $((before + PAGES)) ] || skip "$PAGES hugepages are not to be had here"
  mkdir "$LAB_DIR/lb/run/hugepages"
  lab_exec lb mount -t hugetlbfs hugetlbfs /run/hugepages
  sed 's/^hugepages = .*/hugepages = "on"/' "$LAB_SOURCE/guideway.toml" >"$CONFIG"
  guideway_serves_both_vips
  load "$LAB_VIP4" "$LAB_VIP6" --requests 3000
  [ "$(cat ${reserved/nr_/free_})" -lt $((before + PAGES)) ] || fail "no hugepage is in use"
}

begin
cases serves_from_hugepages
