# shellcheck shell=bash disable=SC2154  # set by what is sourced before
# In place of Guideway on the LBs, for the control: nftables and routes that pick backend `hash mod N` and forward the
# packet to its MAC address. What most simple balancers do, and what a slot table is there to avoid. To be sourced after
# lab.sh.

# nft's "mod" scales the hash down to a range instead of taking a remainder, so a range of the least common multiple of 10
# and 9 comes first, which remainders of both divide evenly.
STAND_IN_RANGE=90

stand_in() {
  each lbs stand_in_start
  balance_over "${backends[@]}"
}

stand_in_start() {
  # shellcheck disable=SC2016  # expanded on the host
  lab_exec "$1" sh -ec '
    sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv4.conf.all.send_redirects=0 \
      net.ipv4.conf.eth0.send_redirects=0
    for i in $(seq "$1"); do
      ip rule add fwmark $i table $((100 + i))
      ip -6 rule add fwmark $i table $((100 + i))
      ip route add default via 10.2.1.$i table $((100 + i))
      ip -6 route add default via fd00:2::1:$i table $((100 + i))
    done' - "$BACKENDS"
}

# balance_over BACKEND…: on all LBs.
balance_over() {
  local map="" value numbers=("${@//[a-z]/}") lb
  for ((value = 0; value < STAND_IN_RANGE; value++)); do map+="$value : ${numbers[value % $#]}, "; done
  for lb in "${lbs[@]}"; do
    lab_exec "$lb" nft -f - <<END
table inet stand_in
delete table inet stand_in
table inet stand_in {
  chain balance {
    type filter hook prerouting priority mangle;
    ip daddr $LAB_VIP4 meta mark set jhash ip saddr . tcp sport mod $STAND_IN_RANGE seed 0x6775 map { $map }
    ip6 daddr $LAB_VIP6 meta mark set jhash ip6 saddr . tcp sport mod $STAND_IN_RANGE seed 0x6775 map { $map }
  }
}
END
  done
}
