# shellcheck shell=bash disable=SC2154  # set by what is sourced before
# An event's frame: a population of connections before it, a verdict after it, a row of the report. To be sourced after
# lab.sh. Within a case:  watch;  (what happens);  judge

CONNECTIONS=${CONTINUITY_CONNECTIONS:-2000}
OPEN_PER_SECOND=$((CONNECTIONS > 50000 ? CONNECTIONS / 25 : 2000)) # of 100,000, 10,000 per second overload two cores
NEW_PER_SECOND=100 # connections opened while the event lasts
# Each talking connection sends a token per interval; all together at most 5,000 per second.
INTERVAL_MS=$((CONNECTIONS > 10000 ? CONNECTIONS / 10 : 1000))
PER_CLIENT=15000 # a process may have 20,000 open files on common machines
clients=()
for ((i = 1; (i - 1) * PER_CLIENT < CONNECTIONS; i++)); do clients+=("client$i"); done
QUIET_S=$((INTERVAL_MS / 1000 + 1)) # in so long every connection has had its turn

# client COMMAND…: to each client process; testimonies are added up.
client() {
  local name
  for name in "${clients[@]}"; do
    socat -t 30 - UNIX-CONNECT:"$LAB_DIR/client/run/$name.sock" <<<"$*" || fail "$name does not answer"
  done
}
client_report() {
  client report | jq -cs 'map(to_entries[]) | group_by(.key)
    | map({key: .[0].key, value: (if .[0].key == "slowest_ms" then map(.value) | max else map(.value) | add end)}) | from_entries'
}
seen() { client_report | jq -r ".$1"; }
seen_is() { [ "$(seen "$1")" -eq "$2" ]; }

# watch [FLEET]: FLEET starts what balances: Guideway on all LBs, unless another function is named.
watch() {
  continuity_up
  "${1:-guideway}"
  local i name sources4=() sources6=()
  for ((i = 1; i <= SOURCES; i++)); do sources4+=("10.1.1.$i") sources6+=("fd00:1::1:$i"); done
  for name in "${clients[@]}"; do
    lab_start client "$name" "$tools/token_client" "/run/$name.sock" "$PORT" "$INTERVAL_MS" \
      "$LAB_VIP4=$(IFS=,; echo "${sources4[*]}")" "$LAB_VIP6=$(IFS=,; echo "${sources6[*]}")"
    lab_wait 5 test -S "$LAB_DIR/client/run/$name.sock" || fail "no client: $(cat "$LAB_DIR/client/run/$name.log")"
  done
  client open $((CONNECTIONS / ${#clients[@]})) $((OPEN_PER_SECOND / ${#clients[@]})) >/dev/null
  lab_wait $((CONNECTIONS / OPEN_PER_SECOND + 20)) seen_is established $((CONNECTIONS / ${#clients[@]} * ${#clients[@]})) ||
    fail "the population is not complete: $(client_report) $(all_counters)"
  sleep 0.5
  counters >"$work/before"
  open_more
}
open_more() { client open 100000000 $((NEW_PER_SECOND / ${#clients[@]})) >/dev/null; }

# Second chance mends what an LB has got wrong. As long as connections stay on their LB there is nothing to mend.
nobody_passed_on() {
  local host passed
  for host in "${backends[@]}"; do
    passed=$(lab_exec "$host" "$LAB_BUILD/bpf/guideway-backend" status --json eth0 | jq '.packets | .hop_routed + .hop_reflected')
    [ "$passed" -eq 0 ] || fail "$host passed on $passed packets that an LB sent to the wrong backend: $(all_counters)"
  done
}

# What the LBs and the backends did, for somebody who looks for lost packets.
all_counters() {
  local host
  for host in "${lbs[@]}"; do
    ctl "$host" status --json | jq -c --arg host "$host" '{($host): [.dataplane.counters[] | select(.value > 0) | {(.name): .value}] | add}'
  done
  for host in "${backends[@]}"; do
    lab_exec "$host" "$LAB_BUILD/bpf/guideway-backend" status --json eth0 | jq -c --arg host "$host" '{($host): .packets | with_entries(select(.value > 0))}'
  done
}

guideway() { each lbs guideway_start; }

# Five witnesses of resets: "resets flows sent established refused". The router's nftables count packets and the
# connections they go to, nstat what the backends sent from VIPs and what it did to the client's connections.
counters() {
  local flows sent=0 host
  flows=$(lab_exec router nft -j list table inet continuity | jq '[.nftables[].set.elem // empty | length] | add // 0')
  for host in "${backends[@]}"; do
    sent=$((sent + $(kernel_counter "$host" TcpOutRsts) - $(nft_counter "$host" other_resets)))
  done
  echo "$(nft_counter router resets) $flows $sent $(kernel_counter client TcpEstabResets)" \
    "$(kernel_counter client TcpAttemptFails)"
}
nft_counter() { lab_exec "$1" nft -j list counter inet continuity "$2" | jq '.nftables[].counter.packets // empty'; }
kernel_counter() { lab_exec "$1" nstat -asz "$2" | awk -v name="$2" '$1 == name { print $2 }'; }

# Talking connections have gone on for an interval; then the silent ones talk, and everybody gets an answer or breaks.
judge() {
  witness
  within_limit
}
witness() {
  sleep "$QUIET_S"
  client open 0 0 >/dev/null
  client wake >/dev/null
  sleep "$QUIET_S"
  client hush >/dev/null
  lab_wait $((QUIET_S + 6)) seen_is waiting 0 || fail "connections still wait: $(client_report) $(all_counters)"
  testimony
  row
  sums_agree
  witnesses_agree
}

# The client's report, and counters that were read while it did not change.
testimony() {
  local before
  for _ in 1 2 3 4 5; do
    before=$(client_report)
    counters >"$work/after"
    client_report >"$work/client.json"
    [ "$before" != "$(<"$work/client.json")" ] || return 0
    sleep 0.5
  done
  fail "the client's report never settled: $(<"$work/client.json")"
}

value() { jq -r ".$1" "$work/client.json"; }
# grown FIELD: by how much a counter has grown; FIELD as counters prints them.
grown() { paste "$work/before" "$work/after" | awk -v field="$1" '{ print $(field + 5) - $field }'; }

# The function that called watch, without what stands around it.
event_name() {
  local name
  for name in "${FUNCNAME[@]}"; do
    case $name in
      event_name | row | witness | judge | within_limit) ;;
      *) echo "${name#attempt_}"; return ;;
    esac
  done
}

row() {
  jq -r --arg name "$(event_name)" --arg encap "$ENCAP" --arg resets "$(grown 1)" --arg sent "$(grown 3)" \
    '[$name, $encap, .connections, .inherent, .collateral, .stalled, .failed_new, .reset, .fin, .wrong_nonce, .no_progress,
      $resets, $sent, .slowest_ms] | @tsv' "$work/client.json" | tee -a "$work/rows"
}

sums_agree() {
  jq -e '.intact + .inherent + .collateral + .stalled + .failed_new == .connections
    and .reset + .fin + .wrong_nonce + .no_progress == .inherent + .collateral + .stalled + .failed_new' \
    "$work/client.json" >/dev/null || fail "the sums differ: $(<"$work/client.json")"
}

# Each reset that a backend sent came by the router, and each connection that it went to has seen it.
witnesses_agree() {
  local resets flows sent hit
  resets=$(grown 1) flows=$(grown 2) sent=$(grown 3) hit=$(($(grown 4) + $(grown 5)))
  [ "$resets" -eq "$sent" ] || fail "the backends sent $sent resets, the router saw $resets"
  [[ $flows -eq $(value saw_reset) && $flows -eq $hit ]] ||
    fail "resets went to $flows connections, the client saw $(value saw_reset), its kernel $hit"
}

# is_about FIELD PER_MILLE: of the population, more or less 50.
is_about() {
  local seen=$((1000 * $(value "$1") / CONNECTIONS))
  [[ $((seen - $2)) -le 50 && $(($2 - seen)) -le 50 ]] ||
    fail "$1: $seen per mille, but $2 were to be expected: $(<"$work/client.json")"
}

within_limit() {
  local limit broken
  limit=${COLLATERAL_MAX[$ENCAP:$(event_name)]:-0}
  broken=$(($(value collateral) + $(value failed_new)))
  [ "$((1000 * broken))" -le $((limit * CONNECTIONS)) ] ||
    fail "$broken connections broke or failed, at most $limit per mille of $CONNECTIONS are expected: $(all_counters)"
  [ "$(value stalled)" -eq 0 ] || fail "$(value stalled) connections stalled: $(all_counters)"
}

report() {
  [ -s "$work/rows" ] || return 0
  {
    printf '%s\t' event encap connections inherent collateral stalled "failed new" reset fin nonce silence "RSTs" "sent"
    echo "slowest ms"
    cat "$work/rows"
  } | column -t -s $'\t' -R 3,4,5,6,7,8,9,10,11,12,13,14
}
