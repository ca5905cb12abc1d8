#!/bin/bash
# The figures of docs/benchmarks.md about drift on this machine: goal beside result, misses marked. Needs root; takes a quarter
# of an hour on a quiet machine, besides the builds. FACTOR=0.1 runs a tenth of the trials, HOSTS=20 sweeps as many: that
# shows that everything works. The programs are optimised ones; what drives them are the tests that CI runs in smaller
# numbers, and this script.
set -euo pipefail
bin=$(realpath "$1")
swift=${2:-swift}
factor=${FACTOR:-1}
hosts=${HOSTS:-200}
lab=/var/tmp/portcullis-bench-drift
work=$(mktemp -d)
cd "$(dirname "$0")/.."
. scripts/figures.sh

finish() {
  cd /
  end_run
  "$bin/portcullis" lab down --dir "$lab" >/dev/null 2>&1 || true
  rm -rf "$work"
}
trap finish EXIT
trap 'exit 143' TERM INT HUP
[ "$(id -u)" -eq 0 ] || { echo "error: make bench-drift raises labs, which needs root" >&2; exit 1; }
for program in clush:clustershell parallel-ssh:pssh; do
  command -v "${program%:*}" >/dev/null && continue
  apt-get update -q >/dev/null
  apt-get install -y -q --no-install-recommends "${program#*:}" >/dev/null
done

export PORTCULLIS_PROGRAMS=$bin PORTCULLIS_FIGURES=$work/figures
export PORTCULLIS_QUIET_SWEEPS=$(trials 1000 20) PORTCULLIS_WATCH_TRIALS=$(trials 100 3)
export PORTCULLIS_WATCH_SECONDS=$(trials 60 30) PORTCULLIS_WATCH_RULES=10000
: >"$PORTCULLIS_FIGURES"
"$swift" build --build-tests >"$work/build" 2>&1 || { tail -20 "$work/build" >&2; exit 1; }

tampering='^NetfilterTests\.TamperTests'
quiet='^FleetTests\.FleetSuite/QuietSweeps'
latency='^FleetTests\.FleetSuite/DriftWatch/aChangeIsALineWithinASecond'
resting='^FleetTests\.FleetSuite/DriftWatch/anAgentAtRest'
lost='^NetfilterTests\.NftablesWatcherTests'
run 'an agent at rest, and beside a busy writer' "$resting"
run 'from a change to its line' "$latency"
run 'every kind of tampering' "$tampering"
run 'lost announcements' "$lost"
run "$PORTCULLIS_QUIET_SWEEPS quiet sweeps" "$quiet"

scripted='^ConsoleTests\.GoldenTranscriptTests'
PORTCULLIS_KEEP_SCRIPTED=1 run 'a fleet of 10,000 hosts on one screen' "$scripted"
fleet=$(sed -n 's/^the scripted fleet is kept: //p' "$work/said")
: >"$work/status"
if [ -n "$fleet" ]; then
  for _ in 1 2 3 4 5; do
    (cd "$fleet" && timed "$bin/portcullis" status && echo "$wall" >>"$work/status")
  done
  rm -rf "$fleet"
fi

printf '… a sweep of %s hosts beside clush and parallel-ssh\n' "$hosts" >&2
# sweep: the lab, five sweeps and five of each other in turn; medians. All exchange keys by curve25519.
sweep() {
  "$bin/portcullis" lab down --dir "$lab" >/dev/null 2>&1 || true
  "$bin/portcullis" lab up --hosts "$hosts" --backend mixed --dir "$lab" >"$work/out" 2>&1 || { tail "$work/out" >&2; return 1; }
  cd "$lab" || return 1
  local ours theirs names save line
  read -ra ours < <(ours_inside "$lab")
  read -ra theirs < <(theirs_inside "$lab")
  timed "${ours[@]}" "$bin/portcullis" apply --yes || return 1
  names=$(seq -f 'h%03g' -s, 1 "$hosts")
  tr , '\n' <<<"$names" >"$work/hosts"
  save='iptables-save | sha256sum; ip6tables-save | sha256sum'
  for _ in 1 2 3 4 5; do
    timed "${ours[@]}" "$bin/portcullis" status --refresh || return 1
    echo "$wall" >>"$work/wall"; echo "$cpu" >>"$work/cpu"
    timed "${theirs[@]}" /usr/bin/clush -S -f 64 -w "$names" -b "$save" || return 1
    echo "$wall" >>"$work/clush"
    timed "${theirs[@]}" /usr/bin/parallel-ssh -p 64 -t 120 -i -H "$(tr '\n' ' ' <"$work/hosts")" "$save" || return 1
    line=$(grep -c SUCCESS "$work/out")
    [ "$line" = "$hosts" ] || { echo "parallel-ssh reached $line of $hosts hosts" >&2; return 1; }
    echo "$wall" >>"$work/pssh"
  done
}
for name in wall cpu clush pssh; do : >"$work/$name"; done
swept=1
sweep || swept=0
cd /

heading
passes 'kinds of tampering found, on each backend where they exist: %' "$tampering"
row 'quiet sweeps of 8 hosts: neighbours, traffic, boots, versions' "$(figure quiet_sweeps)" "$PORTCULLIS_QUIET_SWEEPS" ge
row 'quiet sweeps: answers of hosts' "$(figure quiet_looks)" "$((PORTCULLIS_QUIET_SWEEPS * 7))" ge
row 'quiet sweeps: false alarms' "$(figure quiet_false_alarms)" 0 le
row 'from a change to its line in drift --watch: changes' "$(figure watch_trials)" "$PORTCULLIS_WATCH_TRIALS" ge
row 'from a change to its line in drift --watch: ms p99' "$(rounded "$(figure watch_p99_ms)" 0)" 1000 le
row 'status of 10,000 hosts: wall s (median of 5)' "$(median "$work/status")" 1 le
if [ "$swept" = 1 ]; then
  row "cold sweep of $hosts hosts: wall s (median of 5)" "$(median "$work/wall")" "$(calc 1 "$hosts * 0.1")" le
  row "cold sweep of $hosts hosts: wall, ratio to clush" "$(calc 2 "$(median "$work/wall") / $(median "$work/clush")")" 1.00 le
  row "cold sweep of $hosts hosts: wall, ratio to parallel-ssh" "$(calc 2 "$(median "$work/wall") / $(median "$work/pssh")")" 1.00 le
  row "cold sweep of $hosts hosts: controller CPU ms per host" "$(calc 2 "$(median "$work/cpu") * 1000 / $hosts")" 2.5 le
else
  row "cold sweep of $hosts hosts" none 1 le
fi
row "agent at rest for $PORTCULLIS_WATCH_SECONDS s, 10,000 rules: % of a core" "$(rounded "$(figure watch_rest_percent)" 2)" 0 le
# Every 30 s it reads which legacy tables the kernel has.
row 'agent at rest: times that it woke' "$(figure watch_rest_switches)" "$((PORTCULLIS_WATCH_SECONDS / 15))" le
row 'agent at rest: MiB resident' "$(rounded "$(figure agent_resident_mib)" 1)" 16 le
passes 'agent: announcements that were lost make it look: %' "$lost"
row 'agent, one of 10,000 rules changed 10 times a second: % of a core' "$(rounded "$(figure watch_busy_percent)" 2)" 5 le

verdict
