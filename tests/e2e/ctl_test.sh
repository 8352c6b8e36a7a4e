#!/usr/bin/env bash
# guidewayctl against a real control plane (no data plane):  ctl_test.sh GUIDEWAYCTL GUIDEWAY_CONTROLPLANE
set -uo pipefail
ctl=$1
controlplane=$2
[ -n "${IN_NAMESPACE:-}" ] || IN_NAMESPACE=1 exec unshare --net "$0" "$@"

work=$(mktemp -d)
daemon=
trap '[ -z "$daemon" ] || kill "$daemon" 2>/dev/null; wait; rm -rf "$work"' EXIT
trap 'exit 143' TERM INT HUP

cat >"$work/guideway.toml" <<TOML
schema = 1
[dataplane]
worker_cores = [1]
[[dataplane.port]]
name = "uplink"
device = "net_null0"
[pool.web]
backends = [{ name = "b1", address = "10.1.0.11" }, { name = "b2", address = "10.1.0.12", weight = 2 }]
[pool.mail]
backends = [{ name = "b1", address = "10.1.0.21" }, { name = "m2", address = "10.1.0.22" }]
[vip.web]
address = "203.0.113.10"
port = 80
pool = "web"
[vip.mail]
address = "203.0.113.10"
port = 25
pool = "mail"
[vip.net]
address = "198.18.0.0/24"
port = "any"
pool = "web"
unserved = "reject"
[control]
run_dir = "$work/run"
state_dir = "$work/state"
tables_memory = "4MiB"
TOML
mkdir "$work/run" "$work/state"

number=0
failed=0
# holds NAME EXIT PATTERN ARGUMENT…: guidewayctl with these arguments exits so, and says something like the pattern.
holds() {
  said=$(timeout 20 "$ctl" "${@:4}" 2>&1)
  judge "$1" "$2" "$3" $?
}

# judge NAME EXIT PATTERN CODE: what was said.
judge() {
  number=$((number + 1))
  if [ "$4" = "$2" ] && grep -Eq -- "$3" <<<"$said"; then
    echo "ok $number - $1"
  else
    failed=1
    echo "not ok $number - $1"
    printf 'exit code %s, wanted %s with: %s\n%s\n' "$4" "$2" "$3" "$said" | sed 's/^/# /'
  fi
}

live() { holds "$1" "$2" "$3" --config "$work/guideway.toml" "${@:4}"; }

# full NAME ARGUMENT…: what cannot be written is no success.
full() {
  said=$(timeout 20 "$ctl" "${@:2}" 2>&1 >/dev/full)
  judge "$1" 1 'the answer cannot be written \(No space left on device\)' $?
}

sed 's,198.18.0.0/24,198.18.0.1/24,' "$work/guideway.toml" >"$work/bad.toml"
sed 's/weight = 2/weight = 5/' "$work/guideway.toml" >"$work/other.toml"
echo 1..44
holds 'check accepts a good file' 0 '^0 errors' check "$work/guideway.toml"
holds 'check refuses a bad one' 1 'No such file' check "$work/none.toml"
holds 'check names the fix' 1 'address "198.18.0.1/24" has bits set behind its prefix; write 198.18.0.0/24' \
  check "$work/bad.toml"
holds 'check speaks JSON' 1 '"valid": false' --json check "$work/none.toml"
live 'unreachable without a control plane' 4 "not running: there is no $work/run/control.sock" status
live 'version needs none' 0 'guideway-controlplane is not running' version
holds 'no command' 2 'see: guidewayctl --help'
holds 'unknown command' 2 'did you mean "drain"' drian web/b1
holds 'missing argument' 2 'BACKEND is required' drain
holds 'a deadline without a unit' 2 '--deadline has no unit; write ms, s, m or h behind' drain web/b1 --deadline 30
holds 'a deadline out of range' 2 '--deadline must be between 1s and 2592000s, not 0s' drain web/b1 --deadline 0s
holds 'weight out of range' 2 'from 0 to 65535' weight web/b1 65536
holds 'port out of range' 2 'SPORT: Value 99999 not in range 0 to 65535' explain tcp 1.2.3.4 99999 203.0.113.10 80
holds 'an empty socket is none' 2 '--socket: is empty; fill it in or leave it out' --socket '' status
holds 'an empty file is none' 2 '--config: is empty; fill it in or leave it out' --config '' status
full 'a report that cannot be written' check "$work/guideway.toml"
holds 'bad address' 2 'is no IP address' explain tcp 1.2.3 40000 203.0.113.10 80

"$controlplane" --config "$work/guideway.toml" >"$work/log" 2>&1 &
daemon=$!
for _ in $(seq 100); do
  [ -S "$work/run/control.sock" ] && break
  sleep 0.1
done

sed "s,$work/run,$work/run2," "$work/guideway.toml" >"$work/second.toml"
said=$(timeout 20 "$controlplane" --config "$work/second.toml" 2>&1)
judge 'a state directory is for one control plane' 1 "another control plane keeps its state in $work/state; stop it" $?

live 'status shows the VIPs' 0 '^web  203.0.113.10:80 tcp  ' status
live 'status shows prefixes and what becomes of packets' 0 '^net  198.18.0.0/24:any tcp .*  unserved reject; ' status
live 'status shows the backends' 0 '^  ->  b2 10.1.0.12  *2 ' status
live 'status speaks JSON, also behind the command' 0 '"published":' status --json
live 'status --check finds the data plane missing' 3 '^Warning +no data plane: ' status --check
live 'drain says what it did' 0 '^web/b2: drained.*now drained' drain b2 --reason 'kernel update'
live 'the reason shows in status' 0 'b2 10.1.0.12 .* drained .* kernel update$' status
live 'draining twice changes nothing' 0 'nothing to change' drain web/b2
live 'undrain' 0 '^Undo: guidewayctl drain web/b2$' undrain web/b2
live 'a deadline' 0 '^web/b2: drained, .* removed in (30m0s|29m59s) at 20' drain web/b2 --deadline 30m --reason disk
live 'the deadline shows in status' 0 'b2 10.1.0.12 .* drained by an operator, to be removed at 20.*: disk$' status
live 'undo brings the deadline back' 0 '^Undo: guidewayctl drain web/b2 --deadline 1[78][0-9][0-9]s$' undrain web/b2
live 'a deadline that cannot be watched' 5 'removed at its deadline; nobody knows' drain web/b2 --deadline 1s --wait
live 'removed shows in status' 0 'b2 10.1.0.12 .* removed .* removed at the deadline 20' status
live 'undrain after removal' 0 'no longer drained' undrain web/b2
live 'weight' 0 '^Undo: guidewayctl weight web/b1 file$' weight web/b1 6
live 'the weight shows in status' 0 'b1 10.1.0.11  *6 \(file: 1\)' status
live 'weight back to the file' 0 'weight 1 instead of 6, as the file says' weight web/b1 file
live 'a plan of the file in force' 0 'a reload would change no VIP and move no slot' plan "$work/guideway.toml"
live 'a plan of a reload' 0 '^    ~  b2  10.1.0.12  weight 2 -> 5' plan "$work/other.toml"
live 'a plan of a bad file is a check' 1 'bad.toml:.* error: address "198.18.0.1/24" has bits set' plan "$work/bad.toml"
live 'a plan of a reload in JSON' 0 '"weight_after": 5' plan "$work/other.toml" --json
live 'ambiguous backend' 2 'say (web/b1 or mail/b1|mail/b1 or web/b1)$' drain b1
live 'explain without tables says why not' 1 '^guidewayctl: .+' explain tcp 198.51.100.7 40000 203.0.113.10 80
full 'a status that cannot be written' --config "$work/guideway.toml" --json status
live 'version of both' 0 '^guideway-controlplane [0-9]' version
exit $failed
