#!/usr/bin/env bash
# Installs what is missing from Debian's packages: install_deps.sh build|demo|tests|perf …  (demo includes build, tests
# and perf include both).
# Quiet and instant when nothing is missing. Needs root only when something is.
set -euo pipefail

build=(
  meson ninja-build pkgconf g++ ccache git ca-certificates
  clang-14 llvm-14 bpftool libbpf-dev libelf-dev zlib1g-dev linux-libc-dev   # BPF programs and their skeletons
  libdpdk-dev                     # packet I/O
  libpcap-dev                     # capture files, for --replay
  libxxhash-dev                   # checksums of shared objects
  libtomlplusplus-dev libfmt-dev nlohmann-json3-dev libcli11-dev libboost1.81-dev libmnl-dev
  libgtest-dev libgmock-dev libbenchmark-dev
)
demo=(iproute2 iputils-ping ethtool procps curl jq nginx-light bird2 python3)
tests=(dpdk-dev   # dpdk-testpmd: another program's view of the steering
  libclang-rt-14-dev   # libFuzzer, ASan and UBSan of clang, for the fuzz targets
  valgrind   # counts instructions, for the suite perf
  clang-19   # BPF programs once more: the verifier has to take what a newer compiler makes of them
  python3-scapy spin gcc clang-format-14 clang-tidy-14 shellcheck nftables tcpdump socat netcat-openbsd)
perf=(dpdk-dev nftables openvswitch-switch-dpdk haproxy wrk   # what perf/end_to_end compares with, and its TCP load
  python3-matplotlib)   # plots of a full perf/run.sh

wanted=()
for group in "${@:-build}"; do
  case $group in
    build) wanted+=("${build[@]}") ;;
    demo) wanted+=("${build[@]}" "${demo[@]}") ;;
    tests) wanted+=("${build[@]}" "${demo[@]}" "${tests[@]}") ;;
    perf) wanted+=("${build[@]}" "${demo[@]}" "${perf[@]}") ;;
    *) echo "install_deps.sh: unknown group '$group'; use build, demo, tests or perf" >&2; exit 2 ;;
  esac
done

missing=()
for package in "${wanted[@]}"; do
  dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null | grep -q '^ii' || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

if [ "$(id -u)" -ne 0 ]; then
  echo "Missing Debian packages: ${missing[*]}" >&2
  echo "Run as root, or: sudo apt-get install --no-install-recommends ${missing[*]}" >&2
  exit 1
fi
echo "Installing from Debian: ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
# The demo and tests start nginx and bird themselves, in namespaces; installing them must not start a service here.
policy=/usr/sbin/policy-rc.d
made_policy=
if [ ! -e $policy ]; then
  printf '#!/bin/sh\nexit 101\n' > $policy && chmod +x $policy && made_policy=1
fi
trap 'if [ -n "$made_policy" ]; then rm -f $policy; fi; rm -f "$log"' EXIT
if ! { apt-get update && apt-get install -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
  cat "$log" >&2
  echo "Installing from Debian failed, see above." >&2
  exit 1
fi
