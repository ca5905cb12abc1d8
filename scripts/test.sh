#!/bin/bash
# Every test, pure ones first and together, then those on real programs and hosts one group at a time, so that none measures
# another. Those on whole lab hosts mostly wait: they run in lanes beside each other. Stops at the first group that fails.
set -euo pipefail
swift=${1:-swift}
logs=$(mktemp -d)
running=()
# Tests that are told to end take their hosts down.
finish() {
  if [ "${#running[@]}" -gt 0 ]; then kill "${running[@]}" 2>/dev/null || true; fi
  wait
  rm -rf "$logs"
}
trap finish EXIT
trap 'exit 143' TERM INT HUP

# Without the lines that say only that something began; failures, skips, seeds and summaries stay.
brief() { grep --line-buffered -v -e '^◇' -e '^✔ Test case'; }

# judge LOG...: what failed once more, last, where it is found; and nothing may have been chosen but not run.
judge() {
  if grep -h -A 3 -E '^✘|^error:' "$@" >"$logs/failures"; then
    printf '\n== what failed\n' >&2
    head -c 20000 "$logs/failures" >&2
  fi
  for log in "$@"; do
    grep -Eq 'Test run with [1-9][0-9]* tests?' "$log" || { echo "error: no test ran" >&2; return 1; }
  done
  # In CI, which is root, nothing may be left out.
  if [ "${CI:-}" = true ] && [ "$(id -u)" -eq 0 ] && grep -hE '^[^ ]+ (Test|Suite) .* skipped' "$@"; then
    echo "error: tests were skipped" >&2
    return 1
  fi
}

run() {
  local failed=0
  "$swift" test --skip-build --disable-xctest "$@" 2>&1 | brief | tee "$logs/group" || failed=1
  judge "$logs/group"
  return "$failed"
}

group() {
  printf '\n== %s\n' "$1"
  run --filter "$2"
}

# lanes NAME SUITES...: of the fleet's tests those suites, each alternative in its own lane, and all others in one more.
lanes() {
  printf '\n== %s\n' "$1"
  shift
  local tests lane of=() failed=0
  tests=$("$swift" build --show-bin-path)/portcullisPackageTests.xctest
  for lane in "$@" others; do
    if [ "$lane" = others ]; then
      of=(--filter '^FleetTests\.' --skip "^FleetTests\.FleetSuite/($(IFS='|'; echo "$*"))/")
    else
      of=(--filter "^FleetTests\.FleetSuite/($lane)/")
    fi
    "$tests" --testing-library swift-testing "${of[@]}" </dev/null >"$logs/lane-${#running[@]}" 2>&1 &
    running+=("$!")
  done
  for lane in "${!running[@]}"; do
    wait "${running[$lane]}" || failed=1
    printf '\n-- lane %s of %s\n' "$((lane + 1))" "${#running[@]}"
    brief <"$logs/lane-$lane" || true
  done
  running=()
  judge "$logs"/lane-*
  return "$failed"
}

real='ApplyTests|DaemonTests|FleetTests|InventoryTests|LabTests|NetfilterTests|ReleaseTests|StoreTests|TransportTests'
# About as long as each other, and as what is left.
locking='Lockdown[A-Za-z]*|LockedJumps|Runbook|OwnedMode|Schedules'
dying='Boot|BusyHost|DockerHosts|DriftWatch|ExclusiveMode|Killing|Lockout|LostLines'
printf '\n== pure tests, and rules against the real programs\n'
run --skip "^($real)\."
group 'inventories, against Ansible, and damaged ones' '^InventoryTests\.'
group 'the agent, with crashes and faults at every call' '^ApplyTests\.'
group 'signatures and bundles, against ssh-keygen' '^ReleaseTests\.'
group 'the store, with crashes and full disks' '^StoreTests\.'
group 'the daemon' '^DaemonTests\.'
group 'iptables programs in namespaces, both backends' '^NetfilterTests\.'
group 'SSH, against sshd and against servers that misbehave' '^TransportTests\.'
group 'the lab' '^LabTests\.'
lanes 'the whole loop on lab hosts' "$locking" "$dying"
if [ "$(id -u)" -eq 0 ]; then
  printf '\n== the demo, as the README shows it\n'
  scripts/demo.sh .build/debug/portcullis
fi
printf '\nall test groups passed\n'
