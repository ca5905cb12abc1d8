#!/bin/bash
# The figures of docs/safety.md on this machine: goal beside result, misses marked. Needs root, and hours: FACTOR=0.01
# runs a hundredth of the trials, which shows that everything works and proves little.
# The trials are the tests that CI runs in smaller numbers; they write their figures to one file.
set -euo pipefail
swift=${1:-swift}
factor=${FACTOR:-1}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
[ "$(id -u)" -eq 0 ] || { echo "error: make bench-safety raises labs, which needs root" >&2; exit 1; }
cd "$(dirname "$0")/.."
. scripts/figures.sh

export PORTCULLIS_FIGURES=$work/figures
export PORTCULLIS_KILL_TRIALS=$(trials 10000 20) PORTCULLIS_KILL_HOSTS=${KILL_HOSTS:-24}
export PORTCULLIS_CUT_TRIALS=$(trials 200 4) PORTCULLIS_CUT_HOSTS=20
export PORTCULLIS_CONFIRM_TRIALS=$(trials 2000 20) PORTCULLIS_CONFIRM_HOSTS=20
export PORTCULLIS_GAP_TRIALS=$(trials 200 5) PORTCULLIS_JUDGE_TIMES=1
export PORTCULLIS_OVERHEAD_TRIALS=$(trials 9 1) PORTCULLIS_OVERHEAD_RULES=10000
export PORTCULLIS_WRITER_APPLIES=$(trials 200 5)
export PORTCULLIS_SIMULATION_RUNS=$(trials 1000000 1000)
: >"$PORTCULLIS_FIGURES"

# Optimised, since times are measured; tests reach into modules, which needs the flag.
build=(-c release -Xswiftc -enable-testing)
"$swift" build --build-tests "${build[@]}" >"$work/build" 2>&1 || { tail -20 "$work/build" >&2; exit 1; }

# run WORDS FILTER: the tests of one kind. What they say is shown when they fail; their figures are judged below.
run() {
  printf '… %s\n' "$1" >&2
  if "$swift" test --skip-build --disable-xctest --no-parallel "${build[@]}" --filter "$2" >"$work/said" 2>&1 &&
    grep -Eq 'Test run with [1-9][0-9]* tests? .*passed' "$work/said"; then
    passed[$2]=1
  else
    passed[$2]=0
    grep -E '✘|error:|seed' "$work/said" | head -20 >&2 || tail -20 "$work/said" >&2
  fi
}

sweeps='^ApplyTests\..*(Crash|Fault|Power|Sweep)|^NetfilterTests\.InjectedFault'
simulation='^RolloutTests\..*Simulation'
run 'crash points and failing calls' "$sweeps"
run 'protocol simulation' "$simulation"
run 'kills' '^FleetTests\.FleetSuite/Killing'
run 'releases that cut management, and releases that must stay' '^FleetTests\.FleetSuite/Lockout'
run 'times' '^FleetTests\.FleetSuite/Timing'
run 'other writers' '^FleetTests\.FleetSuite/BusyHost'

heading
passes 'crash points and failing calls that end old-or-new: %' "$sweeps"
passes 'protocol simulation, every run ends well: %' "$simulation"
row 'protocol simulation: runs' "$(figure simulation_runs)" "$(trials 1000000 1000)" ge
row 'protocol simulation: false success' "$(figure simulation_false_success)" 0 le
row 'protocol simulation: stuck' "$(figure simulation_stuck)" 0 le
row 'random SIGKILLs of the daemon during applies: trials' "$(figure kill_trials)" "$PORTCULLIS_KILL_TRIALS" ge
row 'random SIGKILLs of the daemon during applies: violations' "$(figure kill_violations)" 0 le
row 'releases that cut management: trials' "$(figure cut_trials)" "$PORTCULLIS_CUT_TRIALS" ge
row 'releases that cut management: access back too late' "$(figure cut_late)" 0 le
row 'releases that cut management: longest, s beyond the deadline' "$(figure cut_longest_seconds_beyond_deadline)" 2 le
row 'false rollbacks, healthy network: %' "$(figure confirm_good_false_rollback_percent)" 0 le
row 'false rollbacks, 5 % loss each way, 200 ms: %' "$(figure confirm_bad_false_rollback_percent)" 0.1 le
for backend in nft legacy; do
  row "gap between families, 1,000 rules, $backend: ms p99" "$(figure "gap_${backend}_p99_ms")" 100 le
  row "safe apply over its bare programs, 10,000 rules, $backend" "$(figure "overhead_${backend}_ratio")" 1.5 le
  row "another writer 10 times a second, $backend: applies" "$(figure "writer_${backend}_applies")" "$PORTCULLIS_WRITER_APPLIES" ge
  row "another writer 10 times a second, $backend: rules lost, his or ours" "$(figure "writer_${backend}_lost")" 0 le
  row "a writer that never pauses, $backend: s until the host has ended" "$(figure "restless_${backend}_seconds")" 180 le
done

verdict
