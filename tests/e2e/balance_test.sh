#!/usr/bin/env bash
# Real TCP through the lab: shares against weights, all encapsulations and family mixes, full packets, ping beside it.
# balance_test.sh BUILD_DIR [DPDK_DRIVER]: net_af_xdp (default) or net_af_packet
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
driver=${2:-net_af_xdp}

ten_thousand_requests_over_ipv4() {
  load "$LAB_VIP4" --requests 10000
  shares_are web4
}
ten_thousand_requests_over_ipv6() {
  load "$LAB_VIP6" --requests 10000
  shares_are web6
}

# Pools and VIPs for the other family mixes join by a reload.
ipv6_in_ipv4_and_ipv4_in_ipv6() {
  local host
  for host in "${LAB_BACKENDS[@]}"; do
    lab_exec "$host" ip address add 203.0.113.20/32 dev lo
    lab_exec "$host" ip address add 2001:db8:1::20/128 dev lo nodad
  done
  cat >>"$CONFIG" <<'END'
[pool.ipip4]
encap = "ipip"
health_check = "http"
backends = [{ name = "b1", address = "10.11.0.2" }, { name = "b2", address = "10.12.0.2" }]
[pool.gue6]
encap = "gue"
health_check = "http"
backends = [{ name = "b2", address = "fd00:12::2" }, { name = "b3", address = "fd00:13::2" }]
[vip.six_in_four]
address = "2001:db8:1::20"
port = 80
pool = "ipip4"
[vip.four_in_six]
address = "203.0.113.20"
port = 80
pool = "gue6"
END
  lab_signal lb controlplane HUP
  routed_within 30 203.0.113.20 2001:db8:1::20
  load 2001:db8:1::20 --requests 3000
  shares_are ipip4
  load 203.0.113.20 --requests 3000
  shares_are gue6
}

# The client's packets are 1500 bytes long, the encapsulated ones longer.
large_uploads_and_downloads() {
  local host vip
  head -c 30000000 /dev/urandom >"$work/large"
  for host in "${LAB_BACKENDS[@]}"; do
    mkdir -p "$LAB_DIR/$host/run/www/files"
    cp "$work/large" "$LAB_DIR/$host/run/www/files/large"
  done
  for vip in "$LAB_VIP4" "[$LAB_VIP6]" 203.0.113.20 "[2001:db8:1::20]"; do
    lab_exec client curl -sS --max-time 20 -o "$work/down" "http://$vip/files/large"
    cmp "$work/large" "$work/down"
    [ "$(lab_exec client curl -sS --max-time 20 --data-binary @"$work/large" "http://$vip/upload")" = 30000000 ] ||
      fail "upload to $vip"
    echo "$vip: 30 MB down and up"
  done
}

ping_to_the_lb_host_beside_balanced_traffic() {
  load_begin "$LAB_VIP4" "$LAB_VIP6" --rate 500
  lab_exec client ping -q -c 50 -i 0.02 -W 1 10.2.0.2
  lab_exec client ping -q -c 50 -i 0.02 -W 1 fd00:2::2
  load_end
  no_request_failed
}

a_port_that_is_not_served_is_dropped_and_counted() {
  local before
  before=$(counter drop_unserved)
  ! lab_exec client curl -s --max-time 0.5 "http://$LAB_VIP4:81/" || fail "answered"
  lab_wait 3 counter_above drop_unserved "$before" || fail "not counted: $before before, $(counter drop_unserved) after"
}

begin
if [ "$driver" != net_af_xdp ]; then
  sed "s/^device = .*/device = \"${driver}0,iface=eth0\"/" "$LAB_SOURCE/guideway.toml" >"$CONFIG"
fi
cases guideway_serves_both_vips ten_thousand_requests_over_ipv4 ten_thousand_requests_over_ipv6 \
  ipv6_in_ipv4_and_ipv4_in_ipv6 large_uploads_and_downloads ping_to_the_lb_host_beside_balanced_traffic \
  a_port_that_is_not_served_is_dropped_and_counted every_packet_is_accounted_for
