#!/bin/bash
# The figures of docs/benchmarks.md about lockdowns on this machine: goal beside result, misses marked. Needs root; takes some
# minutes on a quiet machine, besides the build. HOSTS=20 raises a smaller lab: that shows that everything works.
#
# Each round locks every host of a lab over cold connections, and is over when all have read back both families. What that
# may cost is one and a half times what the bare programs cost (iptables-restore and -save of both families, with the very
# layer, in all the hosts' namespaces), besides what the connections cost by themselves: a lift that is for one host only. The
# others hear, verify and record that order too, and run no program for it.
#
# Packets of others are the tests' that CI runs on two hosts, here on LOCKED (20).
set -euo pipefail
bin=$(realpath "$1")
swift=${2:-swift}
hosts=${HOSTS:-200}
rounds=${ROUNDS:-5}
parallel=${PARALLEL:-256}
lab=/var/tmp/portcullis-bench-lockdown
work=$(mktemp -d)
cd "$(dirname "$0")/.."
top=$PWD
. scripts/figures.sh

finish() {
  cd /
  end_run
  "$bin/portcullis" lab down --dir "$lab" >/dev/null 2>&1 || true
  rm -rf "$work"
}
trap finish EXIT
trap 'exit 143' TERM INT HUP
[ "$(id -u)" -eq 0 ] || { echo "error: make bench-lockdown raises a lab, which needs root" >&2; exit 1; }
command -v nmap >/dev/null || { apt-get update -q && apt-get install -y -q --no-install-recommends nmap; } >/dev/null
# Figures asked for give the tests the time that many hosts take.
export PORTCULLIS_PROGRAMS=$bin PORTCULLIS_LOCKED_HOSTS=${LOCKED:-20} PORTCULLIS_FIGURES=$work/figures
"$swift" build --build-tests >"$work/build" 2>&1 || { tail -20 "$work/build" >&2; exit 1; }

streams='^FleetTests\.FleetSuite/LockdownPackets/anOutsider'
scan='^FleetTests\.FleetSuite/LockdownPackets/aScan'

# everywhere SCRIPT: in every host's namespaces at once, as root there.
everywhere() {
  local script=$1
  seq -f 'h%03g' 1 "$hosts" | while read -r host; do cut -d' ' -f1 "$lab/hosts/$host/state"; done |
    xargs -P "$parallel" -I{} nsenter --target={} --mount --net --uts --ipc -- /bin/sh -ec "$script"
}

# json KEY: a number of the last document.
json() { sed -n "s/^ *\"$1\" : \([0-9.]*\),*$/\1/p" "$work/out" | head -1; }

measure() {
  "$bin/portcullis" lab down --dir "$lab" >/dev/null 2>&1 || true
  "$bin/portcullis" lab up --hosts "$hosts" --backend mixed --dir "$lab" >"$work/out" 2>&1 ||
    { tail "$work/out" >&2; return 1; }
  mkdir -p "$lab/policies/lockdown"
  cp examples/lockdown/*.yaml "$lab/policies/lockdown/"
  cd "$lab" || return 1
  local ours told
  read -ra ours < <(ours_inside "$lab")
  timed "${ours[@]}" "$bin/portcullis" apply --yes || return 1
  told=(--reason bench --parallel "$parallel" --for 5m -o json)
  for _ in $(seq "$rounds"); do
    timed "${ours[@]}" "$bin/portcullis" lockdown start isolate --confirm-hosts "$hosts" "${told[@]}" || return 1
    echo "$wall" >>"$work/start"; echo "$cpu" >>"$work/cpu"
    json p99_milliseconds >>"$work/p99"
    [ "$(json verified)" = "$hosts" ] || { echo "only $(json verified) of $hosts hosts verified it" >&2; return 1; }
    everywhere 'mkdir -p /run/bench
      iptables-save -t mangle >/run/bench/4; ip6tables-save -t mangle >/run/bench/6' || return 1
    timed "${ours[@]}" "$bin/portcullis" lockdown lift --confirm-hosts "$hosts" "${told[@]}" || return 1
    echo "$wall" >>"$work/lift"
    timed "${ours[@]}" "$bin/portcullis" lockdown lift -l h001 --confirm-hosts 1 "${told[@]}" || return 1
    echo "$wall" >>"$work/cold"
    timed everywhere 'iptables-restore --noflush /run/bench/4; ip6tables-restore --noflush /run/bench/6
      iptables-save -t mangle >/run/bench/4s; ip6tables-save -t mangle >/run/bench/6s' || return 1
    echo "$wall" >>"$work/bare"
    timed everywhere ':; :; : >/run/bench/4s; : >/run/bench/6s' || return 1
    echo "$wall" >>"$work/shell"
    # shellcheck disable=SC2016 # the hosts' own shells expand it
    everywhere 'for p in iptables ip6tables; do for c in INPUT FORWARD OUTPUT; do
        $p -t mangle -D $c -j PCLLOCK-$c; $p -t mangle -F PCLLOCK-$c; $p -t mangle -X PCLLOCK-$c
      done; done' || return 1
  done
}
for name in start lift cold bare shell cpu p99; do : >"$work/$name"; done
done=1
measure || done=0
cd "$top"
"$bin/portcullis" lab down --dir "$lab" >/dev/null 2>&1 || true
run "streams of others through $PORTCULLIS_LOCKED_HOSTS locked hosts" "$streams"
run "scans of $PORTCULLIS_LOCKED_HOSTS locked hosts" "$scan"

heading
if [ "$done" = 1 ]; then
  start=$(median "$work/start") cold=$(median "$work/cold")
  bare=$(calc 3 "$(median "$work/bare") - $(median "$work/shell")")
  tell "lockdown of $hosts hosts, cold connections, all read back: wall s" "$start" "of $rounds" ok
  tell "of which the cold connections' own (an order for others): wall s" "$cold" "of $rounds" ok
  tell "the bare restore and save programs on the same hosts: wall s" "$bare" "of $rounds" ok
  row "lockdown of $hosts hosts, besides its connections: ratio to bare programs" \
    "$(calc 2 "($start - $cold) / $bare")" 1.50 le
  tell "lockdown of $hosts hosts: ms to a host's answer, p99" "$(rounded "$(median "$work/p99")" 0)" "of $rounds" ok
  tell "lockdown of $hosts hosts: controller CPU ms per host" \
    "$(calc 2 "$(median "$work/cpu") * 1000 / $hosts")" "of $rounds" ok
  tell "lift of $hosts hosts: wall s" "$(median "$work/lift")" "of $rounds" ok
else
  row "lockdown of $hosts hosts" none 1.50 le
fi
passes "streams of others that end within 1 s on $PORTCULLIS_LOCKED_HOSTS hosts, three profiles: %" "$streams"
passes "$PORTCULLIS_LOCKED_HOSTS locked hosts that answer nmap from management only, both families: %" "$scan"

verdict
