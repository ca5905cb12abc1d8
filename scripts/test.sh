#!/bin/bash
# Every test, pure ones first and together, then those on real programs and hosts one group at a time: two labs of
# hundreds of processes side by side would only measure the machine. Stops at the first group that fails.
set -euo pipefail
swift=${1:-swift}
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# Without the lines that say only that something began; failures, skips, seeds and summaries stay.
run() {
  "$swift" test --skip-build --disable-xctest "$@" 2>&1 | grep --line-buffered -v -e '^◇' -e '^✔ Test case' |
    tee "$log"
  # In CI, which is root, nothing may be left out.
  if [ "${CI:-}" = true ] && [ "$(id -u)" -eq 0 ] && grep -E '^[^ ]+ (Test|Suite) .* skipped' "$log"; then
    echo "error: tests were skipped" >&2
    exit 1
  fi
}

group() {
  printf '\n== %s\n' "$1"
  run --filter "$2"
}

real='ApplyTests|DaemonTests|FleetTests|InventoryTests|LabTests|NetfilterTests|ReleaseTests|StoreTests|TransportTests'
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
group 'the whole loop on lab hosts' '^FleetTests\.'
if [ "$(id -u)" -eq 0 ]; then
  printf '\n== the demo, as the README shows it\n'
  scripts/demo.sh .build/debug/portcullis
fi
printf '\nall test groups passed\n'
