# What the benchmarks share, to be sourced: figures that are judged beside their goals. Wants $work, a folder of the run.
# shellcheck shell=bash disable=SC2034,SC2154 # who sources this reads wall and cpu, and has work
missed=0
declare -A passed
child=

calc() { awk "BEGIN{printf \"%.$1f\", $2}"; }
median() { sort -n "$1" | awk '{value[NR] = $1} END {print NR ? value[int((NR + 1) / 2)] : "none"}'; }
trials() { awk "BEGIN{n = $1 * ${factor:-1}; printf \"%d\", n < $2 ? $2 : n}"; } # full number, smallest number

# figure NAME: what the tests wrote down under this name.
figure() {
  awk -v name="$1" '$1 == name {value = $2} END {if (value == "") print "none"; else printf "%.10g\n", value}' \
    "$PORTCULLIS_FIGURES"
}
rounded() { awk -v value="$1" -v places="$2" 'BEGIN{if (value == "none") print value; else printf "%.*f\n", places, value}'; }

heading() { printf '%-66s %12s %14s\n' figure result goal; }

# row WORDS RESULT GOAL COMPARISON: result must be ≤ goal (le) or ≥ goal (ge); one that is missing is missed.
row() {
  local mark=MISSED sign='≤' holds='<='
  [ "$4" = le ] || { sign='≥'; holds='>='; }
  [ "$2" != none ] && awk "BEGIN{exit !($2 $holds $3)}" && mark=ok
  tell "$1" "$2" "$sign $3" "$mark"
}

# passes WORDS FILTER: tests of which all must have passed.
passes() {
  if [ "${passed[$2]:-0}" = 1 ]; then tell "$1" 100 '= 100' ok; else tell "$1" no '= 100' MISSED; fi
}

tell() {
  [ "$4" = ok ] || missed=$((missed + 1))
  printf '%-66s %12s %14s  %s\n' "$@"
}

# run WORDS FILTER: the tests of one kind. What they say is shown when they fail; their figures are judged below.
run() {
  printf '… %s\n' "$1" >&2
  passed[$2]=0
  # Not by 'swift test', which leaves them alone when it is told to end.
  timeout --kill-after=90 2400 .build/debug/portcullisPackageTests.xctest --testing-library swift-testing --no-parallel \
    --filter "$2" >"$work/said" 2>&1 &
  child=$!
  if wait "$child" && grep -Eq 'Test run with [1-9][0-9]* tests? .*passed' "$work/said"; then
    passed[$2]=1
  else
    grep -E '✘|error:|seed' "$work/said" | cut -c 1-2000 | head -20 >&2 || tail -20 "$work/said" >&2
  fi
  child=
}

# Tests that are still at work, when a benchmark ends: they take their own labs down when they are told to end.
end_run() { [ -z "$child" ] || { kill "$child" 2>/dev/null || true; wait "$child" || true; }; }

# The last line, and the exit code with it.
verdict() {
  [ "$missed" -eq 0 ] || { echo "$missed goals missed"; return 1; }
  echo "all goals met"
}

# timed COMMAND…: runs it, leaves wall and CPU seconds in $wall and $cpu, what it printed in $work/out.
timed() {
  local TIMEFORMAT='%R %U %S' figures user sys
  { figures=$( { time "$@" >"$work/out" 2>&1; } 2>&1 ); } || { tail -20 "$work/out" >&2; return 1; }
  read -r wall user sys <<<"$figures"
  cpu=$(calc 3 "$user + $sys")
}

# Who runs a command in a lab's controller, started once as on a real one: 'portcullis lab exec', which also enters a lab,
# starts twice. Ours finds its files on the machine, others find theirs on the controller's disk.
ours_inside() { echo nsenter "--net=/proc/$(controller_of "$1")/ns/net" --; }
theirs_inside() {
  echo env "HOME=$1/controller/disk/root" USER=root LOGNAME=root SHELL=/bin/sh \
    nsenter "--target=$(controller_of "$1")" --mount --uts --ipc --net --pid --
}
controller_of() { cut -d' ' -f1 "$1/controller/state"; }
